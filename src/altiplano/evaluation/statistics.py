"""Means of items that are not independent, their uncertainty, and what a comparison could have seen.

Questions about one passage stand or fall together, so standard errors are clustered by it (Liang and Zeger 1986; for
evaluations Miller 2024, equation 4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

Numbers = Sequence[float] | np.ndarray

CONFIDENCE, POWER = 0.95, 0.8
EXACT = 14
"""Values up to which all 2^n flips of signs are tried, and not 2^14."""

Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
Z_POWER = NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Mean:
    """A mean with its standard error and 95 % interval."""

    value: float
    standard_error: float
    low: float
    high: float
    items: int
    clusters: int


def clustered_mean(values: Sequence[float], clusters: Sequence[str]) -> Mean:
    """The mean of ``values``, of which those with the same cluster depend on each other.

    Of zeros and ones the interval is Wilson's with the number of independent items that the standard error stands for,
    so that it stays within 0 and 1 and is not empty where all are alike.
    """
    ratio = clustered_ratio(values, np.ones(len(values)), clusters)
    array = np.asarray(values, dtype=np.float64)
    if not np.isin(array, (0.0, 1.0)).all():
        return ratio
    n, p = len(array), ratio.value
    independent = p * (1 - p) / ratio.standard_error**2 if ratio.standard_error > 0 else ratio.clusters
    low, high = wilson(p, min(float(n), independent))
    return Mean(p, ratio.standard_error, low, high, n, ratio.clusters)


def clustered_ratio(over: Numbers, under: Numbers, clusters: Sequence[str]) -> Mean:
    """Σ over / Σ under, such as bits per byte, by linearisation (Cochran 1977, section 6.3)."""
    top, bottom = np.asarray(over, dtype=np.float64), np.asarray(under, dtype=np.float64)
    if len(top) == 0 or bottom.sum() == 0:
        return Mean(math.nan, math.nan, math.nan, math.nan, len(top), 0)
    value = float(top.sum() / bottom.sum())
    _, owner = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(owner, weights=top - value * bottom)
    count = len(sums)
    # with one cluster nothing is known; the factor makes up for the mean that was estimated
    correction = count / (count - 1) if count > 1 else math.nan
    error = math.sqrt(correction * float((sums**2).sum())) / float(bottom.sum())
    return Mean(value, error, value - Z * error, value + Z * error, len(top), count)


def wilson(share: float, count: float) -> tuple[float, float]:
    """Interval of a share of ``count`` independent trials (Wilson 1927)."""
    if not count > 0:
        return 0.0, 1.0
    centre = (share + Z * Z / (2 * count)) / (1 + Z * Z / count)
    half = Z / (1 + Z * Z / count) * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    # exactly, at the ends: rounding would leave a rate of 0 above 0
    return 0.0 if share == 0 else max(0.0, centre - half), 1.0 if share == 1 else min(1.0, centre + half)


def p_value(mean: Mean) -> float:
    """That a mean so far from 0 comes by chance; 1 where nothing varies."""
    if not mean.standard_error > 0:
        return 1.0 if mean.value == 0 or math.isnan(mean.standard_error) else 0.0
    return 2 * (1 - NormalDist().cdf(abs(mean.value) / mean.standard_error))


def sign_flip(sums: Sequence[float] | np.ndarray) -> float:
    """Two-sided p-value that the sum of ``sums`` [n] is so far from 0 if each had either sign by chance (Fisher 1935):
    exact up to ``EXACT``, above of 2^14 flips by a fixed seed."""
    values = np.asarray(sums, dtype=np.float64)
    far = abs(values.sum()) * (1 - 1e-12)
    if len(values) > EXACT:
        signs = np.random.default_rng(0).integers(0, 2, (2**EXACT, len(values)), dtype=np.int8) * np.float32(2) - 1
        return float(1 + (np.abs(signs @ values) >= far).sum()) / (1 + 2**EXACT)
    totals = np.zeros(1)
    for value in values:
        totals = np.concatenate([totals + value, totals - value])
    return float((np.abs(totals) >= far).mean())


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number: the chance of any false alarm stays below the level (Holm 1979)."""
    order = np.argsort(p_values)
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        corrected[at] = largest
    return corrected
