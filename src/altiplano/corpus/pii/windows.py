"""Where in a text a pattern is worth trying: near enough digits, near a literal that every match contains, or in a long
run of the characters that keys are made of.

Most of a text has none of them. Windows are ``(low, high)`` for ``finditer``; lookbehinds see the text before a window.
"""

import re
import unicodedata
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

SPACES = "\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
DASHES = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
WIDE = "＠＋（）．／：＝，＿"


@cache
def _plain_of() -> NDArray[np.uint32]:
    """For each character of the basic plane the one that stands for it."""
    table = np.arange(0x10000, dtype=np.uint32)
    for code in range(0x80, 0x10000):
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table[code] = ord("0") + digit
    table[[ord(character) for character in SPACES]] = ord(" ")
    table[[ord(character) for character in DASHES]] = ord("-")
    table[[ord(character) for character in WIDE]] = [ord(character) - 0xFEE0 for character in WIDE]
    return table


def plain(text: str) -> str:
    """As long as the text, with ASCII digits for those of all scripts and the plain one of each kind of space, hyphen
    and at sign."""
    if text.isascii():
        return text
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    folded = np.where(codes < 0x10000, _plain_of()[np.minimum(codes, 0xFFFF)], codes)
    return text if np.array_equal(folded, codes) else folded.tobytes().decode("utf-32-le", "surrogatepass")


@lru_cache(maxsize=4)  # several rules ask about the same text
def _codes(text: str) -> NDArray[np.unsignedinteger]:
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@lru_cache(maxsize=4)
def _digits(text: str) -> NDArray[np.int64]:
    """Positions of ASCII digits."""
    codes = _codes(text)
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


@lru_cache(maxsize=4)
def lowered(text: str) -> str:
    """In small letters and as long as before; a text that has letters whose small form is longer stays as it is."""
    lower = text.replace("İ", "i").lower()
    return lower if len(lower) == len(text) else text


@lru_cache(maxsize=2)
def _hashes(text: str) -> NDArray[np.uint16]:
    """A number for every three characters of the text, so that many literals are looked for at once."""
    codes = _codes(text).astype(np.uint32)
    return ((codes[:-2] * 40503 + codes[1:-1] * 2654435 + codes[2:] * 97531) >> np.uint32(7)).astype(np.uint16)


@cache
def _beginnings(marks: tuple[str, ...]) -> NDArray[np.bool_]:
    table = np.zeros(0x10000, bool)
    for mark in marks:
        table[_hashes(mark[:3])] = True
    return table


def places_of(text: str, marks: tuple[str, ...]) -> list[int]:
    """Where the literals, of three characters or more, begin, in order."""
    if len(text) < 3:
        return []
    places = np.flatnonzero(_beginnings(marks)[_hashes(text)]).tolist()
    return [at for at in places if text.startswith(marks, at)]


def mark_windows(text: str, marks: tuple[str, ...], before: int, after: int) -> list[tuple[int, int]]:
    """Disjoint windows around the places of the literals."""
    if len(marks) > 2 and min(map(len, marks)) > 2:
        places = places_of(text, marks)
    else:
        places = sorted(match.start() for mark in marks for match in re.finditer(re.escape(mark), text))
    found = np.array(places)
    return merged(np.maximum(found - before, 0), np.minimum(found + after, len(text))) if len(found) else []


def capital_before_digit(text: str) -> list[int]:
    """Places of an ASCII capital before a digit."""
    codes, digits = _codes(text), _digits(text)
    at = digits[digits > 0] - 1
    return at[(codes[at] >= ord("A")) & (codes[at] <= ord("Z"))].tolist()


def stepped_windows(text: str, signs: str, step: int, times: int, around: int) -> list[tuple[int, int]]:
    """Disjoint windows around signs of which so many more follow at equal steps."""
    codes = _codes(text)
    at = np.flatnonzero(np.logical_or.reduce([codes == ord(sign) for sign in signs]))
    if len(at) <= times:
        return []
    found = at[:-times][at[times:] - at[:-times] == step * times]
    if not len(found):
        return []
    return merged(np.maximum(found - around, 0), np.minimum(found + step * times + around, len(text)))


KEY_CHARACTERS = np.zeros(256, bool)
KEY_CHARACTERS[list(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.+/=~:|%$&?")] = True


def long_words(text: str, length: int, marks: tuple[str, ...] = ()) -> list[tuple[int, int]]:
    """Runs of at least so many characters that keys and addresses are made of, with a digit or a mark in them."""
    codes = _codes(text)
    inside = KEY_CHARACTERS[codes] if codes.dtype == np.uint8 else KEY_CHARACTERS[np.minimum(codes, 255)]
    breaks = np.concatenate(([-1], np.flatnonzero(~inside), [len(text)]))
    long = np.flatnonzero(np.diff(breaks) > length)
    low, high = breaks[long] + 1, breaks[long + 1]
    digits = _digits(text)
    some = np.searchsorted(digits, low) < np.searchsorted(digits, high)
    words = zip(low.tolist(), high.tolist(), some.tolist(), strict=True)
    return [(a, b) for a, b, digit in words if digit or any(text.find(mark, a, b) >= 0 for mark in marks)]


def union(*windows: list[tuple[int, int]]) -> list[tuple[int, int]]:
    every = np.array(sorted(window for some in windows for window in some))
    return merged(every[:, 0], every[:, 1]) if len(every) else []


def having(text: str, windows: list[tuple[int, int]], marks: tuple[str, ...]) -> list[tuple[int, int]]:
    """Those windows in which a literal begins."""
    if not windows or len(text) < 3:
        return []
    places = np.flatnonzero(_beginnings(marks)[_hashes(text)])
    every = np.array(windows)
    first, last = np.searchsorted(places, every[:, 0]).tolist(), np.searchsorted(places, every[:, 1]).tolist()
    return [
        window
        for window, a, b in zip(windows, first, last, strict=True)
        if any(text.startswith(marks, at) for at in places[a:b].tolist())
    ]


def merged(low: NDArray[np.int64], high: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The union of windows that ascend."""
    first = np.concatenate(([True], low[1:] > np.maximum.accumulate(high)[:-1]))
    last = np.concatenate((first[1:], [True]))
    return list(zip(low[first].tolist(), np.maximum.accumulate(high)[last].tolist(), strict=True))
