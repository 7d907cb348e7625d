"""Under torchrun one rank resolves the stages and tells the others their job.

Each rank that did it for itself would list the raw corpus, read every manifest and hash what is hashed: 2,048 times.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from altiplano.errors import InputError, TrainingError

if TYPE_CHECKING:
    from altiplano.training.callbacks import Custom


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
    """From the first rank to the others, over the job's store: what they are to compute together, one piece of work
    after the other. All ranks make one, before anything takes long."""

    def __init__(self, device: str, timeout: timedelta):
        from altiplano.parallel.meeting import Meeting
        from altiplano.parallel.mesh import start_processes

        start_processes(device, timeout)
        self.meeting = Meeting()
        self.given = 0

    def give(self, work: str, job: BaseModel) -> None:
        """The first rank, before it computes the same: "train" or "export" with a ``Job``, a stage's name with a
        ``ScoringJob``."""
        self._tell([work, job.model_dump(mode="json")])

    def end(self) -> None:
        """The first rank: there is no more."""
        self._tell(None)

    def _tell(self, told: object) -> None:
        if self.given:
            self.meeting.gather(None)  # all have heard the last one
        self.given += 1
        self.meeting.tell(told)

    def follow(self, custom: "Custom | None") -> None:
        """Another rank: compute what the first one says until there is no more. Where that one fails, torchrun ends
        all."""
        while (told := self.meeting.tell()) is not None:
            work, values = told
            _compute(work, values, custom)
            self.meeting.gather(None)


def _compute(work: str, values: dict[str, Any], custom: "Custom | None") -> None:
    if work == "train":
        from altiplano.training.job import Job
        from altiplano.training.worker import run_job

        run_job(Job.model_validate(values), custom)
    elif work == "export":
        from altiplano.training.export import under_torchrun
        from altiplano.training.job import Job

        under_torchrun(Job.model_validate(values))
    else:
        from altiplano.stages.scoring import ScoringJob

        import_module(f"altiplano.stages.{work}").run(ScoringJob.model_validate(values).context())
