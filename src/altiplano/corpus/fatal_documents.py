"""Documents that end the process that is at work on them, by a crash of a library or for want of memory.

No handler sees that. But which document a task is at stands in a file, which outlives the process: one that was there
when the process died, ``DEATHS`` times in one run, is left out when the task is tried again, and the rest of its shard
is kept. When a process of a pool dies, the others are ended with it, so one of these deaths must be of a task that had
its process to itself. Only a process whose run goes on counts as dead: what ends a run (Ctrl-C, the power, the end of a
job) says nothing of the document.
"""

import hashlib
import os
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from altiplano.execution.base import is_alone

DEATHS = 2
"""For the machine's memory a process may be killed once that has done nothing."""

NONE = 0
PLACE = struct.calcsize("<q")
"""Of the document that a task is at, after the number of the run; those of the deaths before follow."""


class FatalDocuments:
    """What one task knows of its documents, by their places; a context, around its work. A task that ends with an error
    has not died."""

    def __init__(self, file: Path, run: int):
        """``run`` is a number of this run, the same in all its processes."""
        self.file, self.run = file, run
        self.deaths = self._read()
        """Keys of documents, negative where the process was not the task's alone."""
        times = Counter(map(abs, self.deaths))
        self.found = {key for key in self.deaths if key > 0 and times[key] >= DEATHS}

    def _read(self) -> list[int]:
        try:
            raw = self.file.read_bytes()
        except FileNotFoundError:
            return []
        run, *keys = [key for (key,) in struct.iter_unpack("<q", raw[: len(raw) // 8 * 8])] or [NONE]
        return [key for key in keys if key != NONE] if run == self.run else []

    def __contains__(self, place: str) -> bool:
        return _key(place) in self.found

    def __enter__(self) -> Self:
        numbers = (self.run, NONE, *self.deaths)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.unlink(missing_ok=True)  # whoever else is at this task, on a node that was given up, writes elsewhere
        self.handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.pwrite(self.handle, struct.pack(f"<{len(numbers)}q", *numbers), 0)
        return self

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """At work on this document."""
        key = _key(place)
        os.pwrite(self.handle, struct.pack("<q", key if is_alone() else -key), PLACE)
        try:
            yield
        finally:
            os.pwrite(self.handle, struct.pack("<q", NONE), PLACE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.handle)
        if kind is None:
            self.file.unlink(missing_ok=True)


def _key(place: str) -> int:
    """Positive, and no number in the file: where one attempt cannot read a file, the next numbers others."""
    digest = hashlib.blake2b(place.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) >> 1 or 1
