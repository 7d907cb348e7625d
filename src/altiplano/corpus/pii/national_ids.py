"""National identifiers of persons: where they stand in a text.

A form that is its country's alone needs no more than its check. One whose check one random number in ten passes must
have its name before it ("PESEL", "Steuer-ID", …). Numbers of companies are left.
"""

import re
from collections.abc import Iterator

from altiplano.corpus.pii.national_tables import IDENTIFIERS, Identifier, prefixes
from altiplano.corpus.pii.windows import capital_before_digit, digit_windows, union

NAMED = 60
"""Characters before a number in which its name may stand."""

UNSPACED = "[\u0590-\u08ff\u0900-\u109f\u10a0-\u10ff\u1200-\u137f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""Scripts in which the beginning of a word is not always that of what Python takes for a word."""

DIGITS, WITHIN, AROUND = 5, 24, 16
"""Every shape has so many digits within so many characters, and at most so many characters more on a side."""

LARGE = "A-Z0-9Α-ΩА-ЯЇІЄҮӨ"
WORD = re.compile(
    rf"[{LARGE}](?<![\w/.-].)[{LARGE}]*(?:\([A-Z0-9]\))?"
    rf"(?:(?:[-./+]|[ ](?=[^a-z\n]{{0,3}}\d|[A-Z]{{1,2}}\b))\(?[{LARGE}]{{1,20}}(?:\([A-Z0-9]\)|"
    rf"\))?(?:\d{{6}})?){{0,8}}[vxk]?(?!\w)"
)
"""Groups of capital letters and digits that may be an identifier, perhaps with others beside it."""

GROUP = re.compile(rf"[{LARGE}()vxk]+")
ALONE = tuple(known for known in IDENTIFIERS if known.named is None)
ANY_ALONE = re.compile(
    rf"(?=[0-9A-Z])(?<![\w.+/-])(?:{'|'.join(known.form for known in ALONE)})(?![\w-])(?![.,/:]\d)", re.ASCII
)
BY_NAME = tuple(known for known in IDENTIFIERS if known.named is not None)

PREFIX = 5
TRIGGERS: dict[str, list[Identifier]] = {}
"""Identifiers by the beginnings of their names. Where none is near, no number is looked at; in most texts none is."""

for _known in BY_NAME:
    for _prefix in prefixes(_known.words, PREFIX):
        TRIGGERS.setdefault(_prefix, []).append(_known)
UNSPACED_NAME = re.compile(
    "|".join(sorted((prefix for prefix in TRIGGERS if re.match(UNSPACED, prefix)), key=len, reverse=True))
)
TEXT = re.compile(r"\w+")


def national_ids(text: str) -> Iterator[tuple[int, int]]:
    """Where identifiers stand in the text."""
    windows = digit_windows(text, DIGITS, WITHIN, AROUND, AROUND)
    if few := [at for at in capital_before_digit(text) if text[at + 1 : at + 5].isdecimal()]:
        windows = union(windows, [(max(0, at - AROUND), at + AROUND) for at in few])
    for low, high in windows:
        for place in ANY_ALONE.finditer(text, low, high):
            for known in ALONE:
                match = known.shape.match(text, place.start())
                if match and known.valid(match.group(0)):
                    yield match.span()
        if chosen := _named_near(text[max(0, low - NAMED) : high].lower()):
            for match in WORD.finditer(text, low, high):
                yield from _in_words(text, match.start(), match.end(), chosen)


def _named_near(text: str) -> list[Identifier]:
    """Those whose name may stand in the text."""
    found = {word[:PREFIX] for word in TEXT.findall(text)} & TRIGGERS.keys()
    if not text.isascii():
        found |= set(UNSPACED_NAME.findall(text))
    return [known for prefix in sorted(found) for known in TRIGGERS[prefix]]


def _in_words(text: str, low: int, high: int, chosen: list[Identifier]) -> Iterator[tuple[int, int]]:
    groups = [match.span() for match in GROUP.finditer(text, low, high)]
    at = 0
    while at < len(groups):
        for last in range(min(len(groups), at + 7), at, -1):
            start, end = groups[at][0], groups[last - 1][1]
            if 6 <= end - start <= 32 and any(_is_identifier(text, start, end, known) for known in chosen):
                yield start, end
                at = last - 1
                break
        at += 1


def _is_identifier(text: str, start: int, end: int, known: Identifier) -> bool:
    value = text[start:end]
    if known.named is None or not known.shape.fullmatch(value):
        return False
    if text[end : end + 1] in tuple(".,:/-") and text[end + 1 : end + 2].isalnum():
        return False
    return bool(known.named.search(text[max(0, start - NAMED) : start])) and known.valid(value)
