"""A supervised training job in which faults happen: ``python faulty.py JOB.json FAULTS.json``.

The faults are real (signals, flipped bits, allocations that fail); only their moment is arranged, by wrapping what the
ranks call at that moment. Each happens once: a mark on disk, with its time, outlives the process.
"""

import errno
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from altiplano.parallel.processes import die_with_parent
from altiplano.tokens.loader import Batch
from altiplano.tokens.training_data import TrainingData
from altiplano.training import trainer, worker
from altiplano.training.checkpoints import checkpoint, saving
from altiplano.training.job import Job
from altiplano.training.supervisor import Supervisor
from altiplano.training.trainer import Trainer

Fault = dict[str, Any]
POISON = 300  # a token that the text hardly has


class Faults:
    def __init__(self, faults: list[Fault], marks: Path):
        self.faults, self.marks = faults, marks
        self.step = -1
        marks.mkdir(exist_ok=True)

    def due(self, *kinds: str, step: int | None = None) -> Fault | None:
        """The fault of one of these kinds that is to happen now on this rank; it counts as done from here on."""
        now = self.step if step is None else step
        for number, fault in enumerate(self.faults):
            mark = self.marks / str(number)
            here = fault["kind"] in kinds and fault["rank"] == int(os.environ["RANK"])
            if here and (fault["step"] <= now if fault.get("always") else fault["step"] == now and not mark.exists()):
                mark.write_text(json.dumps({**fault, "time": time.time()}))
                return fault
        return None


def before_a_step(faults: Faults) -> None:
    original = Trainer.batch

    def batch(self: Trainer) -> Batch:
        faults.step = self.done
        here = os.getpid()
        if faults.due("kill"):
            os.kill(here, signal.SIGKILL)
        if faults.due("stop"):
            os.kill(here, signal.SIGSTOP)
        if faults.due("terminate"):
            os.kill(here, signal.SIGTERM)
        if faults.due("hang"):
            time.sleep(3600)
        if faults.due("raise"):
            raise ValueError("a broken disk")
        if faults.due("memory"):
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, held + 2**26))
            bytearray(2**28)
        if faults.due("flip"):
            parameter = next(iter(self.parameters.values()))
            local = parameter.to_local() if isinstance(parameter, DTensor) else parameter
            local.detach().view(torch.uint8).flatten()[2] ^= 4
        slow = next((fault for fault in faults.faults if fault["kind"] == "slow"), None)
        if slow and slow["rank"] == int(os.environ["RANK"]) and 0 <= self.done - slow["step"] < slow["steps"]:
            faults.due("slow")
            time.sleep(0.3)
        return original(self)

    Trainer.batch = batch  # type: ignore[method-assign]


