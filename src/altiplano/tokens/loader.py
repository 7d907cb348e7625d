"""Batches of windows of the token stream, made ready by a thread while the step before them computes, so that training
does not wait for its data."""

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
import torch
from torch import Tensor

from altiplano.tokens.training_data import TrainingData

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """All [rows, sequence] int64. ``targets`` is IGNORED where the next token begins another document."""

    tokens: Tensor
    targets: Tensor
    document: Tensor

    @property
    def valid(self) -> int:
        """Tokens to be predicted."""
        return int((self.targets != IGNORED).sum())

    def to(self, device: torch.device) -> "Batch":
        """On ``device``; from pinned memory to a GPU without waiting for the copy."""
        ahead = device.type != "cpu"  # a copy to the CPU could be read before it is there
        return Batch(*(t.to(device, non_blocking=ahead) for t in (self.tokens, self.targets, self.document)))

    def pinned(self) -> "Batch":
        """In memory that a GPU can copy from while this process goes on."""
        return Batch(*(t.pin_memory() for t in (self.tokens, self.targets, self.document)))


def make_batch(windows: np.ndarray, bos: int) -> Batch:
    """A batch from windows of sequence + 1 tokens [rows, sequence + 1]; rows may be 0.

    NumPy throughout: torch would start a second pool of threads when a prefetching thread calls this.
    """
    begins = windows == bos
    targets = windows[:, 1:].astype(np.int64)
    np.copyto(targets, IGNORED, where=begins[:, 1:])
    starts = begins[:, :-1].copy()
    starts[:, 1:] &= ~begins[:, :-2]  # a run of begin tokens is padding: one document, not many
    document = np.cumsum(starts, axis=1, dtype=np.int64)
    return Batch(*map(torch.from_numpy, (windows[:, :-1].astype(np.int64), targets, document)))


def read_batch(data: TrainingData, samples: np.ndarray | range) -> Batch:
    """These places [rows] of the run's one global order of samples; rows may be 0."""
    return make_batch(data.read(data.starts(samples)), data.bos)


class Prefetcher:
    """The batches of ``plan``, each the samples [rows] of one, in its order; up to ``ahead`` of them lie ready.

    To go on elsewhere, after a rollback, close it and make a new one. An error while reading is raised by the ``next``
    that asks for the batch that failed, as itself. The thread ends with ``close``, after an error, or with the plan.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray | range], Batch],
        plan: Iterable[np.ndarray | range],
        ahead: int = 2,
        device: torch.device | None = None,
    ):
        """``read`` gives the batch of these samples; ``device``: where batches will go, those for a GPU lie in pinned
        memory."""
        self._gpu = device if device is not None and device.type == "cuda" else None
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(ahead)
        self._stop = threading.Event()
        self._ended: BaseException | None = None
        self._thread = threading.Thread(target=self._fill, args=(read, plan), name="prefetch", daemon=True)
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

    def _fill(self, read: Callable[[np.ndarray | range], Batch], plan: Iterable[np.ndarray | range]) -> None:
        try:
            if self._gpu is not None:
                torch.cuda.set_device(self._gpu)  # a new thread begins at the first GPU, and would take memory there
            for samples in plan:
                if self._stop.is_set():
                    return
                batch = read(samples)
                self._ready.put(batch if self._gpu is None else batch.pinned())
            self._ready.put(StopIteration())
        except BaseException as error:  # for the training step to raise: a thread has nobody to tell
            self._ready.put(error)
