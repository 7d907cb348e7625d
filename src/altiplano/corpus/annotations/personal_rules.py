"""Where personal data may be: a generous pattern for each kind, and what ``personal_checks.py`` says of its matches.

A NUL stands for something already removed and never matches.
"""

import re
from collections.abc import Callable, Iterator

from altiplano.corpus.annotations.personal_checks import (
    is_address,
    is_card,
    is_email,
    is_iban,
    is_password,
    is_phone,
    is_secret,
)

CONTEXT = 32
"""Characters before a match that may tell what it is."""

DIGITS = re.compile(r"\d[^\n]{0,40}?\d")
LITERALS = re.compile(r"[@:=]|PRIVATE KEY|AKIA|ASIA|gh[pousr]_|xox|sk_|AIza|eyJ", re.IGNORECASE)

EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-](?:[\w.+-]{0,62}[\w+-])?@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,6}"
    r"(?:xn--[a-z0-9]{2,20}|[^\W\d_]{2,24})(?![\w-])"
)
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP4 = re.compile(rf"(?<![\w.-])(?:{OCTET}\.){{3}}{OCTET}(?!\w|-\w|\.\w)", re.ASCII)
IP6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F:]{6,39}(?![\w:]))(?:[0-9a-fA-F]{1,4}:|:)(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])"
)
CARD = re.compile(
    r"(?<![\w.-])(?<!\d[ ])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{13,19})"
    r"(?![\w-]|\.\d|[ ]\d)",
    re.ASCII,
)
IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII)
SSN = re.compile(r"(?<![\w.-])(?!000|666|9\d\d)\d{3}-(?!00)\d\d-(?!0000)\d{4}(?![\w-]|\.\d)", re.ASCII)
PHONE = re.compile(
    r"(?<![\w.+/=-])(?<!\d[ ])(?:(?:\+|00)\d{1,3}[ ./-]?)?(?:\(\d{1,5}\)[ ./-]?)?"
    r"\d{1,5}(?:(?: [/-] |[ ./-])\d{1,8}|\d){1,9}(?![\w]|-\w|\.\d|[ ]\d)",
    re.ASCII,
)
SECRET = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----[\s\S]{1,8000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{22,82}\b|\bglpat-[A-Za-z0-9_-]{20}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,80}\b|\bsk_live_[0-9a-zA-Z]{24,99}\b|\bAIza[0-9A-Za-z_-]{35}(?![\w-])"
    r"|\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,2000}"
    r"|\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\0]{1,60}:(?P<password>[^\s:/@\0\[\]<>{}$*]{4,60})(?=@[\w.-])"
    r"|(?i:\b"
    r"(?:password|passwd|passwort|contraseña|mot de passe|secret(?:[_-]key)?|api[_-]?key|"
    r"access[_-]?token)\b[\"']?\s{0,3}[=:]\s{0,3})"
    r"(?P<quote>[\"']?)(?P<value>(?=[^\s'\";,\0]*\d)(?=[^\s'\";,\0]*[A-Za-z])[^\s'\";,()<>{}$\0\[\]]{8,80})(?P=quote)(?![\w(\[])"
)

Places = Iterator[tuple[int, int]]


def could_hold(text: str) -> bool:
    """Nearly every rule needs two digits on a line or one of a few literals."""
    return bool(DIGITS.search(text) or LITERALS.search(text))


def _secrets(text: str, language: str) -> Places:
    for match in SECRET.finditer(text):
        if value := match.group("value"):
            if is_secret(value, match.group("quote"), language):
                yield match.span("value")
        elif password := match.group("password"):
            if is_password(password):
                yield match.span("password")
        else:
            yield match.span()


def _emails(text: str, language: str) -> Places:
    for match in EMAIL.finditer(text) if "@" in text else ():
        if is_email(match.group(0), language):
            yield match.span()


def _ibans(text: str, language: str) -> Places:
    for match in IBAN.finditer(text):
        if length := is_iban(match.group(0)):
            yield match.start(), match.start() + length


def _cards(text: str, language: str) -> Places:
    for match in CARD.finditer(text):
        if is_card(match.group(0), _before(text, match.start()), language):
            yield match.span()


def _addresses(text: str, language: str) -> Places:
    for match in IP4.finditer(text):
        if is_address(match.group(0), _before(text, match.start()), text[match.end() : match.end() + 1], language):
            yield match.span()
    for match in IP6.finditer(text) if ":" in text else ():
        if is_address(match.group(0), "", text[match.end() : match.end() + 1], language):
            yield match.span()


def _social_security(text: str, language: str) -> Places:
    for match in SSN.finditer(text):
        yield match.span()


def _phones(text: str, language: str) -> Places:
    for match in PHONE.finditer(text):
        if is_phone(match.group(0), language, _before(text, match.start())):
            yield match.span()


def _before(text: str, start: int) -> str:
    """What precedes a match, up to the last removed value."""
    return text[max(0, start - CONTEXT) : start].rsplit("\0", 1)[-1].lower()


RULES: dict[str, Callable[[str, str], Places]] = {
    "secret": _secrets,
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
    "ssn": _social_security,
    "phone": _phones,
}
"""In order of precedence: what one rule claims, later rules leave alone."""
