"""Under torchrun nobody but the ranks themselves can see that one hangs: each watches those of its machine.

torchrun's agent starts all ranks again when one dies, but waits for ever for one that neither works nor dies. The
first rank of a machine to find another without a sign of life ends it, and the agent does the rest.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

from altiplano.training import incidents
from altiplano.training.heartbeat import attempt, stalled

LOOK_SECONDS = 5.0


class Watchdog(threading.Thread):
    """Looks at the heartbeats in ``beats`` until ``stop``; records what it finds in ``folder``."""

    def __init__(self, beats: Path, folder: Path, limit: float):
        """``limit`` is the shortest time without a sign of life that is a hang."""
        super().__init__(name="watchdog", daemon=True)
        self.beats, self.folder, self.limit = beats, folder, limit
        self.attempt = attempt()
        self.stopping = threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(min(LOOK_SECONDS, self.limit / 2)):
            found = stalled(self.beats, time.time(), self.attempt)
            if found:
                what = f"{found[0]}"
                print(f"altiplano: {what}; ending it, so that torchrun starts all again", file=sys.stderr, flush=True)
                with contextlib.suppress(OSError):  # a full disk must not keep it alive
                    incidents.record(self.folder, "hang", what, "ended it", rank=found[0].rank, step=found[0].step)
                os.kill(found[0].pid, signal.SIGKILL)
                return

    def stop(self) -> None:
        self.stopping.set()
