"""What training leaves out: updates without a finite gradient, and samples that made the loss spike.

The list is part of what determines the weights: a run that starts with another's ``skips.json`` takes the same steps.
"""

from dataclasses import dataclass, field
from pathlib import Path

from altiplano.disk import Damaged, read_checked, sync, write_checked
from altiplano.errors import InputError


@dataclass
class Skips:
    updates: set[int] = field(default_factory=set)
    """Steps (from 0) that compute a gradient but do not apply it."""
    samples: list[tuple[int, int]] = field(default_factory=list)
    """Ranges of the run's order of samples that no step takes, ascending and disjoint."""

    @classmethod
    def read(cls, folder: Path) -> "Skips":
        path = folder / "skips.json"
        if not path.exists():
            return cls()
        try:
            stored = read_checked(path)
        except Damaged as error:
            raise InputError(f"{folder}: {error}; it determines the weights: bring it back from a copy") from error
        return cls(set(stored["updates"]), [(int(start), int(stop)) for start, stop in stored["samples"]])

    def write(self, folder: Path) -> None:
        """Replace the list whole: a kill leaves the old one or the new one."""
        unfinished = folder / ".skips.json"
        write_checked(unfinished, {"updates": sorted(self.updates), "samples": self.samples})
        sync(unfinished)
        unfinished.replace(folder / "skips.json")

    def skip_samples(self, start: int, stop: int) -> None:
        merged: list[tuple[int, int]] = []
        for low, high in sorted([*self.samples, (start, stop)]):
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        self.samples = merged

    def shift(self, samples: range) -> range:
        """Where a step's samples are once the skipped ones are left out: behind them."""
        start = samples.start
        for low, high in self.samples:
            if low < start + len(samples):
                start = max(start + high - low, high)
        return range(start, start + len(samples))
