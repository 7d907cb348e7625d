"""Several ranks on this machine's CPU without torchrun: one parent imports torch, then forks.

Starting eight interpreters that each import torch takes half a minute on two cores; forking takes none. The parent must
not have used torch's thread pool yet, so callers start a fresh process for it. GPUs and clusters use torchrun.
"""

import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from altiplano.errors import INTERRUPTED

GRACE_SECONDS = 5.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def to_stop() -> list[signal.Signals]:
    """``STOP_SIGNALS`` that are not ignored: ``nohup`` ignores SIGHUP, so that work goes on without its terminal."""
    return [number for number in STOP_SIGNALS if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Ranks:
    """``world_size`` forked processes with torchrun's environment. They die with their parent."""

    def __init__(self, world_size: int, run: Callable[[], int]):
        port = free_port()
        self.alive: dict[int, int] = {}
        """Rank by process id."""
        # Ranks start deaf to requests to stop, which wait until they unblock them; nothing is lost meanwhile.
        parent = os.getpid()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        for rank in range(world_size):
            child = os.fork()
            if child == 0:
                _be_rank(rank, world_size, port, run, parent)
            self.alive[child] = rank
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def ended(self) -> list[tuple[int, int]]:
        """Ranks that ended since the last call, with their exit codes; minus the signal's number for a killed one."""
        found = []
        for child, rank in list(self.alive.items()):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                del self.alive[child]
                found.append((rank, os.waitstatus_to_exitcode(status)))
        return found

    def signal(self, number: int) -> None:
        for child in list(self.alive):
            os.kill(child, number)


def fork_ranks(world_size: int, run: Callable[[], int]) -> int:
    """Run ``run`` in ``world_size`` processes; return the first failure's exit code.

    When a rank fails the others, which wait for it in a collective, are ended. One that fails says why; of one that was
    killed it is said here.
    """
    ranks = Ranks(world_size, run)
    failure, deadline = 0, float("inf")
    while ranks.alive:
        for rank, code in ranks.ended():
            if code and not failure:
                failure, deadline = code if code > 0 else 1, time.monotonic() + GRACE_SECONDS
                if code < 0:
                    name = signal.Signals(-code).name
                    print(f"altiplano: process {rank} was ended by {name}: the same command goes on", file=sys.stderr)
        if time.monotonic() > deadline:
            ranks.signal(signal.SIGKILL)
        time.sleep(0.02)
    return failure


def fork_until_stopped(world_size: int, run: Callable[[], int]) -> int:
    """``fork_ranks`` in a program of its own, which Ctrl-C and SIGTERM end; they share the cores."""
    import torch

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world_size))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # it may be blocked while a program starts another
        return fork_ranks(world_size, run)
    except KeyboardInterrupt:
        return INTERRUPTED


def _be_rank(rank: int, world_size: int, port: int, run: Callable[[], int], parent: int) -> None:
    """The life of one child: it never returns, so that no exit handler of the parent runs twice."""
    die_with_parent(parent)
    with suppress(OSError):  # a rank that runs out of memory is started again; who would start the supervisor?
        Path("/proc/self/oom_score_adj").write_text("500")
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        GLOO_SOCKET_IFNAME="lo",
    )
    code = 1
    try:
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die_with_parent(parent: int | None = None) -> None:
    """Linux: be killed when the parent dies, even by SIGKILL. ``parent`` is its process id, where that is known: one
    that died before this call would never be noticed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if parent is not None and os.getppid() != parent:
        os._exit(1)
