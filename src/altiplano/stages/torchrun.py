"""Under torchrun one rank resolves the stages and tells the others their job.

Each rank that did it for itself would list the raw corpus, read every manifest and hash what is hashed: 2,048 times.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from altiplano.errors import InputError, TrainingError

if TYPE_CHECKING:
    from altiplano.training.callbacks import Custom
    from altiplano.training.job import Job


def is_rank() -> bool:
    """Whether this process is one of several that torchrun (or SLURM, or a test) started."""
    return "RANK" in os.environ


@contextmanager
def ending_the_agent() -> Iterator[None]:
    """Bad input and diverged training end torchrun's agent, too, which would start them again."""
    try:
        yield
    except (InputError, TrainingError):
        if "TORCHELASTIC_RUN_ID" in os.environ:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # this rank still has to say why
            os.kill(os.getppid(), signal.SIGTERM)
        raise


class Handover:
    """From the first rank to the others, over the job's store. All ranks make one, before anything takes long."""

    def __init__(self, device: str):
        from altiplano.parallel.meeting import Meeting
        from altiplano.parallel.mesh import start_processes

        start_processes(device)
        self.meeting = Meeting()
        self.is_done = False

    def give(self, job: "Job | None") -> None:
        """The first rank: what is to be trained; None when nothing is."""
        if not self.is_done:
            self.is_done = True
            self.meeting.tell(None if job is None else job.model_dump(mode="json"))

    def take(self, custom: "Custom | None") -> None:
        """Another rank: wait for the job and train. Where the first one fails, torchrun ends all."""
        from altiplano.training.job import Job
        from altiplano.training.worker import run_job

        told = self.meeting.tell()
        if told is not None:
            run_job(Job.model_validate(told), custom)
