"""Shard tasks in this process, or in processes of this machine.

Processes are Python's own pool, not Daft's. Measured with Daft 0.7.26 on its native runner: rows are dealt in lock
step (behind a long task the other process idles), an exception arrives as a wrapped RuntimeError and aborts the
interpreter at exit, a worker whose parent was killed works on, joins of binary keys multiply rows, and inside a Ray
task a query may come back without its rows.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from multiprocessing import connection, get_context, parent_process, resource_tracker
from typing import Any

from altiplano.errors import INTERRUPTED
from altiplano.execution.base import TaskCrashedError, alone
from altiplano.peak_memory import highest_peak, note_peak


def processors() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InProcess:
    """One task after the other, in this process."""

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        for task in tasks:
            try:
                work(task)
            except Exception as error:
                yield task, error
            else:
                yield task, None


class Processes:
    """So many processes of this machine, started when there is work for them."""

    def __init__(self, workers: int):
        self.workers = workers
        self.pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        """When a process dies the pool breaks, and any of the tasks at work may have been the reason: each of them is
        then tried alone."""
        suspects: list[Any] = []
        for task, error in self._together(partial(_run, work, nullcontext), tasks, 2 * self.workers):
            if isinstance(error, BrokenProcessPool):
                suspects.append(task)
            else:
                yield task, error
        for task in suspects:
            for _, error in self._together(partial(_run, work, alone), [task], 1):
                died = "its process was killed, possibly out of memory"
                yield task, TaskCrashedError(died) if isinstance(error, BrokenProcessPool) else error

    def _together(
        self, work: Callable[[Any], int], tasks: Iterable[Any], most: int
    ) -> Iterator[tuple[Any, Exception | None]]:
        """At most ``most`` tasks are submitted at a time: memory does not grow with their number."""
        waiting = iter(tasks)
        running: dict[Future[int], Any] = {}
        while True:
            for task in waiting:
                running[self._submit(work, task)] = task
                if len(running) == most:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                if error is None:
                    note_peak(future.result())
                yield running.pop(future), error
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                self.close()

    def _submit(self, work: Callable[[Any], int], task: Any) -> Future[int]:
        # A process that starts is deaf to Ctrl-C until ``_begin``: it would print what it was importing. Python's
        # tracker of semaphores is started before, for that lets the signal through again.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._started().submit(work, task)
        except BrokenProcessPool:
            self.close()
            return self._started().submit(work, task)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _started(self) -> ProcessPoolExecutor:
        if self.pool is None:
            # spawn: no copied locks or threads, and the child can watch the process that started it
            self.pool = ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_begin)
        return self.pool


def _run(work: Callable[[Any], None], how: Callable[[], AbstractContextManager[None]], task: Any) -> int:
    """The task, in a worker; the most memory that this has had."""
    with how():
        work(task)
    return highest_peak()


def _begin() -> None:
    """End this worker when its parent is gone, however it went, and without a word on Ctrl-C: the parent says it."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
