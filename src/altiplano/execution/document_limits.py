"""Limits of processor time and memory for one document: one that takes a library hours, or a machine's memory, is
dropped alone.

Processor time, not wall time: a busy or sleeping machine changes nothing. The limits are many times what any
document takes, because a document that one machine drops and another keeps would make their results differ.

A signal every ``TICK`` looks at both. It is seen between two steps of Python and inside its regular expressions. A
single call into a library's own code (a parser, say) runs to its end first; what keeps those short is the bound on the
size of a record. For memory there is one more bound, which such a call meets, too: on Linux the kernel refuses more
than twice what the document may take, and what is refused ends as a MemoryError. It is twice, so that Python sees the
first limit before a library's code sees the second, which some answer by ending the process.

Memory is what the process has most of at any time during the document, beyond what it had before: also what a library
took, was refused and gave back before anybody looked. (Not what it asked for in one piece, was refused and took for an
error of its own.) On Linux it is counted anew for each document; elsewhere (macOS)
only what exceeds all that the process ever had is seen.
"""

import contextlib
import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from altiplano.peak_memory import forget_peak, peak_memory

SECONDS = 60.0
"""For any document; includes compiling the statistics, once a process."""

SECONDS_PER_MB = 60.0
"""More for long ones; the slowest extraction takes about one."""

BYTES = 2**30
"""For any document; includes what is loaded for the first one in a process (0.1 GB)."""

BYTES_PER_CHARACTER = 100
"""More for long ones. Most take 10 to 70; the densest markup made on purpose (a tag every few characters) 270."""

TICK = 0.1
"""Seconds of processor time between two looks."""


class LimitReachedError(BaseException):
    """Not an Exception: libraries catch those."""


class TookTooLongError(LimitReachedError):
    pass


class TookTooMuchMemoryError(LimitReachedError):
    pass


@contextmanager
def document_limits(seconds: float, memory: int) -> Iterator[None]:
    """Raise TookTooLongError in the body when it has used so much of the processor, TookTooMuchMemoryError when it has
    taken so many bytes or more than there are. No limits outside the main thread, where Python takes no signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    begun, held = time.process_time(), forget_peak()

    def look(_: int | None = None, __: FrameType | None = None) -> None:
        if peak_memory() - held > memory:
            raise TookTooMuchMemoryError
        if time.process_time() - begun >= seconds:
            raise TookTooLongError

    before = signal.signal(signal.SIGPROF, look)
    signal.siginterrupt(signal.SIGPROF, False)  # reads and writes of libraries go on
    data = _refuse_beyond(2 * memory)
    try:
        signal.setitimer(signal.ITIMER_PROF, TICK, TICK)
        try:
            yield
            look()
        except MemoryError as error:
            raise TookTooMuchMemoryError from error
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, data)
        signal.signal(signal.SIGPROF, before)


def seconds_for(characters: int) -> float:
    """What a document of so many characters may take."""
    return SECONDS + SECONDS_PER_MB * characters / 1e6


def bytes_for(characters: int) -> int:
    """What a document of so many characters may take."""
    return BYTES + BYTES_PER_CHARACTER * characters


def _refuse_beyond(more: int) -> tuple[int, int]:
    """Let the kernel refuse more than so many bytes beyond those that this process has; the limits before."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(OSError, ValueError):
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123
            pages = int(file.read(200).split()[5])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more
        soft = limit if before[0] == resource.RLIM_INFINITY else min(limit, before[0])
        resource.setrlimit(resource.RLIMIT_DATA, (soft, before[1]))
    return before
