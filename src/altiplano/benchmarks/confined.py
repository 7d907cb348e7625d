"""``python -I confined.py FOLDER < PROGRAM``: run a program without network, writing into FOLDER alone, with limits.

A script by itself, so that nothing else of this package is in the process. It writes ``READY`` to standard output once
the process is confined, and then becomes the program, whose exit status is its own. Linux only: namespaces of network
and processes, Landlock (https://docs.kernel.org/userspace-api/landlock.html), resource limits.
"""

import ctypes
import os
import resource
import signal
import sys

READY = b"confined\n"
SECONDS = 5
"""Of processor time, for each process."""
MEMORY = 512 * 2**20
FILE_BYTES = 2**20

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PARENT_DEATH_SIGNAL, NO_NEW_PRIVILEGES = 1, 38
# Landlock's system calls, whose numbers are the same on every architecture, and its first version's rights that change
# files: write one, remove a folder or a file, make any kind of file.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
PATH_BENEATH = 1
WRITE = 1 << 1
WRITES = WRITE | sum(1 << bit for bit in range(4, 13))


def main() -> None:
    folder, program = sys.argv[1], sys.stdin.read()
    libc = ctypes.CDLL(None, use_errno=True)
    alone = CLONE_NEWNET | CLONE_NEWPID
    if libc.unshare(CLONE_NEWUSER | alone) != 0:
        check(libc.unshare(alone), "unshare")
    if child := os.fork():  # the child is the first process of its namespace: with it all others there end
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    check(libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0), "prctl")
    forbid_writes(libc, folder)
    for limit, most in (
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 32),
    ):
        resource.setrlimit(limit, (most, most))
    os.write(1, READY)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.execv(sys.executable, [sys.executable, "-I", "-c", program])


def forbid_writes(libc: ctypes.CDLL, folder: str) -> None:
    """Files outside ``folder`` can be read, where this user can, and no more."""
    handled = WRITES.to_bytes(8, sys.byteorder)
    rules = check(libc.syscall(CREATE_RULESET, handled, len(handled), 0), "landlock_create_ruleset")
    for place, allowed in ((folder, WRITES), (os.devnull, WRITE)):
        here = os.open(place, os.O_PATH)
        # struct landlock_path_beneath_attr is packed: 8 bytes of rights, 4 of a descriptor
        rule = allowed.to_bytes(8, sys.byteorder) + here.to_bytes(4, sys.byteorder)
        check(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0), "landlock_add_rule")
        os.close(here)
    check(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
    check(libc.syscall(RESTRICT_SELF, rules, 0), "landlock_restrict_self")
    os.close(rules)


def check(result: int, what: str) -> int:
    """Raises OSError where the system refused."""
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main()
