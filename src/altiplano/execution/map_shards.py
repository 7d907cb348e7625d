"""Run a step's shard tasks: each writes its own file, so that a killed run goes on with the files that are missing.

How far a step is: a bar with rate and time left on a terminal, a line now and then elsewhere.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from altiplano.errors import InputError, explain_os_error
from altiplano.execution.base import Engine, TaskCrashedError
from altiplano.execution.local import InProcess, Processes, processors
from altiplano.execution.ray_engine import ray_engine
from altiplano.progress import SECONDS_BETWEEN_LINES
from altiplano.recipe.units import human_bytes

Task = TypeVar("Task")

ATTEMPTS = 3
"""How often a task may fail before it is skipped or the run stops."""


@contextmanager
def open_engine(name: str, workers: int | None) -> Iterator[Engine]:
    """``local``: this machine's processes (with ``workers`` = 1 none but this one); ``ray`` or ``ray:ADDRESS``: a
    Ray cluster.

    Raises InputError for another name.
    """
    kind, _, address = name.partition(":")
    if kind == "ray":
        with ray_engine(address or None, workers) as engine:
            yield engine
        return
    if name != "local":
        raise InputError(f"--engine {name}: must be local, ray or ray:ADDRESS")
    if workers == 1:
        yield InProcess()
        return
    processes = Processes(workers or processors())
    try:
        yield processes
    finally:
        processes.close()


def map_shards(
    title: str,
    work: Callable[[Task], None],
    tasks: Sequence[Task],
    output: Callable[[Task], Path],
    size: Callable[[Task], int],
    engine: Engine,
    skip: Callable[[Task, str], None] | None = None,
) -> None:
    """Run ``work`` on each task whose output is not there yet, largest first. ``size`` is in bytes, for progress.

    A task that fails is tried again; after three failures ``skip`` writes its output instead, with the reason.
    Raises InputError, naming the step, where there is no ``skip``, and where it is the output that cannot be written: a
    disk can be mended, what was skipped is lost.
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
                elif skip is None or _is_of_output(error, output(task)):
                    raise InputError(f"{title}: {_reason(error)}; run again to go on from here") from error
                else:
                    skip(task, _reason(error))
                    advance(size(task))
            todo = again


def _names(folders: set[Path]) -> set[str]:
    """All outputs of a step lie in one folder: listed once, not asked for one by one."""
    return {entry.name for folder in folders if folder.is_dir() for entry in os.scandir(folder)}


def _raise_if_final(error: Exception) -> None:
    """Raise what would only fail again: bad input, a disk that is full or read-only."""
    if isinstance(error, InputError) or (isinstance(error, OSError) and explain_os_error(error) is not None):
        raise error


def _is_of_output(error: Exception, output: Path) -> bool:
    """Whether it is what was written that failed: readers give the names of raw files, writers often none."""
    if not isinstance(error, OSError):
        return False
    return error.filename is None or Path(os.fsdecode(error.filename)).is_relative_to(output.parent.parent)


def _reason(error: Exception) -> str:
    what = " ".join(str(error).split())[:200]
    return what if isinstance(error, TaskCrashedError) else f"{type(error).__name__}: {what}"


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
