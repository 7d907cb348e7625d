"""Shard tasks over processes: each task writes its own file, so that a killed run goes on where it stopped.

Processes are Python's own pool, not Daft's ``use_process`` functions. Measured with Daft 0.7.26 on its native runner:
rows are dealt in lock step (behind a long task the other process idles), an exception arrives as a wrapped
RuntimeError and aborts the interpreter at exit, and a worker whose parent was killed works on. Daft does what is
relational: MinHash and the joins of its bands.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from pathlib import Path
from typing import TypeVar

from altiplano.errors import InputError
from altiplano.recipe.units import human_bytes

Task = TypeVar("Task")
Pool = ProcessPoolExecutor | None

PLAIN_SECONDS = 10.0
"""Between two lines of progress where there is no terminal."""


def processors() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def processes(workers: int) -> Iterator[Pool]:
    """So many processes for all steps of a run, started when there is work for them; none when one worker is enough."""
    if workers == 1:
        yield None
        return
    # spawn: no copied locks or threads, and the child can watch the process that started it
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_die_with_parent)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def map_shards(
    title: str,
    work: Callable[[Task], None],
    tasks: Sequence[Task],
    output: Callable[[Task], Path],
    size: Callable[[Task], int],
    pool: Pool,
) -> None:
    """Run ``work`` on each task whose output is not there yet, largest first. ``size`` is in bytes, for progress."""
    todo = sorted((task for task in tasks if not output(task).exists()), key=size, reverse=True)
    if not todo:
        return
    with _progress(title, sum(map(size, todo))) as advance:
        if pool is None or len(todo) == 1:
            for task in todo:
                work(task)
                advance(size(task))
            return
        running: dict[Future[None], Task] = {pool.submit(work, task): task for task in todo}
        for future in as_completed(running):
            try:
                future.result()
            except BrokenProcessPool as error:
                raise InputError(
                    f"{title}: a process was killed, perhaps for want of memory; run again to resume"
                ) from error
            advance(size(running[future]))


def _die_with_parent() -> None:
    """End this worker when its parent is gone, however it went."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield _plain(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    name = TextColumn("{task.description:24}")
    columns = (name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(title, total=total)
        yield lambda amount: progress.advance(bar, amount)


def _plain(title: str, total: int) -> Callable[[int], None]:
    begin = last = time.monotonic()
    done = 0

    def advance(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= PLAIN_SECONDS or (done >= total and now - begin >= PLAIN_SECONDS):
            rate = done / (now - begin)
            left = (total - done) / rate
            print(
                f"{title}: {human_bytes(done)} of {human_bytes(total)}, {human_bytes(rate)}/s, {left:.0f} s left",
                file=sys.stderr,
                flush=True,
            )
            last = now

    return advance
