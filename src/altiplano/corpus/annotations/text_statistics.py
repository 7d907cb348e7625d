"""What the heuristics look at, computed once per document over one split into words and lines.

The statistics are those of Gopher (Rae et al. 2021), C4 (Raffel et al. 2020) and FineWeb (Penedo et al. 2024), with
two differences: text without spaces counts characters as words, and fenced code in Markdown counts neither as
repetition nor as short lines, since code repeats by nature. Shares are between 0 and 1.
"""

import functools
import re

import numpy as np

from altiplano.corpus.annotations.scripts import primary
from altiplano.corpus.annotations.text_statistics_kernel import (
    LINE_COLUMNS,
    WORD_COLUMNS,
    line_statistics,
    marks,
    number_found,
    word_statistics,
)
from altiplano.corpus.annotations.word_lists import Listed, function_words, listed_share
from altiplano.corpus.words import U64, characters, tables, word_hashes, words_of

COLUMNS = (
    *LINE_COLUMNS, *WORD_COLUMNS, "stop_words", "braces", "boilerplate", "lorem_ipsum", "listed_words",
)  # fmt: skip
"""Columns of 32-bit floats, described in ``docs/reference/annotations.md``."""

BOILERPLATE = re.compile(
    r"terms of (?:use|service)|privacy policy|cookie policy|uses? (?:of )?cookies|accept (?:all )?cookies"
    r"|(?:enable|requires?|activate) javascript|javascript (?:is |to be )?(?:enabled|disabled|required)"
    r"|javascript aktivieren"
    r"|datenschutzerkl|verwende[nt] cookies|politique de confidentialité|utilise(?:ns)? des cookies|activer javascript"
    r"|política de privacidad|utiliza(?:mos)? cookies|informativa sulla privacy|utilizza(?: i)? cookie"
    r"|политика конфиденциальности|файлы cookie|隐私政策|隱私權|プライバシーポリシー"
)
"""C4 drops lines with such words; here such messages to a visitor are counted per line."""

TEX_GROUP = re.compile(r"\\[a-zA-Z]{1,30}(?:\[[^\[\]{}]{0,50}\])?\{")
TEX_OTHERS = ("^{", "_{", "}{", "\\{")

HINTS = (
    "cookie", "privac", "terms of ", "javascript", "datenschutzerkl", "confidentialit", "конфиденциальност", "隐私",
    "隱私", "プライバシー",
)  # fmt: skip
"""Every phrase contains one of these: searching for them first is cheaper than searching for all phrases."""

AROUND = 40
"""Characters before and after a hint that hold the whole phrase."""

NO_FULL_STOP = ("th", "lo")
"""Languages whose sentences end in a space."""


def statistics(text: str, language: str, listed: Listed | None = None) -> dict[str, float]:
    """``characters``, ``words`` and the columns named in ``COLUMNS``.

    ``language`` (ISO 639-1) chooses the function words, of which ``stop_words`` counts the different ones. What means
    nothing in a language is NaN, and no rule applies to NaN.
    """
    codes = characters(text)
    words = words_of(codes)
    number = len(words.hash)
    lines, fenced = line_statistics(codes, tables()[0], marks(), number)
    repeats = word_statistics(words.start, words.end, words.hash, fenced, len(codes))
    values = dict(zip((*LINE_COLUMNS, *WORD_COLUMNS), np.concatenate((lines, repeats)).tolist(), strict=True))
    stops = _stop_words(language)
    values["stop_words"] = float(number_found(stops, words.hash)) if len(stops) else np.nan
    if primary(language) in NO_FULL_STOP:
        values["punctuated_lines"] = values["sentences"] = np.nan
    lower = text.lower()
    values["braces"] = _braces(text) / max(len(text), 1)
    values["boilerplate"] = _boilerplate(lower) / (1 + text.count("\n"))
    values["lorem_ipsum"] = float("lorem ipsum" in lower)
    values["listed_words"] = listed_share(words.hash, listed) if listed else 0.0
    return {"characters": len(text), "words": number, **values}


def _braces(text: str) -> int:
    """Curly brackets that are not of TeX's commands, powers and indices."""
    number = text.count("{") + text.count("}")
    if not number or "\\" not in text:
        return number
    groups = len(TEX_GROUP.findall(text)) + sum(map(text.count, TEX_OTHERS))
    return max(number - 2 * groups, 0)


def _boilerplate(lower: str) -> int:
    """How many of the phrases the text holds."""
    places: set[int] = set()
    for hint in HINTS:
        at = lower.find(hint)
        while at >= 0:
            around = BOILERPLATE.finditer(lower, max(0, at - AROUND), at + AROUND)
            places.update(match.start() for match in around)
            at = lower.find(hint, at + len(hint))
    return len(places)


@functools.cache
def _stop_words(language: str) -> U64:
    return np.unique(word_hashes(function_words(language)))
