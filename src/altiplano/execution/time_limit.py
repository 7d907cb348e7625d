"""A limit of processor time for one document: one that takes a library hours is dropped alone.

Processor time, not wall time: a busy or sleeping machine changes nothing. The limits are many times what any
document takes, because a document that one machine drops and another keeps would make their results differ.

The signal is seen between two steps of Python and inside its regular expressions. A single call into a library's own
code (a parser, say) runs to its end first; what keeps those short is the bound on the size of a record.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 60.0
"""For any document; includes compiling the statistics, once a process."""

SECONDS_PER_MB = 60.0
"""More for long ones; the slowest extraction takes about one."""

AGAIN = 1.0
"""Seconds after which the signal comes again, where something caught the first exception."""


class TookTooLongError(BaseException):
    """Not an Exception: libraries catch those."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TookTooLongError in the body when it has used so much of the processor. No limit outside the main thread,
    where Python takes no signals."""
    if not hasattr(signal, "SIGPROF") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise TookTooLongError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def seconds_for(characters: int) -> float:
    """What a document of so many characters may take."""
    return SECONDS + SECONDS_PER_MB * characters / 1e6
