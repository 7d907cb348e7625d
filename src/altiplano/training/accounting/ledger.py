"""Where a run's wall-clock went: every second of every session is booked in exactly one bucket.

``ledger.jsonl`` is only ever appended to. Ranks book what they do step by step; the supervisor books when it starts
ranks and when it notices a fault. ``goodput.py`` adds it up.
"""

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from altiplano.records import LedgerEvent
from altiplano.training.resilience.heartbeat import Heartbeat

INIT, DATA, COMPUTE, SAVE, VALIDATION = "init", "data", "compute", "save", "validation"
PUBLISHED = "published"


class Ledger:
    """What this process is doing. Only the first rank has a file to write to; all of them show signs of life."""

    def __init__(self, file: Path | None, heartbeat: Heartbeat | None, begun: float | None = None):
        """``begun`` is the time.time() since which this process has been starting."""
        self.file, self.heartbeat = file, heartbeat
        self.bucket = INIT
        self.since = time.monotonic() - (time.time() - begun if begun is not None else 0.0)
        self.seconds: dict[str, float] = {}
        if heartbeat is not None:
            heartbeat.beat(INIT)

    def enter(self, bucket: str) -> None:
        """From now on time goes to ``bucket``."""
        now = time.monotonic()
        self.seconds[self.bucket] = self.seconds.get(self.bucket, 0.0) + now - self.since
        self.bucket, self.since = bucket, now
        if self.heartbeat is not None:
            self.heartbeat.beat(bucket)

    def progress(self) -> None:
        """Still at what was entered, and getting on with it."""
        if self.heartbeat is not None:
            self.heartbeat.beat(self.bucket)

    def book(self, step: int, event: str = "step") -> dict[str, float]:
        """Write what was booked since the last line, as the cost of reaching ``step``; return it."""
        self.enter(self.bucket)
        spent, self.seconds = self.seconds, {}
        if self.heartbeat is not None:
            self.heartbeat.step = step
        if self.file is not None:
            note(self.file, event, step=step, seconds={name: round(value, 6) for name, value in spent.items()})
        return spent

    def published(self, step: int, seconds: float) -> None:
        """A checkpoint counts from now on, so long after it was copied. Books nothing: training went on beside it."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # a full disk: the checkpoint is there all the same
                note(self.file, PUBLISHED, step=step, written=round(seconds, 6))


def note(file: Path, event: str, at: float | None = None, **facts: Any) -> None:
    """Append one event, of now or of time.time() ``at``; ``facts`` are other fields of ``LedgerEvent``."""
    LedgerEvent(event=event, time=round(at or time.time(), 6), **facts).append(file)


def newest_published(events: Sequence[LedgerEvent]) -> int:
    """The step of the newest checkpoint that should be there; 0 when the run went back to its beginning since."""
    newest = 0
    for event in events:
        if event.event == PUBLISHED:
            newest = max(newest, event.step)
        elif event.event in ("resume", "rollback"):
            newest = min(newest, event.step)
    return newest


def restarts_without_progress(events: Sequence[LedgerEvent]) -> int:
    """How often ranks were started again, by the same command, since the newest checkpoint was published."""
    restarts = 0
    for event in reversed(events):
        if event.event == PUBLISHED or (event.event == "start" and not event.attempt):
            break
        restarts += event.event == "start"
    return restarts


def read(file: Path) -> list[LedgerEvent]:
    """All events in order, without what a killed process left half written."""
    return LedgerEvent.read_lines(file)
