"""Errors that a user is meant to read."""

import contextlib
import errno
import os
import sys
from typing import TextIO, cast

INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 + SIGINT, as shells have it."""


class InputError(Exception):
    """The user's input cannot be used. The message is one line that names the fix; the command exits with 2."""


class RawFilesMissing(InputError):
    """The raw corpus is not on this machine; what was made from it may be."""


class DoesNotFit(InputError):
    """No layout of a plan fits the memory: an answer, so ``plan`` exits with 1; anywhere else it is bad input."""


class TrainingError(Exception):
    """Training cannot go on. The message is one line; the command exits with 1."""


class Fault(Exception):
    """Something broke that starting again from the last checkpoint can mend; the supervisor does so."""


class StageFailed(Exception):
    """A stage's own process failed and has said why; carries its exit code."""

    def __init__(self, code: int):
        super().__init__(f"exit code {code}")
        self.code = code


def explain_os_error(error: OSError) -> str | None:
    """One line for what a user can mend: a full disk, a folder that may not be written. None for anything else."""
    place = f" ({error.filename})" if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full{place}: free some space, then the same command goes on"
    if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"no permission{place}: {error.strerror}"
    if error.errno == errno.ENOENT and error.filename:
        return f"{error.filename} is missing: compute the stage that writes it again (--force)"
    return None


def explain_machine_error(error: OSError | MemoryError) -> str:
    """One line for what a machine does to a sound program: a disk that fails, a server that is gone, no memory."""
    if isinstance(error, MemoryError):
        return "out of memory: free some, or choose a smaller batch or more devices; then the same command goes on"
    place = f" ({error.filename})" if error.filename else ""
    what = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return f"{what}{place}: mend that, then the same command goes on"


def keep_streams() -> None:
    """Let nothing depend on who reads what a program says: a terminal that is gone, a closed stream, an ASCII locale.

    Descriptors 0 to 2 that are closed are opened on nothing, or the next file that is opened would be one of them, and
    messages would be written into it.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if not isinstance(sys.stderr, _NeverFails):
        sys.stderr = cast(TextIO, _NeverFails(sys.stderr))


class _NeverFails:
    """Standard error on which writing never fails: work goes on when nobody can be told of it."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)
