"""Personal data in text: found by rules whose matches must also pass a check (checksum, numbering plan, address range).

A match replaces nothing but itself, by a placeholder such as ``[EMAIL]``. Removed values are remembered only as salted
hashes, so that a red team can ask whether a model says them.
"""

import hashlib
import ipaddress
import re
from bisect import bisect_left, insort
from dataclasses import dataclass
from itertools import takewhile

import numpy as np

from altiplano.corpus.pii.rules import RULES, could_hold
from altiplano.corpus.pii.windows import merged, plain

NEAR = 300
"""Characters: more than any value but a private key has together with its context."""

EDGE = 100
"""Characters at the cut end of a window, where a part of something longer could look like a value."""

PLACEHOLDER = re.compile(r"\[(?:" + "|".join(kind.upper() for kind in RULES) + r")\]")


@dataclass(frozen=True, order=True)
class Span:
    """``text[start:end]`` in characters."""

    start: int
    end: int
    kind: str


def find(text: str, language: str) -> list[Span]:
    """Personal data in order of appearance, without overlaps. ``language`` is ISO 639-1, whatever its
    script, or ``code``."""
    language = language.partition("-")[0]
    if not could_hold(text):
        return []
    spans: list[Span] = []
    text = plain(PLACEHOLDER.sub(lambda match: "\0" * len(match.group(0)), text))
    windows = [(0, len(text))]
    while windows:
        fresh = [
            Span(low + span.start, low + span.end, span.kind)
            for low, high in windows
            for span in _pass(_masked(text, spans, low, high), language)
            if (low == 0 or span.start >= EDGE) and (high == len(text) or low + span.end <= high - EDGE)
        ]
        for span in fresh:
            insort(spans, span)
        windows = _around(fresh, len(text))
    return spans


def _masked(text: str, spans: list[Span], low: int, high: int) -> str:
    """A window in which what was found is masked like a placeholder, so that what is found next is what would be found
    in the redacted text."""
    parts, at = [], low
    first = bisect_left(spans, low, key=lambda span: span.end)
    for span in takewhile(lambda span: span.start < high, (spans[number] for number in range(first, len(spans)))):
        start, end = max(span.start, low), min(span.end, high)
        parts += [text[at:start], "\0" * (end - start)]
        at = end
    return "".join([*parts, text[at:high]])


def _around(spans: list[Span], length: int) -> list[tuple[int, int]]:
    """Where a removed value may have uncovered another: rules look no further than ``NEAR`` characters."""
    if not spans:
        return []
    edges = np.array(sorted((max(0, span.start - NEAR), min(length, span.end + NEAR)) for span in spans))
    return merged(edges[:, 0], edges[:, 1])


def _pass(text: str, language: str) -> list[Span]:
    taken: list[Span] = []
    covered = bytearray(len(text))
    for kind, rule in RULES.items():
        for start, end in rule(text, language):
            if covered.find(1, start, end) < 0:
                covered[start:end] = b"\1" * (end - start)
                taken.append(Span(start, end, kind))
    return taken


def redact(text: str, language: str) -> tuple[str, list[Span]]:
    """The text with a placeholder for each span, and the spans in the original text. Idempotent."""
    spans = find(text, language)
    parts, done = [], 0
    for span in spans:
        parts += [text[done : span.start], f"[{span.kind.upper()}]"]
        done = span.end
    return "".join([*parts, text[done:]]), spans


def normalise(kind: str, value: str) -> str:
    """One spelling for all spellings of the same value."""
    if kind in ("phone", "card"):
        return "".join(str(int(character)) for character in value if character.isdecimal())
    if kind in ("iban", "national_id"):
        return "".join(character for character in value if character.isalnum()).upper()
    if kind == "address":
        return " ".join(value.replace(",", " ").split()).lower()
    if kind == "ip":
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            return value
    return value.lower() if kind in ("email", "mac") else value.strip()


def hash_value(kind: str, value: str, salt: str) -> str:
    """Salted SHA-256 of the normalised value, hexadecimal."""
    return hashlib.sha256(f"{salt}\0{kind}\0{normalise(kind, value)}".encode("utf-8", "surrogatepass")).hexdigest()


def salt_of(seed: int) -> str:
    """The run's salt. It keeps hashes of different runs apart; it is published in the audit and is no secret."""
    return hashlib.sha256(f"altiplano personal data {seed}".encode()).hexdigest()[:32]
