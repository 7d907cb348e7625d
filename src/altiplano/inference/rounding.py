"""Numbers as they are written into files."""

from typing import Any


def rounded(value: Any, digits: int = 6) -> Any:
    """The same JSON value with every float cut to significant digits: the rest is noise of the order of summation."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner, digits) for inner in value]
    return value
