"""Batches made ready by a thread while the step before them computes, so that training does not wait for its data."""

import queue
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Protocol, Self

from altiplano.tokens.loader import Batch


class Data(Protocol):
    def batch(self, first_sample: int, rows: int) -> Batch: ...


class Prefetcher:
    """The batches of ``plan``, pairs of (first sample, rows), in its order; up to ``ahead`` of them lie ready.

    To go on elsewhere, after a rollback, close it and make a new one. An error while reading is raised by the ``next``
    that asks for the batch that failed, as itself. The thread ends with ``close``, after an error, or with the plan.
    """

    def __init__(self, data: Data, plan: Iterable[tuple[int, int]], ahead: int = 2):
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._fill, args=(data, plan), name="prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        """The next batch; waits for it. Raises StopIteration after the plan's last, and whatever reading it raised."""
        if self._ended is None:
            item = self._ready.get()
            if not isinstance(item, BaseException):
                return item
            self._ended = item
        raise self._ended

    def close(self) -> None:
        """Stop, and wait for the thread, which finishes at most the batch that it is reading. Can be called twice."""
        self._stop.set()
        while self._thread.is_alive():
            try:  # make room for a thread that waits to put
                self._ready.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)
        self._ended = self._ended or ValueError("the prefetcher is closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fill(self, data: Data, plan: Iterable[tuple[int, int]]) -> None:
        try:
            for first_sample, rows in plan:
                if self._stop.is_set():
                    return
                self._ready.put(data.batch(first_sample, rows))
            self._ready.put(StopIteration())
        except BaseException as error:  # for the training step to raise: a thread has nobody to tell
            self._ready.put(error)
