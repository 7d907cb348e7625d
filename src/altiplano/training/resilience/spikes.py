"""Spikes of loss or gradient norm: values far above what the run showed lately.

Robust z-scores: the median and the median absolute deviation (MAD) do not follow the outliers that they are to find.
"""

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

from altiplano.recipe.schema import GuardsConfig

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
