"""Where in a text a pattern is worth trying: near enough digits, or near a literal that every match contains.

Most of a text has neither. Windows are ``(low, high)`` for ``finditer``; lookbehinds see the text before a window.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)  # several rules ask about the same text
def _digits(text: str) -> NDArray[np.int64]:
    """Positions of ASCII digits."""
    if text.isascii():
        codes: NDArray[np.unsignedinteger] = np.frombuffer(text.encode(), np.uint8)
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    return np.flatnonzero((codes >= ord("0")) & (codes <= ord("9")))


def digit_windows(text: str, digits: int, within: int, before: int, after: int) -> list[tuple[int, int]]:
    """Disjoint windows around every run of so many digits ``within`` so many characters."""
    at = _digits(text)
    if len(at) < digits:
        return []
    dense = np.flatnonzero(at[digits - 1 :] - at[: len(at) - digits + 1] < within)
    if not len(dense):
        return []
    low, high = at[dense] - before, at[dense + digits - 1] + 1 + after
    return merged(np.maximum(low, 0), np.minimum(high, len(text)))


def mark_windows(text: str, marks: tuple[str, ...], before: int, after: int) -> list[tuple[int, int]]:
    """Disjoint windows around the places of the literals."""
    places = []
    for mark in marks:
        at = text.find(mark)
        while at >= 0:
            places.append(at)
            at = text.find(mark, at + 1)
    if not places:
        return []
    found = np.array(sorted(places))
    return merged(np.maximum(found - before, 0), np.minimum(found + after, len(text)))


def merged(low: NDArray[np.int64], high: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The union of windows that ascend."""
    first = np.concatenate(([True], low[1:] > np.maximum.accumulate(high)[:-1]))
    last = np.concatenate((first[1:], [True]))
    return list(zip(low[first].tolist(), np.maximum.accumulate(high)[last].tolist(), strict=True))
