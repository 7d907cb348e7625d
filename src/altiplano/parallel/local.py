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

GRACE_SECONDS = 5.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fork_ranks(world_size: int, run: Callable[[], int]) -> int:
    """Run ``run`` in ``world_size`` forked processes with torchrun's environment; return the first failure's exit code.

    Ctrl-C is for the ranks: a caller that blocks SIGINT before it starts this process loses none while it imports.
    When a rank fails the others, which wait for it in a collective, are ended. They die with their parent, too.
    """
    port = free_port()
    children: dict[int, int] = {}
    for rank in range(world_size):
        child = os.fork()
        if child == 0:
            _be_rank(rank, world_size, port, run)
        children[child] = rank

    def pass_on(number: int, frame: object) -> None:
        for child in children:
            os.kill(child, number)

    signal.signal(signal.SIGTERM, pass_on)
    if signal.SIGINT in signal.sigpending():  # blocked by the caller, and asked for before there were ranks to hear it
        pass_on(signal.SIGINT, None)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # from now on a terminal sends it to the ranks itself
    failure, deadline = 0, float("inf")
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            code = os.waitstatus_to_exitcode(status)
            rank = children.pop(child)
            if code and not failure:
                failure, deadline = code, time.monotonic() + GRACE_SECONDS
                if code < 0:
                    print(f"altiplano: rank {rank} was ended by {signal.Signals(-code).name}", file=sys.stderr)
        elif time.monotonic() > deadline:
            for child in children:
                os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        else:
            time.sleep(0.02)
    return abs(failure)


def _be_rank(rank: int, world_size: int, port: int, run: Callable[[], int]) -> None:
    """The life of one child: it never returns, so that no exit handler of the parent runs twice."""
    die_with_parent()
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


def die_with_parent() -> None:
    """Linux: be killed when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
