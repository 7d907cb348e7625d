"""What a checkpoint is on the disk: a torch.distributed.checkpoint folder with a manifest of checksums.

It is published by rename: ``saving.py`` writes it, ``loading.py`` reads its tensors; here is what needs no tensors.
A checkpoint that cannot be used is renamed and never removed: it may be all that is left of months of work.
"""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from altiplano.errors import InputError
from altiplano.records import CheckpointManifest, TrainingSummary
from altiplano.storage import ABSENT, Damaged, digest, listed, sync

MANIFEST = "manifest.json"
NAME = re.compile(r"step-[0-9]{8,}")
DAMAGED, UNREADABLE, ROLLED_BACK, REPLACED = "damaged", "unreadable", "rolled-back", "replaced"
ASIDE = (DAMAGED, UNREADABLE, ROLLED_BACK, REPLACED)
"""Why a checkpoint was renamed; its name begins with it."""
DIGESTS = ".weights.json"
"""In the folder of a training that is done: the sha256 of each file in ``weights/``, for who publishes them."""


def saved(folder: Path) -> list[Path]:
    """Published checkpoints, newest first. Raises OSError when the folder is there and cannot be listed."""
    try:
        found = list(folder.iterdir())  # Path.glob would take a folder that cannot be read for an empty one
    except FileNotFoundError:
        return []
    return sorted((path for path in found if NAME.fullmatch(path.name)), key=step_of, reverse=True)


def kept_aside(folder: Path) -> list[Path]:
    """Checkpoints that ``set_aside`` renamed: nothing loads them, nothing removes them."""
    return sorted(path for path in listed(folder, "*-step-*") if path.name.split("-step-")[0] in ASIDE)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("step-")[2].partition(".")[0])


def of_step(folder: Path, step: int) -> Path:
    return folder / f"step-{step:08d}"


def to_average(folder: Path, steps: Sequence[int]) -> dict[int, Path]:
    """The checkpoints of these steps, ascending, whose mean is a training's result. Raises InputError when one is
    missing."""
    found = {step: of_step(folder, step) for step in steps}
    missing = [step for step, path in found.items() if not path.exists()]
    if missing and len(steps) > 1:
        raise InputError(
            f"{folder} has no checkpoint of step {missing[-1]:,}, one of {len(steps)} to average: bring it back, or "
            f"average fewer: --set average.checkpoints={sum(step > missing[-1] for step in steps)} "
            "--allow average.checkpoints"
        )
    return found


def read_manifest(checkpoint: Path) -> CheckpointManifest:
    """Raises Damaged when it is not what was written, OSError when it cannot be read, InputError when it is newer."""
    return CheckpointManifest.read(checkpoint / MANIFEST)


@dataclass(frozen=True)
class Condition:
    """Whether a checkpoint can be used. What cannot be read may be sound, what reads otherwise than written is not."""

    problem: str = ""
    """Empty: every file is as it was written."""
    readable: bool = True

    def __str__(self) -> str:
        return f"{DAMAGED} ({self.problem})" if self.readable else f"{UNREADABLE} ({self.problem})"


def check(checkpoint: Path, part: int = 0, of: int = 1, progress: Callable[[], None] = lambda: None) -> Condition:
    """The condition of a checkpoint. Raises InputError when a newer Altiplano wrote it.

    With ``part`` and ``of`` only that share of the files is read, so that many processes can do it together;
    ``progress`` is called before each file.
    """
    try:
        manifest = read_manifest(checkpoint)
        if manifest.step != step_of(checkpoint):
            return Condition(f"its manifest is of step {manifest.step}")
        if ".metadata" not in manifest.files:
            return Condition("its manifest does not name .metadata")
        for name, written in sorted(manifest.files.items())[part::of]:
            progress()
            if digest(checkpoint / name) != written:
                return Condition(f"{name} has changed")
    except FileNotFoundError as error:
        return Condition(f"{Path(error.filename).name} is missing")
    except OSError as error:  # no permission, a broken disk, too many open files: says nothing about the bytes
        return Condition(f"{Path(error.filename or checkpoint).name}: {error.strerror}", readable=False)
    except Damaged as error:
        return Condition(str(error))
    return Condition()


def set_aside(checkpoint: Path, why: str) -> Path:
    """Rename a checkpoint, so that nothing loads it and nothing removes it: ``damaged-step-00000030``."""
    endings = chain([""], (f".{number}" for number in count(2)))
    names = (checkpoint.with_name(f"{why}-{checkpoint.name}{ending}") for ending in endings)
    place = next(name for name in names if not name.exists())
    checkpoint.rename(place)
    sync(place.parent)
    return place


def size(checkpoints: Iterable[Path]) -> int:
    """Bytes on the disk, as far as they can be seen."""
    total = 0
    for checkpoint in checkpoints:
        with suppress(OSError):
            total += sum(entry.stat().st_size for entry in os.scandir(checkpoint))
    return total


def is_trained(folder: Path, steps: int) -> bool:
    """Whether training in ``folder`` took its last step and only the weights are left to be written. Raises OSError
    when that cannot be read."""
    try:
        done = TrainingSummary.read(folder / "run.json")
    except (*ABSENT, Damaged):  # one that is damaged is written again after the last step
        return False
    return done.finished and done.steps == steps and of_step(folder / "checkpoints", steps).exists()
