"""Errors that a user is meant to read."""

import errno

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
