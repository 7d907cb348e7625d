"""Times, energy and lines of a plan as people write them."""

import textwrap

from altiplano.recipe.units import figure

MONTH = 30.44
WIDTH = 120


def wrapped(text: str, first: str = "", indent: int = 0) -> str:
    """``text`` after ``first`` in lines of 120 characters at most; later ones are indented."""
    return textwrap.fill(
        first + text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def duration(seconds: float) -> str:
    if seconds > 600:
        return span(seconds / 86400)
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def span(days: float) -> str:
    if days > 365_250:
        return "more than 1,000 years"
    if days > 48 * MONTH:
        return f"{days / 365.25:,.1f} years"
    if days > 90:
        return f"{days / MONTH:.1f} months"
    if days > 2:
        return f"{days:.1f} days"
    return f"{days * 24:.1f} hours" if days * 24 > 2 else f"{days * 1440:.1f} minutes"


def energy(kwh: float) -> str:
    if kwh >= 1e6:
        return f"{kwh / 1e6:.1f} GWh"
    return f"{kwh / 1e3:.1f} MWh" if kwh >= 1e3 else f"{figure(kwh)} kWh"


def carbon(kg: float) -> str:
    return f"{kg / 1e6:,.1f} kt CO2" if kg >= 1e6 else f"{kg / 1e3:,.1f} t CO2" if kg >= 1e3 else f"{figure(kg)} kg CO2"
