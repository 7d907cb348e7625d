"""Progress of long work: a bar with rate and time left on a terminal, a plain line now and then otherwise."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
SECONDS_BETWEEN_LINES = 10.0


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Yield the items, saying on standard error how far along they are."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track as bar

        yield from bar(items, description=what, total=total, console=Console(stderr=True), transient=True)
        return
    said = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - said > SECONDS_BETWEEN_LINES:
            print(f"{what}: {number} of {total}", file=sys.stderr, flush=True)
            said = time.monotonic()
        yield item
