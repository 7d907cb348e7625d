"""Programs that a model wrote, in a process of their own: without network, with little time, memory and disk."""

import ctypes
import os
import resource
import subprocess
import sys
import tempfile

from altiplano.errors import InputError

SECONDS = 5.0
MEMORY = 512 * 2**20
FILE_BYTES = 2**20
PROCESSES = 16
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def passes(program: str, tests: str) -> bool:
    """Whether ``program`` and then ``tests`` run to their end. Raises InputError where the network cannot be taken.

    The process is another user without rights over this one where the system allows it; still, run this where nothing
    of worth lies: a container or a virtual machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-I", "-c", program + "\n" + tests],
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS * 2,
                preexec_fn=_confine,
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        except subprocess.SubprocessError as error:
            raise InputError(
                "programs cannot be run here without a network of their own (user namespaces are off): use a container "
                "that allows them"
            ) from error
    return done.returncode == 0


def _confine() -> None:
    """In the child, before the program: no network, and limits that it cannot raise."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 and libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    for limit, most in (
        (resource.RLIMIT_CPU, int(SECONDS)),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(limit, (most, most))
