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

from altiplano.errors import INTERRUPTED, InputError, StageFailed, TrainingError
from altiplano.parallel.processes import die_with_parent
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import Layout

if TYPE_CHECKING:
    from altiplano.training.callbacks import Custom


def is_rank() -> bool:
    """Whether this process is one of several that torchrun (or SLURM, or a test) started."""
    return "RANK" in os.environ


def end_with_the_agent() -> None:
    """torchrun gives each rank a session of its own: one whose agent was killed would train on, and write checkpoints
    beside the ranks that take its place."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        die_with_parent()


def with_nodes_at_hand(layout: Layout, cluster: Cluster) -> Layout:
    """``layout`` over the ranks that torchrun started, where the cluster lets a job go on with fewer nodes. Raises
    InputError when they cannot share the work."""
    ranks = int(os.environ.get("WORLD_SIZE", layout.world_size))
    if cluster.launch.min_nodes is None or ranks == layout.world_size:
        return layout
    return layout.on_ranks(ranks)


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
        """The first rank: there is no more. It keeps the store, so it leaves when all have heard that: for another one
        a lost connection is a fault, and its node's agent would start it again."""
        self._tell(None)
        self.meeting.gather(None)

    def _tell(self, told: object) -> None:
        if self.given:
            self.meeting.gather(None)  # all have heard the last one
        self.given += 1
        self.meeting.tell(told)

    def follow(self, custom: "Custom | None") -> None:
        """Another rank: compute what the first one says until there is no more. Where that one fails, torchrun ends
        all.

        Raises StageFailed when training was interrupted: a rank that left with 0 would tell its node's agent that all
        is done, and the agent would neither start it again nor wait for the others.
        """
        interrupted = False
        while (told := self.meeting.tell()) is not None:
            work, values = told
            interrupted |= not _compute(work, values, custom)
            self.meeting.gather(None)
        self.meeting.gather(None)
        if interrupted:
            raise StageFailed(INTERRUPTED)


def _compute(work: str, values: dict[str, Any], custom: "Custom | None") -> bool:
    """Whether it was done, and not interrupted."""
    if work == "train":
        from altiplano.training.job import Job
        from altiplano.training.worker import run_job

        return not run_job(Job.model_validate(values), custom)["interrupted"]
    elif work == "export":
        from altiplano.training.export import under_torchrun
        from altiplano.training.job import Job

        under_torchrun(Job.model_validate(values))
    else:
        from altiplano.stages.scoring import ScoringJob

        import_module(f"altiplano.stages.{work}").run(ScoringJob.model_validate(values).context())
    return True
