"""Axes: from values to places on the page, with round numbers for ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from altiplano.recipe.units import human


@dataclass(frozen=True)
class Scale:
    """Maps low … high (logarithmically, if so) to start … end in SVG units."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, wanted: int = 6) -> list[float]:
        return log_ticks(self.low, self.high) if self.log else nice_ticks(self.low, self.high, wanted)


def scale(values: Sequence[float], start: float, end: float, log: bool = False, zero: bool = False) -> Scale:
    """A scale that holds all finite values, with some air, or from zero. A single value gets room on both sides."""
    usable = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    if not usable:
        return Scale(1, 10, start, end, log) if log else Scale(0, 1, start, end)
    low, high = min(usable), max(usable)
    if log:
        spread = max((high / low) ** 0.04, 1.05)
        return Scale(low / spread, high * spread, start, end, log=True)
    if zero:
        low, high = min(low, 0), max(high, 0)
    room = (high - low) * 0.04 or abs(high) * 0.1 or 1
    return Scale(low if zero and low == 0 else low - room, high + room, start, end)


def nice_ticks(low: float, high: float, wanted: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 × a power of ten between low and high (Heckbert 1990)."""
    if not high > low:
        return [low]
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten; with 2 and 5 between them over less than two decades; over less than a third of one, linear."""
    if high / low < 2:
        return nice_ticks(low, high, 4)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    few = high / low < 100
    step = max(1, len(decades) // 6)
    ticks = [f * 10.0**d for d in decades if few or d % step == 0 for f in ((1, 2, 5) if few else (1,))]
    return [tick for tick in ticks if low <= tick <= high]


def tick_label(value: float) -> str:
    """Short: 0.0003 → 3e-4, 20000 → 20k."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return human(float(value))
    if abs(value) < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.6g}"
