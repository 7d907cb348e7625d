"""Words as 64-bit hashes, for every script, in one pass over the characters (Numba).

A word is a run of letters, digits and marks, folded to lower case with every digit read as 0. Scripts that write no
spaces (Han, kana, Thai, Lao, Khmer, Burmese) give one word per character, so that n-grams of words mean something
in them too. Everything that counts or compares words uses these: statistics, perplexity, held-out overlap.
"""

import functools
import unicodedata
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

SPACE, SYMBOL, DIGIT, LETTER, IDEOGRAPH, IGNORED = 0, 1, 2, 3, 4, 5
"""Classes of characters; from DIGIT to IDEOGRAPH they make words. Marks count as letters."""

UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF),
            (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))  # fmt: skip
BASE = 0x9E3779B97F4A7C15
BMP = 0x10000


class Words(NamedTuple):
    """The words of a text in order: where each begins and ends in characters, its hash, whether it has a letter."""

    start: NDArray[np.int32]
    end: NDArray[np.int32]
    hash: U64
    alphabetic: NDArray[np.bool_]


@numba.njit(cache=True, inline="always")
def mix_one(value):  # type: ignore[no-untyped-def]
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def mix(values: U64) -> U64:
    """SplitMix64's finalizer: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


Tables = tuple[NDArray[np.uint8], NDArray[np.uint32]]

APOSTROPHES = (0x27, 0x60, 0xB4, 0x2B9, 0x2BC, 0x2018, 0x2019, 0x201B, 0x2032, 0xFF07)
INVISIBLE = (0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF)


@functools.cache
def tables() -> Tables:
    """For each character of the basic plane its class and its folded form."""
    kinds = np.full(BMP, SYMBOL, np.uint8)
    folded = np.arange(BMP, dtype=np.uint32)
    for code in range(BMP):
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace() or category == "Cc":
            kinds[code] = SPACE
        elif category[0] in "LM":
            kinds[code] = LETTER
        elif category[0] == "N":
            kinds[code] = DIGIT
        if category == "Nd":
            folded[code] = ord("0")
        elif len(lower := character.lower()) == 1:
            folded[code] = ord(lower)
    for low, high in UNSPACED:
        part = kinds[low : high + 1]
        part[part == LETTER] = IDEOGRAPH
    return kinds, folded


@functools.cache
def matching_tables() -> Tables:
    """For finding a text that somebody has written anew: accents, apostrophes, invisible characters and forms of width
    do not matter, and digits stay digits."""
    kinds, folded = tables()[0].copy(), tables()[1].copy()
    for code in range(BMP):
        base = unicodedata.normalize("NFKD", chr(code))[0]
        lower = base.lower()
        folded[code] = ord(lower) if len(lower) == 1 and ord(lower) < BMP else ord(base)
        if unicodedata.combining(chr(code)) and code < 0x370:
            kinds[code] = IGNORED
        if unicodedata.category(chr(code)) == "Nd":
            folded[code] = ord("0") + unicodedata.digit(chr(code))
    kinds[list(APOSTROPHES + INVISIBLE)] = IGNORED
    return kinds, folded


def characters(text: str) -> NDArray[np.uint32]:
    """Unicode code points."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


@numba.njit(cache=True, inline="always")
def kind_of(code, kinds):  # type: ignore[no-untyped-def]
    if code < BMP:
        return kinds[code]
    if 0x1F000 <= code <= 0x1FAFF:  # pictures
        return np.uint8(SYMBOL)
    return np.uint8(IDEOGRAPH if code >= 0x20000 else LETTER)


@numba.njit(cache=True)
def _split(codes, kinds, folded, start, end, hashes, alphabetic):  # type: ignore[no-untyped-def]
    """Fill the columns of ``Words``; returns their number."""
    number = 0
    inside = False
    last = 0
    value = np.uint64(0)
    letters = False
    for i in range(len(codes)):
        code = codes[i]
        kind = kind_of(code, kinds)
        if kind == IGNORED:
            continue
        single = kind == IDEOGRAPH
        if inside and (kind < DIGIT or single):
            end[number], hashes[number], alphabetic[number] = last, mix_one(value), letters
            number += 1
            inside = False
        if kind < DIGIT:
            continue
        if not inside:
            start[number] = i
            inside = True
            letters = False
            value = np.uint64(0)
        last = i + 1
        fold = np.uint64(folded[code] if code < BMP else code)
        value = (value ^ (fold + np.uint64(1))) * np.uint64(BASE)
        value ^= value >> np.uint64(29)  # or a polynomial's low bits would depend on low bits only
        letters = letters or kind >= LETTER
        if single:
            end[number], hashes[number], alphabetic[number] = i + 1, mix_one(value), True
            number += 1
            inside = False
    if inside:
        end[number], hashes[number], alphabetic[number] = last, mix_one(value), letters
        number += 1
    return number


def words_of(codes: NDArray[np.uint32], by: Tables | None = None) -> Words:
    """``by`` are ``tables()`` if not given."""
    room = len(codes)
    start, end = np.empty(room, np.int32), np.empty(room, np.int32)
    hashes, alphabetic = np.empty(room, np.uint64), np.empty(room, np.bool_)
    number = _split(codes, *(by or tables()), start, end, hashes, alphabetic)
    return Words(start[:number], end[:number], hashes[:number].copy(), alphabetic[:number])


def word_hashes(text: str) -> U64:
    """One hash per word of the text, in order."""
    return words_of(characters(text)).hash


def ngram_hashes(words: U64, length: int) -> U64:
    """One hash per window of ``length`` words; none when there are fewer."""
    windows = len(words) - length + 1
    if windows <= 0:
        return np.zeros(0, np.uint64)
    hashes = np.zeros(windows, np.uint64)
    for offset in range(length):
        hashes = mix(hashes * np.uint64(BASE) + words[offset : offset + windows])
    return hashes
