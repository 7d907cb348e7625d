"""Words as 64-bit hashes, for every script, without a loop over characters.

A word is a run of letters, digits and marks, folded to lower case with every digit read as 0. Scripts that write no
spaces (Han, kana, Thai, Lao, Khmer, Burmese) give one word per character, so that n-grams of words mean something
in them too. Everything that counts or compares words uses these: perplexity, repetition, held-out overlap.

A word's hash is a polynomial over its characters modulo 2**64, taken as a difference of prefix sums:
``sum(c[j] * B**j for j in start..end) * B**-start``; B is odd and hence invertible.
"""

import functools
import unicodedata

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]

SPACE, SYMBOL, LETTER, IDEOGRAPH = 0, 1, 2, 3
UNSPACED = ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x30FF),
            (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))  # fmt: skip
BASE = 0x9E3779B97F4A7C15
INVERSE = pow(BASE, -1, 2**64)
BMP = 0x10000


def mix(values: U64) -> U64:
    """SplitMix64's finalizer: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@functools.cache
def _tables() -> tuple[NDArray[np.uint8], U64]:
    """For each character of the basic plane: its class, and a random-looking number for its lower-case form."""
    kinds = np.full(BMP, SYMBOL, np.uint8)
    folded = np.arange(BMP, dtype=np.uint64)
    for code in range(BMP):
        character = chr(code)
        category = unicodedata.category(character)
        if character.isspace() or category == "Cc":
            kinds[code] = SPACE
        elif category[0] in "LMN":
            kinds[code] = LETTER
        if category == "Nd":
            folded[code] = ord("0")
        elif len(lower := character.lower()) == 1:
            folded[code] = ord(lower)
    for low, high in UNSPACED:
        part = kinds[low : high + 1]
        part[part == LETTER] = IDEOGRAPH
    return kinds, mix(folded + np.uint64(1))


@functools.cache
def _powers(size: int) -> tuple[U64, U64]:
    """B**j and B**-j for j below size."""
    up, down = np.full(size, BASE, np.uint64), np.full(size, INVERSE, np.uint64)
    up[0] = down[0] = 1
    return np.cumprod(up, dtype=np.uint64), np.cumprod(down, dtype=np.uint64)


def characters(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def classes(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """SPACE, SYMBOL, LETTER or IDEOGRAPH for each character."""
    kinds = _tables()[0][np.minimum(codes, BMP - 1)]
    beyond = codes >= BMP
    if beyond.any():
        pictures = (codes >= 0x1F000) & (codes <= 0x1FAFF)
        kinds[beyond] = np.where(pictures, SYMBOL, np.where(codes >= 0x20000, IDEOGRAPH, LETTER))[beyond]
    return kinds


def word_hashes(text: str) -> U64:
    """One hash per word of the text, in order."""
    codes = characters(text)
    if not len(codes):
        return np.zeros(0, np.uint64)
    kinds = classes(codes)
    inside = kinds >= LETTER
    before = np.concatenate(([SPACE], kinds[:-1]))
    start = np.flatnonzero(inside & ((kinds == IDEOGRAPH) | (before != LETTER)))
    after = np.concatenate((kinds[1:], [SPACE]))
    end = np.flatnonzero(inside & ((kinds == IDEOGRAPH) | (after != LETTER))) + 1
    values = _tables()[1][np.minimum(codes, BMP - 1)]
    values = np.where(codes < BMP, values, mix(codes.astype(np.uint64)))
    up, down = _powers(1 << max(10, (len(codes) - 1).bit_length()))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(values * up[: len(codes)], dtype=np.uint64)))
    return mix((sums[end] - sums[start]) * down[start])


def ngram_hashes(words: U64, length: int) -> U64:
    """One hash per window of ``length`` words; none when there are fewer."""
    windows = len(words) - length + 1
    if windows <= 0:
        return np.zeros(0, np.uint64)
    hashes = np.zeros(windows, np.uint64)
    for offset in range(length):
        hashes = mix(hashes * np.uint64(BASE) + words[offset : offset + windows])
    return hashes
