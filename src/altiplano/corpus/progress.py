"""How far a step is: a bar with rate and time left on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from altiplano.progress import SECONDS_BETWEEN_LINES
from altiplano.recipe.units import human_bytes


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
