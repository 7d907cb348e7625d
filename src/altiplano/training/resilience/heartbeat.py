"""Signs of life: every rank notes what it does and since when; whoever watches can tell who stopped.

One small file a rank, in a folder that all ranks of a machine see. A hang shows as a note that grows old. A note says
itself how old it may become: a rank knows how long it took from one sign to the next until now, its watcher does not.

Under torchrun nobody but the ranks themselves can see that one hangs: each watches those of its machine.

torchrun's agent starts all ranks again when one dies, but waits for ever for one that neither works nor dies. The
first rank of a machine to find another without a sign of life ends it, and the agent does the rest.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from altiplano.training.resilience import incidents

PHASES = ("init", "data", "compute", "validation", "save")
"""What a rank does within a step, in order."""
PATIENCE = 5.0
"""A rank hangs when it shows no sign of life for so many times the longest that it lately took from one to the next."""
REMEMBERED = 200
"""Signs of life of each phase that are looked at for that."""
LENGTH = 120


class Heartbeat:
    """This rank's note."""

    def __init__(self, folder: Path, rank: int, hang_seconds: float, init_seconds: float):
        """``hang_seconds`` without a sign of life are allowed at least; ``init_seconds`` while it starts."""
        folder.mkdir(parents=True, exist_ok=True)
        self.file = os.open(folder / f"rank-{rank:05d}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.hang_seconds, self.init_seconds = hang_seconds, init_seconds
        self.step = 0
        self.last = ("", 0.0)
        self.taken: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=REMEMBERED))

    def beat(self, doing: str) -> None:
        """Say that this rank now begins ``doing``, or gets on with it."""
        now = time.monotonic()
        before, at = self.last
        if before:
            self.taken[before].append(now - at)
        self.last = (doing, now)
        note = f"{now:.3f} {os.getpid()} {self.step} {doing} {self.limit(doing):.3f} {attempt()}"
        os.pwrite(self.file, note.ljust(LENGTH).encode(), 0)

    def limit(self, doing: str) -> float:
        """Seconds without a sign of life that ``doing`` may take."""
        if doing == PHASES[0]:
            return self.init_seconds
        return max(self.hang_seconds, PATIENCE * max(self.taken[doing], default=0.0))


def attempt() -> str:
    """Which start of the ranks of this machine a note belongs to: files of an earlier one may still lie there. When
    nodes come or go torchrun starts all again, perhaps with other ranks, without counting it; the port is another."""
    names = ("TORCHELASTIC_RESTART_COUNT", "MASTER_PORT")
    return ".".join([str(os.getppid()), *(os.environ.get(name, "0") for name in names)])


@dataclass(frozen=True)
class Stalled:
    rank: int
    pid: int
    seconds: float
    step: int
    doing: str
    stopped: bool
    """By a signal, as Linux tells of a process of this machine."""

    def __str__(self) -> str:
        how = "was stopped" if self.stopped else "shows no progress"
        return f"rank {self.rank} {how} (in {self.doing} after step {self.step}, {self.seconds:.0f} s ago)"


def stalled(folder: Path, now: float, of: str = "") -> list[Stalled]:
    """Ranks whose last sign of life is older than it may be, the likeliest cause first; ``of`` one attempt, if given.
    ``now`` is time.monotonic(), which all processes of a machine share and nobody sets.

    When one rank hangs all others soon wait for it: one that a signal stopped comes first, then who got least far.
    """
    found = []
    for file in folder.glob("rank-*"):
        try:
            at, pid, step, doing, limit, whose = file.read_text().split()
        except (ValueError, OSError):  # not yet written
            continue
        seconds = now - float(at)
        if seconds > float(limit) and of in ("", whose):
            rank = int(file.name.removeprefix("rank-"))
            found.append(Stalled(rank, int(pid), seconds, int(step), doing, _is_stopped(int(pid))))
    return sorted(found, key=lambda rank: (not rank.stopped, rank.step, PHASES.index(rank.doing), -rank.seconds))


def _is_stopped(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state in "Tt"


STACK_SECONDS, STACK_LENGTH = 2.0, 2000


def show_stack_when_asked(folder: Path, rank: int) -> None:
    """From now on this process writes its Python stacks when it gets SIGUSR1, wherever it hangs: the signal is handled
    in C. For ``stack_of``."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / f"stack-{rank:05d}").open("w")  # faulthandler needs it as long as it may write
    faulthandler.register(signal.SIGUSR1, file, all_threads=False)


def stack_of(folder: Path, rank: Stalled) -> str:
    """Where a rank of this machine hangs, before it is ended; empty where it does not say so in time."""
    file, end = folder / f"stack-{rank.rank:05d}", time.monotonic() + STACK_SECONDS
    with contextlib.suppress(OSError):
        if rank.stopped or not file.exists():  # without its handler the signal would end it
            return ""
        os.kill(rank.pid, signal.SIGUSR1)
        while time.monotonic() < end and not file.stat().st_size:
            time.sleep(0.05)
        return file.read_text(errors="replace")[:STACK_LENGTH]
    return ""


LOOK_SECONDS = 5.0


class Watchdog(threading.Thread):
    """Looks at the heartbeats in ``heartbeats`` until ``stop``; records what it finds in ``folder``."""

    def __init__(self, heartbeats: Path, folder: Path, limit: float):
        """``limit`` is the shortest time without a sign of life that is a hang."""
        super().__init__(name="watchdog", daemon=True)
        self.heartbeats, self.folder, self.limit = heartbeats, folder, limit
        self.attempt = attempt()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(min(LOOK_SECONDS, self.limit / 2)):
            found = stalled(self.heartbeats, time.monotonic(), self.attempt)
            if found:
                what = f"{found[0]}"
                print(f"altiplano: {what}; ending it, so that torchrun starts all again", file=sys.stderr, flush=True)
                with contextlib.suppress(OSError):  # a full disk must not keep it alive
                    facts: dict[str, Any] = {"rank": found[0].rank, "step": found[0].step}
                    if stack := stack_of(self.heartbeats, found[0]):
                        facts["traceback"] = stack
                    incidents.record(self.folder, "hang", what, "ended it", **facts)
                os.kill(found[0].pid, signal.SIGKILL)
                return

    def stop(self) -> None:
        self.stopping.set()
        if self.is_alive():  # a program goes on when training has ended, without a thread of it
            self.join()
