"""Texts as words, without what somebody who copies them may change: markup, escapes, capitals, punctuation."""

import html
import re
from typing import NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import U64, UNSPACED, characters, matching_tables, words_of

LONGEST = 4000
"""Words of a question or answer that are looked for."""

UNSPACED_SIZE = 4
"""Letters that a character of a script without spaces counts as, for the information that it carries."""

PUNCTUATION = re.compile(r"[^\w\s]")
UNICODE = re.compile(r"\\u([0-9a-fA-F]{4})")
TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")


class Text(NamedTuple):
    """``scale`` is 2 where most words are single characters of a script without spaces; ``telling`` are words that are
    more than a number or a letter: sequences of those are everywhere."""

    words: U64
    sizes: NDArray[np.int32]
    """Letters of each word."""
    scale: int
    telling: NDArray[np.bool_]

    @property
    def different(self) -> int:
        """Distinct words that tell something."""
        return len(np.unique(self.words[self.telling]))

    def followed_by(self, text: "Text", most: int) -> "Text":
        """With the other's first words after it, ``most`` of them."""
        return Text(
            np.append(self.words, text.words[:most]),
            np.append(self.sizes, text.sizes[:most]),
            self.scale,
            np.append(self.telling, text.telling[:most]),
        )


def plain_characters(text: str) -> NDArray[np.uint32]:
    """Without tags and escapes of HTML, and with the characters that JSON writes as escapes. Items and documents are
    read alike, so that it does no harm where these are something else (LaTeX's \\times, a < b > c)."""
    if "\\u" in text:
        text = UNICODE.sub(lambda found: chr(int(found[1], 16)), text)
    if "&" in text:
        text = html.unescape(text)
    codes = characters(TAG.sub(" ", text) if "<" in text else text)
    return _without_escapes(codes) if "\\" in text else codes


@numba.njit(cache=True)
def _without_escapes(codes):  # type: ignore[no-untyped-def]
    """Spaces for \\n, \\r and \\t."""
    out = codes.copy()
    at = 0
    while at < len(out) - 1:
        if out[at] == 92 and (out[at + 1] == 110 or out[at + 1] == 114 or out[at + 1] == 116):
            out[at] = out[at + 1] = 32
            at += 1
        at += 1
    return out


def read_text(text: str) -> list[Text]:
    """A text as it is, as it is when its punctuation is left out ("x+1" is "x1", "<b>" is "b"), and with spaces in its
    place ("don't" is "don t")."""
    return [_words(form) for form in (text, PUNCTUATION.sub("", text), PUNCTUATION.sub(" ", text))]


def _words(text: str) -> Text:
    codes = plain_characters(text)
    words = words_of(codes, matching_tables())
    sizes = words.end - words.start
    unspaced = (sizes == 1) & (codes[words.start] >= UNSPACED[0][0])
    telling = words.alphabetic & ((sizes > 1) | unspaced)
    scale = 2 if len(words.hash) and unspaced.mean() > 0.5 else 1
    sizes[unspaced] = UNSPACED_SIZE
    return Text(words.hash[:LONGEST], sizes[:LONGEST], scale, telling[:LONGEST])
