"""The most memory that this process has had, and the workers that told it theirs.

On Linux the count can begin anew: documents do, to see what each takes, and so do stages. What it was before is kept,
so that one does not hide it from the other.
"""

import contextlib
import resource
import sys

_highest = 0


def peak_memory() -> int:
    """Most resident bytes of this process so far. On Linux since its program began or ``forget_peak``: what
    ``getrusage`` says there has the memory of the process that started it."""
    with contextlib.suppress(OSError, LookupError), open("/proc/self/status", "rb", buffering=0) as file:  # noqa: PTH123
        return int(file.read(4096).partition(b"VmHWM:")[2].split(None, 1)[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> int:
    """Begin to count anew, where the kernel can; what ``peak_memory`` is now."""
    note_peak(peak_memory())
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb", buffering=0) as file:  # noqa: PTH123
        file.write(b"5")
    return peak_memory()


def note_peak(size: int) -> None:
    """This process, or a worker of it, had so many bytes at one time."""
    global _highest  # noqa: PLW0603
    _highest = max(_highest, size)


def highest_peak() -> int:
    """Of all that was noted or forgotten, and now, since ``begin_peak``."""
    return max(_highest, peak_memory())


def begin_peak() -> None:
    """Let ``highest_peak`` start anew, so that each stage is charged with its own."""
    global _highest  # noqa: PLW0603
    forget_peak()
    _highest = 0
