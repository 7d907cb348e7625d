"""Numbers, times and amounts as people read them, alike in the planner, the card, the report and on the terminal."""

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from altiplano.recipe.units import human

MISSING = "not stated"
DAYS_A_MONTH = 30.44
WIDTH = 120


def number(value: float | None, digits: int = 3) -> str:
    """Whole numbers with thousands separators, others to ``digits`` significant digits."""
    if value is None:
        return MISSING
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    text = f"{value:.{digits}g}"
    return f"{float(text):,.0f}" if "e+" in text and abs(value) < 1e15 else text


def percent(share: float | None, digits: int = 1) -> str:
    return MISSING if share is None or not math.isfinite(share) else f"{100 * share:.{digits}f}%"


def duration(seconds: float | None) -> str:
    """Two units at most: ``3 d 4 h``, ``12 min 5 s``, ``0.4 s``."""
    if seconds is None:
        return MISSING
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{whole} s"


def estimate(seconds: float) -> str:
    """An estimated time in one unit: ``3.1 months``, ``4.20 s``, ``12.3 ms``."""
    if seconds > 600:
        return span(seconds / 86400)
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def span(days: float) -> str:
    """An estimated time in one unit: ``3.1 months``, ``12.5 days``."""
    if days > 365_250:
        return "more than 1,000 years"
    if days > 48 * DAYS_A_MONTH:
        return f"{days / 365.25:,.1f} years"
    if days > 90:
        return f"{days / DAYS_A_MONTH:.1f} months"
    if days > 2:
        return f"{days:.1f} days"
    return f"{days * 24:.1f} hours" if days * 24 > 2 else f"{days * 1440:.1f} minutes"


def energy(kwh: float | None) -> str:
    return _scaled(kwh, (("GWh", 1e6), ("MWh", 1e3), ("kWh", 1), ("Wh", 1e-3)))


def carbon(kg: float | None) -> str:
    return _scaled(kg, (("t", 1e3), ("kg", 1), ("g", 1e-3)))


def flops(count: float | None, unit: str = "FLOP") -> str:
    """With SI prefixes, as FLOPs are written: ``1.1 TFLOP/s``."""
    prefixes = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0))
    return _scaled(count, tuple((prefix + unit, size) for prefix, size in prefixes))


def _scaled(value: float | None, units: tuple[tuple[str, float], ...]) -> str:
    if value is None:
        return MISSING
    unit, size = next(((unit, size) for unit, size in units if abs(value) >= size), units[-1])
    return f"{number(value / size)} {unit}"


def interval(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """``1.234 (1.200 to 1.270)``, to ``digits`` decimals."""
    if value is None:
        return MISSING
    if low is None or high is None:
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def settings(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested settings as dotted names and printed values, in order."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += settings(value, f"{prefix}{key}.")
        else:
            rows.append((prefix + key, _setting(value)))
    return rows


def _setting(value: Any) -> str:
    if value is None or value in ("", [], ()):
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}" + (f" ({human(value)})" if value >= 1_000_000 else "")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def wrapped(text: str, first: str = "", indent: int = 0) -> str:
    """``text`` after ``first`` in lines of 120 characters at most; later ones are indented."""
    return textwrap.fill(
        first + text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
