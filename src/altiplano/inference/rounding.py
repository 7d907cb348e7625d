"""Numbers as they are written into files."""

from typing import Any, TypeVar

from altiplano.records import Record

Value = TypeVar("Value")


def rounded(value: Value, digits: int = 6) -> Value:
    """The same record or JSON value, floats cut to significant digits: the rest is noise of the order of summation."""
    return _rounded(value, digits)


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, Record):
        return type(value).model_validate(_rounded(value.model_dump(exclude_unset=True), digits))
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: _rounded(inner, digits) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner, digits) for inner in value]
    return value
