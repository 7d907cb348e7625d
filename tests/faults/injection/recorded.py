"""Calls of a run on files and collectives: counted by class, and one of them made to fail.

Calls of a class come from the same line of the code (that of ``storage.py`` and the one that called it) and are the
same operation on the same kind of path. What has happened is in memory that forked processes share, so a fault happens
once, whichever process comes first and however often it starts again; or every time, if it is to stay.
"""

import errno
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
"""Through which many go: the line that called them belongs to the class."""
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
    kind: str
    """Of path: names without their numbers and hashes; of a collective: its name."""

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} at {self.where}"


def kind_of(path: str) -> str:
    """``.work/train-0f3a…/checkpoints/.step-00000002`` is of the kind ``.work/train-*/checkpoints/.step-*``."""
    return re.sub(r"\b[0-9a-f]{12}\b|[0-9]+|\b(web|reference)\.[a-z]+", "*", path)


def calling_lines() -> str:
    """The innermost lines of the package in this thread's stack; "native" when there are none."""
    frame, found = sys._getframe(2), []
    while frame is not None:
        name = frame.f_code.co_filename
        if PACKAGE in name:
            place = name.partition(PACKAGE)[2]
            found.append(f"{place}:{frame.f_lineno}")
            if not place.startswith(BELOW):
                break
        frame = frame.f_back  # type: ignore[assignment]
    return " < ".join(found) or "native"


class Recorder:
    """Counts calls by class, in a file beside the folder."""

    def __init__(self, folder: Path, log: Path):
        self.folder = folder
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def ask(self, operation: str, path: str) -> int:
        kind = kind_of(path[len(str(self.folder)) + 1 :])
        os.write(self.log, f"{operation}\t{calling_lines()}\t{kind}\n".encode(errors="replace"))
        return 0

    def ask_collective(self, name: str) -> None:
        os.write(self.log, f"collective\t{calling_lines()}\t{name}\n".encode())


class Injector:
    """Makes the first call of a class fail, or with ``always`` each."""

    def __init__(self, folder: Path, wanted: Class, fault: str, *, always: bool = False):
        self.folder, self.wanted, self.fault, self.always = folder, wanted, fault, always
        self.happened = mmap.mmap(-1, 8)

    @property
    def times(self) -> int:
        return int(struct.unpack("q", self.happened[:8])[0])

    def _due(self, operation: str, path: str) -> bool:
        if operation != self.wanted.operation or (self.times and not self.always):
            return False
        if kind_of(path) != self.wanted.kind or calling_lines() != self.wanted.where:
            return False
        self.happened[:8] = struct.pack("q", self.times + 1)
        return True

    def ask(self, operation: str, path: str) -> int:
        if not self._due(operation, path[len(str(self.folder)) + 1 :]):
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
