"""Shard tasks over processes: each task writes its own file, so that a killed run goes on where it stopped.

Two engines run them: the processes of this machine, or a Ray cluster (``ray_engine.py``). A task depends on nothing but
its arguments and files, so both, with any number of workers, write the same bytes.

Processes are Python's own pool, not Daft's. Measured with Daft 0.7.26 on its native runner: rows are dealt in lock
step (behind a long task the other process idles), an exception arrives as a wrapped RuntimeError and aborts the
interpreter at exit, a worker whose parent was killed works on, joins of binary keys multiply rows, and inside a Ray
task a query may come back without its rows.

How far a step is: a bar with rate and time left on a terminal, a line now and then elsewhere.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import Any, Protocol, TypeVar

from altiplano.errors import InputError, explain_os_error
from altiplano.progress import SECONDS_BETWEEN_LINES
from altiplano.recipe.units import human_bytes

Task = TypeVar("Task")

ATTEMPTS = 3
"""How often a task may fail before it is given up."""


class Engine(Protocol):
    """Something that runs tasks somewhere."""

    def run(self, work: Callable[[Any], None], tasks: Iterable[Any]) -> Iterator[tuple[Any, Exception | None]]:
        """Each task with None, or with the error it failed with, in the order in which they end."""


class TaskCrashedError(Exception):
    """The process of a task died."""


def processors() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_shards(
    title: str,
    work: Callable[[Task], None],
    tasks: Sequence[Task],
    output: Callable[[Task], Path],
    size: Callable[[Task], int],
    engine: Engine,
    give_up: Callable[[Task, str], None] | None = None,
) -> None:
    """Run ``work`` on each task whose output is not there yet, largest first. ``size`` is in bytes, for progress.

    A task that fails is tried again; after three times ``give_up`` may write its output instead, with the reason.
    Raises InputError, naming the step, when it may not.
    """
    there = _names({output(task).parent for task in tasks[:1]})
    todo = sorted((task for task in tasks if output(task).name not in there), key=size, reverse=True)
    if not todo:
        return
    failures: dict[Path, int] = {}
    with progress(title, sum(map(size, todo))) as advance:
        while todo:
            again: list[Task] = []
            for task, error in engine.run(work, todo):
                if error is None:
                    advance(size(task))
                    continue
                _raise_if_final(error)
                failures[output(task)] = failures.get(output(task), 0) + 1
                if failures[output(task)] < ATTEMPTS:
                    again.append(task)
                elif give_up is None:
                    raise InputError(f"{title}: {_said(error)}; run again to go on from here") from error
                else:
                    give_up(task, _said(error))
                    advance(size(task))
            todo = again


def _names(folders: set[Path]) -> set[str]:
    """All outputs of a step lie in one folder: listed once, not asked for one by one."""
    return {entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder)}


def _raise_if_final(error: Exception) -> None:
    """Bad input, and a disk that is full or read-only, would only fail again."""
    if isinstance(error, InputError) or (isinstance(error, OSError) and explain_os_error(error) is not None):
        raise error


def _said(error: Exception) -> str:
    what = " ".join(str(error).split())[:200]
    return what if isinstance(error, TaskCrashedError) else f"{type(error).__name__}: {what}"


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
        for task, error in self._together(work, tasks, 2 * self.workers):
            if isinstance(error, BrokenProcessPool):
                suspects.append(task)
            else:
                yield task, error
        for task in suspects:
            for _, error in self._together(work, [task], 1):
                died = "its process was killed, perhaps for want of memory"
                yield task, TaskCrashedError(died) if isinstance(error, BrokenProcessPool) else error

    def _together(
        self, work: Callable[[Any], None], tasks: Iterable[Any], most: int
    ) -> Iterator[tuple[Any, Exception | None]]:
        """At most ``most`` tasks wait or work at a time, so that millions of them cost nothing."""
        waiting = iter(tasks)
        running: dict[Future[None], Any] = {}
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
                yield running.pop(future), error
            if any(isinstance(future.exception(), BrokenProcessPool) for future in done):
                self.close()

    def _submit(self, work: Callable[[Any], None], task: Any) -> Future[None]:
        try:
            return self._started().submit(work, task)
        except BrokenProcessPool:
            self.close()
            return self._started().submit(work, task)

    def _started(self) -> ProcessPoolExecutor:
        if self.pool is None:
            # spawn: no copied locks or threads, and the child can watch the process that started it
            self.pool = ProcessPoolExecutor(self.workers, get_context("spawn"), initializer=_die_with_parent)
        return self.pool


@contextmanager
def open_engine(name: str, workers: int | None) -> Iterator[Engine]:
    """``local``: this machine's processes (none with one worker); ``ray`` or ``ray:ADDRESS``: a Ray cluster.

    Raises InputError for another name.
    """
    kind, _, address = name.partition(":")
    if kind == "ray":
        from altiplano.corpus.execution.ray_engine import ray_engine

        with ray_engine(address or None, workers) as engine:
            yield engine
        return
    if name != "local":
        raise InputError(f"--engine {name}: must be local, ray or ray:ADDRESS")
    workers = workers or processors()
    if workers == 1:
        yield InProcess()
        return
    processes = Processes(workers)
    try:
        yield processes
    finally:
        processes.close()


def _die_with_parent() -> None:
    """End this worker when its parent is gone, however it went."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function to call with the bytes that are done."""
    if not sys.stderr.isatty():
        yield _plain(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    name = TextColumn("{task.description:24}")
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task(title, total=total)
        yield lambda amount: bars.advance(bar, amount)


def _plain(title: str, total: int) -> Callable[[int], None]:
    begin = last = time.monotonic()
    done = 0

    def advance(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or (done >= total and now - begin >= SECONDS_BETWEEN_LINES):
            rate = done / (now - begin)
            left = (total - done) / max(rate, 1e-9)
            print(
                f"{title}: {human_bytes(done)} of {human_bytes(total)}, {human_bytes(rate)}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            last = now

    return advance
