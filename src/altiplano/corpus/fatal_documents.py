"""Documents that end the process that is at work on them, by a crash of a library or for want of memory.

No handler sees that. But the number of the document that a task is at stands in a file, which outlives the process: one
that was there when the process died, ``DEATHS`` times in one run, is left out when the task is tried again, and the
rest of its shard is kept. Only a process whose run goes on counts as dead: what ends a run (Ctrl-C, the power, the end
of a job) says nothing of the document.
"""

import os
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

DEATHS = 2
"""With another process of the pool, or for the machine's memory, one may die that has done nothing."""

NONE = -1
PLACE = struct.calcsize("<q")
"""Of the number of the document, after that of the run; those of the deaths before follow."""


class FatalDocuments:
    """What one task knows of its documents, by their numbers in it; a context, around its work. A task that ends with
    an error has not died."""

    def __init__(self, file: Path, run: int):
        """``run`` is a number of this run, the same in all its processes."""
        self.file, self.run = file, run
        self.deaths = self._read()
        self.numbers = {number for number, times in Counter(self.deaths).items() if times >= DEATHS}

    def _read(self) -> list[int]:
        try:
            raw = self.file.read_bytes()
        except FileNotFoundError:
            return []
        run, *numbers = [number for (number,) in struct.iter_unpack("<q", raw[: len(raw) // 8 * 8])] or [NONE]
        return [number for number in numbers if number != NONE] if run == self.run else []

    def __enter__(self) -> Self:
        numbers = (self.run, NONE, *self.deaths)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.pwrite(self.handle, struct.pack(f"<{len(numbers)}q", *numbers), 0)
        return self

    @contextmanager
    def at(self, number: int) -> Iterator[None]:
        """At work on this document."""
        os.pwrite(self.handle, struct.pack("<q", number), PLACE)
        try:
            yield
        finally:
            os.pwrite(self.handle, struct.pack("<q", NONE), PLACE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.handle)
        if kind is None:
            self.file.unlink()
