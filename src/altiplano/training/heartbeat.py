"""Signs of life: every rank notes what it does and since when; whoever watches can tell who stopped.

One small file a rank, in a folder that all ranks of a machine see. A hang shows as a note that grows old.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

PHASES = ("init", "data", "compute", "validation", "save")
"""What a rank does within a step, in order."""


class Heartbeat:
    """This rank's note."""

    def __init__(self, folder: Path, rank: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = os.open(folder / f"rank-{rank:05d}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self.step = 0

    def beat(self, doing: str) -> None:
        """Say that this rank now begins ``doing``."""
        os.pwrite(self.file, f"{time.time():.3f} {os.getpid()} {self.step} {doing:<12}".encode(), 0)


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


def stalled(folder: Path, limit: float, now: float) -> list[Stalled]:
    """Ranks whose last sign of life is more than ``limit`` seconds old, the likeliest cause first.

    When one rank hangs all others soon wait for it: one that a signal stopped comes first, then who got least far.
    """
    found = []
    for file in folder.glob("rank-*"):
        try:
            at, pid, step, doing = file.read_text().split()
        except (ValueError, OSError):  # not yet written
            continue
        seconds = now - float(at)
        if seconds > limit:
            rank = int(file.name.removeprefix("rank-"))
            found.append(Stalled(rank, int(pid), seconds, int(step), doing, _is_stopped(int(pid))))
    return sorted(found, key=lambda rank: (not rank.stopped, rank.step, PHASES.index(rank.doing), -rank.seconds))


def _is_stopped(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state in "Tt"
