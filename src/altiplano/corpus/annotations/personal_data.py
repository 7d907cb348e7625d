"""Personal data in text: found by rules whose matches must also pass a check (checksum, numbering plan, address range).

A match replaces nothing but itself, by a placeholder such as ``[EMAIL]``. Removed values are remembered only as salted
hashes, so that a red team can ask whether a model says them.
"""

import hashlib
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from altiplano.corpus.annotations import personal_patterns as patterns
from altiplano.corpus.annotations.personal_checks import is_address, is_card, is_email, is_iban, is_phone, is_secret

KINDS = ("secret", "email", "iban", "card", "ip", "ssn", "phone")
"""In order of precedence: what a kind claims, later kinds leave alone."""

PLACEHOLDER = re.compile(r"\[(?:" + "|".join(kind.upper() for kind in KINDS) + r")\]")
CONTEXT = 32
"""Characters before a match that may tell what it is."""


@dataclass(frozen=True, order=True)
class Span:
    """``text[start:end]`` in characters."""

    start: int
    end: int
    kind: str


def find(text: str, language: str) -> list[Span]:
    """Personal data in order of appearance, without overlaps. ``language`` (ISO 639-1, ``code``) tells national numbers."""
    if not (patterns.DIGITS.search(text) or patterns.LITERALS.search(text)):
        return []
    spans: list[Span] = []
    masked = PLACEHOLDER.sub(lambda match: "\0" * len(match.group(0)), text)
    while fresh := _pass(masked, language):
        spans += fresh
        # masked like a placeholder, so that what is found next is what would be found in the redacted text
        for span in fresh:
            masked = masked[: span.start] + "\0" * (span.end - span.start) + masked[span.end :]
    return sorted(spans)


def _pass(text: str, language: str) -> list[Span]:
    taken: list[Span] = []
    for kind in KINDS:
        for start, end in _candidates(kind, text, language):
            if not any(start < other.end and other.start < end for other in taken):
                taken.append(Span(start, end, kind))
    return taken


def _candidates(kind: str, text: str, language: str) -> Iterator[tuple[int, int]]:
    if kind == "email":
        matches = patterns.EMAIL.finditer(text) if "@" in text else iter(())
        yield from (match.span() for match in matches if is_email(match.group(0), language))
    elif kind == "ip":
        for match in patterns.IP4.finditer(text):
            if is_address(match.group(0), _before(text, match.start()), text[match.end() : match.end() + 1]):
                yield match.span()
        if ":" in text:
            yield from (match.span() for match in patterns.IP6.finditer(text) if is_address(match.group(0), "ip ", ""))
    elif kind == "card":
        yield from (match.span() for match in patterns.CARD.finditer(text) if is_card(match.group(0)))
    elif kind == "iban":
        for match in patterns.IBAN.finditer(text):
            if length := is_iban(match.group(0)):
                yield match.start(), match.start() + length
    elif kind == "ssn":
        yield from (match.span() for match in patterns.SSN.finditer(text))
    elif kind == "phone":
        for match in patterns.PHONE.finditer(text):
            if is_phone(match.group(0), language, _before(text, match.start())):
                yield match.span()
    else:
        for match in patterns.SECRET.finditer(text):
            group = "value" if match.group("value") else "password" if match.group("password") else 0
            if group != "value" or is_secret(match.group("value"), match.group("quote"), language):
                yield match.span(group)


def _before(text: str, start: int) -> str:
    """What precedes a match, up to the last removed value."""
    return text[max(0, start - CONTEXT) : start].rsplit("\0", 1)[-1].lower()


def redact(text: str, language: str) -> tuple[str, list[Span]]:
    """The text with a placeholder for each span, and the spans in the original text. Redacting again changes nothing."""
    spans = find(text, language)
    parts, done = [], 0
    for span in spans:
        parts += [text[done : span.start], f"[{span.kind.upper()}]"]
        done = span.end
    return "".join([*parts, text[done:]]), spans


def normalise(kind: str, value: str) -> str:
    """One spelling for all spellings of the same value."""
    if kind in ("phone", "card", "ssn"):
        return "".join(str(int(character)) for character in value if character.isdecimal())
    if kind == "iban":
        return "".join(value.split()).upper()
    if kind == "ip":
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            return value
    return value.lower() if kind == "email" else value.strip()


def hash_value(kind: str, value: str, salt: str) -> str:
    """Salted SHA-256 of the normalised value, hexadecimal."""
    return hashlib.sha256(f"{salt}\0{kind}\0{normalise(kind, value)}".encode("utf-8", "surrogatepass")).hexdigest()


def salt_of(seed: int) -> str:
    """The run's salt. It keeps hashes of different runs apart; it is published in the audit and hence no secret."""
    return hashlib.sha256(f"altiplano personal data {seed}".encode()).hexdigest()[:32]
