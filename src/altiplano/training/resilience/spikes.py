"""Spikes of loss or gradient norm: values far above what the run showed lately.

Robust z-scores: the median and the median absolute deviation (MAD) do not follow the outliers that they are to find.

What training leaves out: updates without a finite gradient, and samples that made the loss spike.

The list is part of what determines the weights: a run that starts with another's ``skips.json`` takes the same steps.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from altiplano.errors import InputError
from altiplano.recipe.schema import GuardsConfig
from altiplano.records import SkippedWork
from altiplano.storage import Damaged

# MAD times this estimates the standard deviation of normal values (Iglewicz and Hoaglin 1993).
NORMAL = 0.6745
# A loss that hardly moves makes every wiggle look large: deviations below this share of the median do not count.
LEAST_DEVIATION = 0.01


class SpikeDetector:
    """Judges each step against those before it. Spikes themselves are not remembered."""

    def __init__(self, settings: GuardsConfig, past: Iterable[tuple[float, float, bool]] = ()):
        """``past``: loss, gradient norm and verdict of the steps so far, oldest first."""
        self.settings = settings
        self.losses: deque[float] = deque(maxlen=settings.spike_window)
        self.norms: deque[float] = deque(maxlen=settings.spike_window)
        self.in_a_row = 0
        for loss, gradient_norm, spike in past:
            self._remember(loss, _logarithm(gradient_norm), spike)

    def judge(self, loss: float, gradient_norm: float) -> bool:
        """Whether this step is a spike; counts those in a row."""
        norm = _logarithm(gradient_norm)
        highest = max(zscore(loss, self.losses), zscore(norm, self.norms))
        known = 2 * len(self.losses) >= self.settings.spike_window
        spike = known and 0 < self.settings.spike_zscore < highest
        self._remember(loss, norm, spike)
        return spike

    def _remember(self, loss: float, norm: float, spike: bool) -> None:
        self.in_a_row = self.in_a_row + 1 if spike else 0
        if not spike:
            self.losses.append(loss)
            self.norms.append(norm)


def _logarithm(gradient_norm: float) -> float:
    return math.log(max(gradient_norm, 1e-30))


def zscore(value: float, past: deque[float]) -> float:
    """(value - median) / MAD in units of a normal standard deviation; 0 without a past."""
    if not past:
        return 0.0
    middle = median(past)
    deviation = median(abs(other - middle) for other in past)
    return NORMAL * (value - middle) / max(deviation, LEAST_DEVIATION * abs(middle), 1e-12)


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
            stored = SkippedWork.read(path)
        except Damaged as error:
            raise InputError(f"{folder}: {error}; it determines the weights: bring it back from a copy") from error
        return cls(set(stored.updates), stored.samples)

    def write(self, folder: Path) -> None:
        """Replace the list whole: a kill leaves the old one or the new one."""
        SkippedWork(updates=sorted(self.updates), samples=self.samples).write(folder / "skips.json")

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
