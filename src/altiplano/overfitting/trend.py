"""Does a loss rise over the evaluations of a run? Mann and Kendall's test with Sen's slope, exact for few evaluations.

Mann 1945; Kendall 1955; Sen 1968; the interval of the slope is Hollander, Wolfe and Chicken 2014, section 9.3.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from altiplano.evaluation.statistics import CONFIDENCE, Z
from altiplano.overfitting.verdict import judged, untold
from altiplano.records import HeldoutRise, HeldoutScores, OverfittingTest
from altiplano.records.overfitting import TestName

LEAST = 5
"""Evaluations: of four, even a monotone rise comes by chance once in 24."""
EXACT = 60
"""Evaluations up to which the distribution of Kendall's S is counted; above, it is normal to three digits."""


class Trend(NamedTuple):
    """Change from the first to the last place by the median of all pairwise slopes, with its 95 % interval."""

    change: float
    low: float
    high: float
    p: float
    """Two-sided, of no trend."""


def trend(places: Sequence[float], values: Sequence[float]) -> Trend:
    """``places`` [n] ascending, ``values`` [n], n of at least ``LEAST``."""
    x, y = np.asarray(places, dtype=np.float64), np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(x), 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    score = int(np.sign(slopes).sum())
    pairs, span = len(slopes), float(x[-1] - x[0])
    between = _critical(len(x))
    # order statistics, counted from 1: (pairs - between) / 2 and (pairs + between) / 2 + 1
    low = slopes[max(0, math.floor((pairs - between) / 2) - 1)]
    high = slopes[min(pairs - 1, math.ceil((pairs + between) / 2))]
    return Trend(float(np.median(slopes)) * span, float(low) * span, float(high) * span, _p_value(len(x), score))


def kendall_distribution(n: int) -> np.ndarray:
    """Chance of each number of inversions, 0 … n(n-1)/2, of a random order of n."""
    chances = np.ones(1)
    for k in range(2, n + 1):
        chances = np.convolve(chances, np.full(k, 1 / k))
    return chances


def _p_value(n: int, score: int) -> float:
    if n > EXACT:
        spread = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
        return math.erfc(max(0, abs(score) - 1) / spread / math.sqrt(2))
    chances = kendall_distribution(n)
    scores = n * (n - 1) // 2 - 2 * np.arange(len(chances))
    return min(1.0, float(chances[np.abs(scores) >= abs(score)].sum()))


def _critical(n: int) -> float:
    """The largest S that is not yet significant at 5 %, two-sided."""
    if n > EXACT:
        return Z * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    chances = kendall_distribution(n)
    tail = np.cumsum(chances)  # P(S >= pairs - 2 k)
    beyond = int((tail <= (1 - CONFIDENCE) / 2).sum())
    return n * (n - 1) / 2 - 2 * beyond


def trend_test(
    test: TestName, name: str, steps: Sequence[float], bits: Sequence[float], margin: float
) -> OverfittingTest:
    """Of the later half of the evaluations, at least ``LEAST``: a loss falls at first, whatever comes after."""
    sample = f"{len(bits):,} evaluations"
    if len(bits) < LEAST:
        return untold(test, name, sample, f"fewer than {LEAST} evaluations: lower evaluation.interval_steps")
    used = max(LEAST, math.ceil(len(bits) / 2))
    found = trend(steps[-used:], bits[-used:])
    best = int(np.argmin(bits))
    note = (
        f"p = {found.p:.2g} of no trend; first {bits[0]:.3f}, best {bits[best]:.3f} at step {steps[best]:,.0f}, last "
        f"{bits[-1]:.3f}: {bits[-1] - bits[best]:+.3f} from the best"
    )
    sample = f"change over the last {used:,} of {len(bits):,} evaluations"
    return judged(test, name, found.change, found.low, found.high, margin, sample, note)


def heldout_tests(lines: Sequence[HeldoutScores], margin: float) -> list[OverfittingTest]:
    """Of all held-out text, and of the right answers of each benchmark."""
    lines = latest(lines)
    told = [line for line in lines if math.isfinite(line.total.bits_per_byte)]
    tests = [
        trend_test("trend", "all", [line.step for line in told], [line.total.bits_per_byte for line in told], margin)
    ]
    for name in sorted({name for line in lines for name in line.benchmarks}):
        scored = [
            (line.step, bits.value)
            for line in lines
            if name in line.benchmarks
            and (bits := line.benchmarks[name].bits_per_byte) is not None
            and math.isfinite(bits.value)
        ]
        tests.append(trend_test("benchmark trend", name, [s for s, _ in scored], [b for _, b in scored], margin))
    return tests


def latest(lines: Sequence[HeldoutScores]) -> list[HeldoutScores]:
    """One evaluation a step, the last one: a run that went back has evaluated some steps again."""
    return [line for _, line in sorted({line.step: line for line in lines}.items())]


def rises(lines: Sequence[HeldoutScores]) -> list[HeldoutRise]:
    bits = [(line.step, line.total.bits_per_byte) for line in latest(lines)]
    return [
        HeldoutRise(step=step, before=before, after=after)
        for (_, before), (step, after) in itertools.pairwise(bits)
        if after > before
    ]
