"""Heights of the tide from a handful of constituents: a small worked example."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Constituent:
    """One cosine of the tide: amplitude in metres, speed in degrees per hour, phase in degrees."""

    name: str
    amplitude: float
    speed: float
    phase: float


HARBOUR = (
    Constituent("M2", 1.60, 28.984, 140.0),
    Constituent("S2", 0.55, 30.000, 185.0),
    Constituent("K1", 0.11, 15.041, 10.0),
)


def height(hours: float, constituents: tuple[Constituent, ...] = HARBOUR) -> float:
    """Metres above the mean level, so many hours after the epoch."""
    return sum(c.amplitude * math.cos(math.radians(c.speed * hours - c.phase)) for c in constituents)


def high_waters(start: float, end: float, step: float = 0.1) -> list[float]:
    """Hours between start and end at which the water stands highest."""
    times = [start + step * i for i in range(int((end - start) / step))]
    return [b for a, b, c in zip(times, times[1:], times[2:], strict=False) if height(a) < height(b) >= height(c)]


if __name__ == "__main__":
    for hour in high_waters(0, 48):
        print(f"{hour:5.1f} h  {height(hour):+.2f} m")
