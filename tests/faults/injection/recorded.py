"""Calls of a run on files and collectives: counted by class, and one of them made to fail.

Calls of a class are equal: the same operation, from the same lines of the package (its whole stack, from the innermost
to the command), on the same kind of path. What has happened is in memory that forked processes share, so a fault
happens once, whichever process comes first and however often it starts again; or every time, if it is to stay.
"""

import errno
import hashlib
import mmap
import os
import re
import signal
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch.distributed as dist

from faults.injection.shim import DEAD, MEMORY, SHORT, TORN_AND_DEAD, watch

PACKAGE = f"{os.sep}src{os.sep}altiplano{os.sep}"
BELOW = ("storage.py", "execution/files.py", "records/record.py")
"""Through which many go: the line that called them is shown, too."""
STAGES = ("curate", "tokenize", "train", "evaluate", "calibrate", "redteam", "release")
ERRORS = ("EIO", "ENOSPC", "EACCES", "ESTALE")
READ_ERRORS = ("EIO", "EACCES", "ESTALE")
FAULTS = {
    "open": (*READ_ERRORS, "MemoryError", "death"),
    "open to write": (*ERRORS, "MemoryError", "death"),
    "read": ("EIO", "ESTALE"),
    "write": ("EIO", "ENOSPC", "short", "torn and dead", "MemoryError"),
    "fsync": ("EIO", "ENOSPC", "death"),
    "rename": (*ERRORS, "MemoryError", "death"),
    "unlink": (*READ_ERRORS, "death"),
    "mkdir": (*ERRORS, "death"),
    "link": ("EIO", "EACCES", "death"),
    "chmod": ("EIO", "EACCES"),
    "list": READ_ERRORS,
    "stat": READ_ERRORS,
    "flock": ("EIO", "ESTALE", "death"),
    "collective": ("lost", "MemoryError", "death", "hang"),
}
COLLECTIVES = (
    *("all_gather", "all_gather_into_tensor", "all_gather_object", "all_reduce", "barrier", "broadcast"),
    *("broadcast_object_list", "gather_object", "init_process_group", "new_group", "reduce_scatter_tensor"),
)


@dataclass(frozen=True, order=True)
class Class:
    operation: str
    where: str
    """The innermost lines, for people."""
    stack: str
    """A hash of all lines; with the number of ranks, when a rank makes the call."""
    kind: str
    """Of path, or the name of a collective."""

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} at {self.where}"


def kind_of(path: str) -> str:
    """``.work/train-0f3a…/checkpoints/.step-00000002/manifest.json`` is of the kind
    ``unfinished/checkpoints/.step-*/*.json``: unfinished, published or of the run; folders; hidden or not; suffix."""
    area, *inner = Path(re.sub(r"\b[0-9a-f]{12}\b|[0-9]+", "*", path)).parts or [""]
    if area == ".work":
        area, inner = "unfinished", inner[1:]
    elif area in STAGES:
        area = "published"
    else:
        area, inner = "run", [area, *inner]
    if inner and (suffix := Path(inner[-1].lstrip(".")).suffix):
        inner[-1] = "." * inner[-1].startswith(".") + "*" + suffix
    return "/".join([area, *inner])


def calling_lines() -> list[str]:
    """The package's lines in this thread's stack, innermost first; none for threads of libraries."""
    frame, found = sys._getframe(2), []
    while frame is not None:
        name = frame.f_code.co_filename
        if PACKAGE in name:
            found.append(f"{name.partition(PACKAGE)[2]}:{frame.f_lineno}")
        frame = frame.f_back  # type: ignore[assignment]
    return found


def class_of(operation: str, kind: str, lines: list[str]) -> Class:
    inner = next((place for place, line in enumerate(lines) if not line.startswith(BELOW)), len(lines) - 1)
    ranks = os.environ.get("WORLD_SIZE", "1") if any(line.startswith("training/worker.py") for line in lines) else ""
    stack = hashlib.sha256(" ".join([*lines, ranks]).encode()).hexdigest()[:12]
    return Class(operation, " < ".join(lines[: inner + 1]) or "native", stack, kind)


class Recorder:
    """Writes the class of each call into a file beside the folder."""

    def __init__(self, folder: Path, log: Path):
        self.folder = folder
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def _note(self, found: Class) -> None:
        line = "\t".join([found.operation, found.where, found.stack, found.kind])
        os.write(self.log, (line + "\n").encode(errors="replace"))

    def ask(self, operation: str, path: str) -> int:
        self._note(class_of(operation, kind_of(path[len(str(self.folder)) + 1 :]), calling_lines()))
        return 0

    def ask_collective(self, name: str) -> None:
        self._note(class_of("collective", name, calling_lines()))


class Injector:
    """Makes one call of a class fail, the ``at``-th, or with ``always`` each."""

    def __init__(self, folder: Path, wanted: Class, fault: str, at: int = 1, *, always: bool = False):
        self.folder, self.wanted, self.fault, self.at, self.always = folder, wanted, fault, at, always
        self.shared = mmap.mmap(-1, 16)

    @property
    def counted(self) -> tuple[int, int]:
        """Calls of the class, and how often one failed."""
        return struct.unpack("qq", self.shared[:16])

    def _due(self, operation: str, kind: str) -> bool:
        if (operation, kind) != (self.wanted.operation, self.wanted.kind):
            return False
        if class_of(operation, kind, calling_lines()) != self.wanted:
            return False
        calls, times = self.counted
        due = self.always or calls + 1 == self.at
        self.shared[:16] = struct.pack("qq", calls + 1, times + due)
        return due

    def ask(self, operation: str, path: str) -> int:
        if operation != self.wanted.operation or not self._due(operation, kind_of(path[len(str(self.folder)) + 1 :])):
            return 0
        special = {"short": SHORT, "torn and dead": TORN_AND_DEAD, "death": DEAD, "MemoryError": MEMORY}
        return special.get(self.fault) or getattr(errno, self.fault)

    def ask_collective(self, name: str) -> None:
        if self._due("collective", name):
            if self.fault == "death":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fault == "hang":
                time.sleep(3600)
            if self.fault == "MemoryError":
                raise MemoryError
            raise RuntimeError("Connection closed by peer [127.0.0.1]:1")


def install(asked: Recorder | Injector) -> None:
    """In this process and all that it forks."""
    watch(asked.folder, asked.ask)
    for name in COLLECTIVES:
        original = getattr(dist, name)

        def wrapped(*arguments: Any, _name: str = name, _original: Any = original, **named: Any) -> Any:
            asked.ask_collective(_name)
            return _original(*arguments, **named)

        setattr(dist, name, wrapped)
