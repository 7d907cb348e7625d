"""Numbers about a text that the heuristics look at, computed once."""

import re
from typing import TypedDict

import numpy as np

from altiplano.corpus.words import LETTER, SYMBOL, characters, classes, ngram_hashes, word_hashes

FENCED = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.MULTILINE | re.DOTALL)


class Statistics(TypedDict):
    """Shares are between 0 and 1."""

    characters: int
    words: int
    symbols: float
    """Share of characters that are neither letters, digits nor spaces."""
    repeated_lines: float
    """Share of characters in lines seen before in the document; fenced code aside, where lines recur by nature."""
    repeated_words: float
    """Share of word 5-grams seen before in the document; fenced code aside as well."""
    word_length: float
    """Mean letters and digits per word."""
    line_length: float
    """Mean characters per line that is not empty."""


def statistics(text: str) -> Statistics:
    kinds = classes(characters(text))
    words = word_hashes(text)
    unfenced = FENCED.sub("", text)
    grams = ngram_hashes(words if unfenced == text else word_hashes(unfenced), 5)
    lines = [line for line in map(str.strip, text.split("\n")) if line]
    length = sum(map(len, lines))
    prose = [line for line in map(str.strip, unfenced.split("\n")) if line]
    return Statistics(
        characters=len(text),
        words=len(words),
        symbols=_share((kinds == SYMBOL).sum(), len(kinds)),
        repeated_lines=_share(sum(map(len, prose)) - sum(map(len, set(prose))), sum(map(len, prose))),
        repeated_words=_share(len(grams) - len(np.unique(grams)), len(grams)),
        word_length=_share((kinds >= LETTER).sum(), len(words)),
        line_length=_share(length, len(lines)),
    )


def _share(part: float, whole: int) -> float:
    return round(float(part) / whole, 6) if whole else 0.0
