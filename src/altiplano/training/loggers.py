"""Other tools' views of what a run measures, fed by its first process: TensorBoard and Weights & Biases.

``metrics.jsonl`` and ``heldout.jsonl`` are the truth; a view gets the same records while they are written. Views are no
part of the mathematics, so they are not part of a recipe either.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from altiplano.errors import InputError
from altiplano.records import HeldoutScores, StepMetrics

LIBRARIES = {"tensorboard": "tensorboard", "wandb": "wandb"}


class Logger(Protocol):
    def write(self, record: StepMetrics | HeldoutScores) -> None:
        """Show a record of ``metrics.jsonl`` or ``heldout.jsonl``."""

    def go_back(self, done: int) -> None:
        """Go on after ``done`` steps, as if those after it had never been."""

    def close(self) -> None: ...


def check_loggers(names: Sequence[str]) -> None:
    """Raise InputError when a view is not known or its library is not installed."""
    for name in names:
        if name not in LIBRARIES:
            raise InputError(f"{name} is not a view of a run; choose from {', '.join(LIBRARIES)}")
        if importlib.util.find_spec(LIBRARIES[name]) is None:
            raise InputError(f'{name} is an optional package: pip install "altiplano[{name}]"')


def open_loggers(names: Sequence[str], folder: Path, run: str, done: int) -> list[Logger]:
    """The views of the run called ``run`` in ``folder``, from after ``done`` steps on. Raises InputError as above."""
    check_loggers(names)
    return [TensorBoard(folder, done) if name == "tensorboard" else WeightsAndBiases(folder, run) for name in names]


class TensorBoard:
    """Event files in ``folder``/tensorboard: ``tensorboard --logdir FOLDER``."""

    def __init__(self, folder: Path, done: int):
        self.folder = folder / "tensorboard"
        self.writer: Any = None
        self.go_back(done)

    def go_back(self, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if self.writer is not None:
            self.writer.close()
        # TensorBoard drops what earlier files say of the steps from here on.
        self.writer = SummaryWriter(str(self.folder), purge_step=done + 1)

    def write(self, record: StepMetrics | HeldoutScores) -> None:
        for name, value in scalars(record):
            self.writer.add_scalar(name, value, record.step)
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()


class WeightsAndBiases:
    """A run of the project ``altiplano``. Sessions of one run are one there, by an identity kept in the folder.

    ``WANDB_MODE=offline`` keeps it on this machine, in ``folder``/wandb, for ``wandb sync`` later.
    """

    def __init__(self, folder: Path, run: str):
        import wandb

        identity = folder / "wandb.id"
        if not identity.exists():
            identity.write_text(uuid4().hex)
        self.run = wandb.init(
            project="altiplano", name=run, id=identity.read_text(), resume="allow", dir=str(folder), reinit="create_new"
        )
        # Steps are values, not W&B's own counter, which cannot go back.
        self.run.define_metric("step")
        self.run.define_metric("*", step_metric="step")

    def go_back(self, done: int) -> None:
        self.run.log({"step": done, "rolled_back": 1.0})

    def write(self, record: StepMetrics | HeldoutScores) -> None:
        self.run.log({"step": record.step, **dict(scalars(record))})

    def close(self) -> None:
        self.run.finish()


def scalars(record: StepMetrics | HeldoutScores) -> Iterator[tuple[str, float]]:
    """The numbers of a record, by names such as ``train/loss`` and ``heldout/web.en/bits_per_byte``."""
    if isinstance(record, HeldoutScores):
        for group, scores in [*record.groups.items(), ("total", record.total)]:
            yield f"heldout/{group}/bits_per_byte", scores.bits_per_byte
            yield f"heldout/{group}/perplexity", scores.perplexity
    else:
        for name, value in [*record.model_dump(exclude={"step", "spent"}).items(), *record.spent.items()]:
            if isinstance(value, int | float):
                yield f"train/{name}", float(value)
