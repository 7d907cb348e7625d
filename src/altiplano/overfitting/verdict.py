"""One rule for every test: an effect in bits per byte, its interval, a margin, a word."""

import math

from altiplano.evaluation.statistics import Z_POWER, Z
from altiplano.records import Interval, OverfittingTest
from altiplano.records.overfitting import OverfittingVerdict, TestName

LEAST = 10
"""Documents or items on a side below which no interval is trusted."""


def judged(
    test: TestName, name: str, value: float, low: float, high: float, margin: float, sample: str, note: str = ""
) -> OverfittingTest:
    """``low`` … ``high``: 95 % interval of ``value``. Its upper end below the margin is a one-sided test of
    non-inferiority at 2.5 %, its lower end above it one of overfitting."""
    if not all(map(math.isfinite, (value, low, high))):
        return untold(test, name, sample, note or "no interval")
    verdict: OverfittingVerdict = "shown" if low > margin else "not shown" if high < margin else "cannot be told"
    error = (high - low) / (2 * Z)
    return OverfittingTest(
        test=test,
        name=name,
        effect=Interval(value=value, low=low, high=high),
        detectable=margin + (Z + Z_POWER) * error,
        verdict=verdict,
        sample=sample,
        note=note,
    )


def untold(test: TestName, name: str, sample: str, why: str) -> OverfittingTest:
    return OverfittingTest(test=test, name=name, verdict="cannot be told", sample=sample, note=why)