def while_starting(faults: Faults) -> None:
    original = worker.start_mesh

    def start_mesh(*arguments: Any) -> Any:
        if faults.due("stop while starting"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(*arguments)

    worker.start_mesh = start_mesh


def in_a_gradient(faults: Faults) -> None:
    original = trainer.clip_gradient

    def clip(parameters: Any, *rest: Any) -> torch.Tensor:
        parameters = list(parameters)
        if faults.due("nan"):
            gradient = parameters[0].grad
            local = gradient.to_local() if isinstance(gradient, DTensor) else gradient
            local[0] = float("nan")
        return original(parameters, *rest)

    trainer.clip_gradient = clip


def after_an_update(faults: Faults) -> None:
    """Arithmetic that goes wrong on one rank: its copy of a norm's weight gets another value."""
    original = Trainer._update

    def update(self: Trainer, step: int, finite: bool) -> None:
        original(self, step, finite)
        if faults.due("diverge"):
            self.parameters["layers.0.input_layernorm.weight"].detach().to_local()[0] += 0.5

    Trainer._update = update  # type: ignore[method-assign]


def in_the_data(faults: Faults) -> None:
    """Samples whose every target is one rare token: whoever learns from them diverges."""
    original = trainer.read_batch

    def read_batch(data: TrainingData, samples: np.ndarray | range) -> Batch:
        clean = original(data, samples)
        for fault in faults.faults:
            if fault["kind"] == "poison" and len(samples) and fault["samples"][0] <= samples[0] < fault["samples"][1]:
                if int(os.environ["RANK"]) == 0:
                    faults.due("poison", step=fault["step"])  # read ahead, so before its step
                clean.targets.fill_(POISON)
        return clean

    trainer.read_batch = read_batch


def in_a_save(faults: Faults) -> None:
    """A kill before anything is written, with the tensors written, before the rename, and after it."""

    def kill_before(owner: Any, name: str, kind: str, step_of: Callable[..., int]) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            if faults.due(kind, step=step_of(*arguments, **named)):
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **named)

        setattr(owner, name, wrapped)

    def of_folder(folder: Path) -> int:
        return int(folder.name.rpartition("-")[2])

    kill_before(saving, "write_tensors", "kill before writing", lambda tensors, folder, rank: of_folder(folder))
    kill_before(saving.Saver, "_digests", "kill after writing", lambda self, unfinished: of_folder(unfinished))
    kill_before(saving, "_publish", "kill before publishing", lambda unfinished, final, manifest: of_folder(final))
    kill_before(saving, "prune", "kill after publishing", lambda folder, newest, *_: of_folder(newest))
    rename = Path.rename

    def renamed(self: Path, target: Any) -> Path:
        if self.name.startswith(".step-") and faults.due("kill before the rename", step=of_folder(self)):
            os.kill(os.getpid(), signal.SIGKILL)
        return rename(self, target)

    Path.rename = renamed  # type: ignore[method-assign]


ERRORS: dict[str, BaseException] = {
    "MemoryError": MemoryError(),
    "RuntimeError": RuntimeError("what nobody thought of"),
    "KeyError": KeyError("files"),
    "SystemExit": SystemExit(3),
}


def an_error_in_a_save(faults: Faults) -> None:
    """Anything may be raised anywhere: ``where`` names what raises it, ``error`` one of ERRORS."""

    def wrap(owner: Any, name: str, step_of: Callable[..., int]) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            due = any(fault.get("where") == name for fault in faults.faults)
            if due and (fault := faults.due("error in a save", step=step_of(*arguments, **named))):
                raise ERRORS[fault["error"]]
            return original(*arguments, **named)

        setattr(owner, name, wrapped)

    def of_folder(folder: Path) -> int:
        return int(folder.name.rpartition("-")[2])

    wrap(saving.Saver, "_digests", lambda self, unfinished: of_folder(unfinished))
    wrap(saving, "_publish", lambda unfinished, final, manifest: of_folder(final))
    wrap(saving, "prune", lambda folder, newest, *_: of_folder(newest))
    wrap(saving, "write_tensors", lambda tensors, folder, rank: of_folder(folder))


def unreadable_files(faults: Faults) -> None:
    """Files of checkpoints that cannot be read, as a network or a disk would have it."""
    found = [fault for fault in faults.faults if fault["kind"] == "unreadable"]
    original = checkpoint.digest

    def digest(path: Path) -> str:
        for fault in found:
            if path.suffix == ".distcp" and not path.parent.name.startswith(".") and os.environ["RANK"] == "0":
                number = getattr(errno, fault["error"])
                raise OSError(number, os.strerror(number), str(path))
        return original(path)

    checkpoint.digest = digest


def install(faults: Faults) -> None:
    for wrap in (
        while_starting,
        before_a_step,
        in_a_gradient,
        after_an_update,
        in_the_data,
        in_a_save,
        an_error_in_a_save,
        unreadable_files,
    ):
        wrap(faults)


def main() -> int:
    die_with_parent()
    job = Job.model_validate_json(Path(sys.argv[1]).read_text())
    install(Faults(json.loads(Path(sys.argv[2]).read_text()), job.folder / "injected"))
    return Supervisor(job).run()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
