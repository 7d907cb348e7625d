"""Personal data by kind: a generous pattern, and a check of its matches in ``checks.py``.

A NUL stands for something already removed; no pattern matches it.
"""

import re
from collections.abc import Callable, Iterator

from altiplano.corpus.pii.checks import is_address, is_card, is_email, is_iban, is_password, is_phone, is_secret
from altiplano.corpus.pii.names_and_addresses import addresses, user_names
from altiplano.corpus.pii.national_ids import national_ids
from altiplano.corpus.pii.windows import digit_windows, mark_windows

CONTEXT = 32
"""Characters before a match that may tell what it is."""

COULD_HOLD = re.compile(r"[\d@:=]|/home/|/Users/|PRIVATE KEY|xox|/~|\.com/|t\.me/")

LETTER = r"[^\W\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
"""Of a script that puts spaces between an address and what stands before it."""

EMAIL = re.compile(
    rf"(?<!{LETTER})(?<![.+-])(?:{LETTER}|[+-])(?:(?:{LETTER}|[.+'-]){{0,62}}(?:{LETTER}|[+-]))?@"
    rf"(?:{LETTER}(?:(?:{LETTER}|-){{0,61}}{LETTER})?\.){{1,6}}(?:xn--[a-z0-9]{{2,20}}|(?:(?!\d){LETTER}){{2,24}})(?!{LETTER}|-)"
)
OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP4 = re.compile(rf"(?=\d)(?<![\w.-])(?:{OCTET}\.){{3}}{OCTET}(?!\w|-\w|\.\w)", re.ASCII)
IP6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F:]{6,39}(?![\w:]))(?:[0-9a-fA-F]{1,4}:|:)(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])"
)
GROUPS = re.compile(r":[0-9a-fA-F]{0,4}:[0-9a-fA-F]")
"""Two colons of an IPv6 address."""

CARD = re.compile(
    r"(?<![\w.-])(?<!\d[ ])(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{3})?|\d{4}([ -])\d{6}\2\d{4,5}|\d{13,19})"
    r"(?![\w-]|\.\d|[ ]\d)",
    re.ASCII,
)
IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII)
PHONE = re.compile(
    r"(?<![\w.+/=-])(?<!\d[ ])(?:(?:\+|00)\d{1,3}[ ./-]?|8[ -]?(?=\())?(?:\(\d{1,5}\)[ ./-]?)?"
    r"\d{1,5}(?:(?: [/-] |[ ./-])\d{1,8}|\d){1,9}(?![\w]|-\w|\.\d|[ ]\d)",
    re.ASCII,
)
KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----"
    r"(?:(?!-----BEGIN)[\s\S]){1,8000}?-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_[A-Za-z0-9_]{22,82}\b"
    r"|\bglpat-[A-Za-z0-9_-]{20}\b|\bxox[abprs]-[A-Za-z0-9-]{10,80}\b|\b[sr]k_live_[0-9a-zA-Z]{24,99}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}(?![\w-])|\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,120}(?![\w-])|\bhf_[A-Za-z0-9]{34}\b"
    r"|\bnpm_[A-Za-z0-9]{36}\b|\bpypi-AgE[A-Za-z0-9_-]{50,200}|\bSG\.[\w-]{22}\.[\w-]{43}\b|\bdop_v1_[a-f0-9]{64}\b"
    r"|(?<![\w-])eyJ[A-Za-z0-9_-]{10,2000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,2000}"
)
KEY_MARKS = (
    "PRIVATE KEY", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "k_live_",
    "AIza", "sk-", "hf_", "npm_", "pypi-", "SG.", "dop_v1_", "eyJ",
)  # fmt: skip
"""Prefixes that the issuers publish, as in the rule sets of secret scanners."""

LOGIN = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\0]{1,60}:(?P<password>[^\s:/@\0\[\]<>{}$*]{4,60})(?=@[\w.-])")
ASSIGNED = re.compile(
    r"(?i:(?<![^\W_])(?:password|passwd|passwort|pwd|contraseña|mot de passe|пароль|senha|"
    r"secret(?:[_-]?(?:access[_-]?)?key)?|api[ _-]?key|(?:access|auth|bearer)[_-]?token|client[_-]?secret)\b"
    r"[\"']?\s{0,3}(?:[=:]|:=|=>|is|ist|est|es)\s{0,3})"
    r"(?P<quote>[\"'`]?)(?P<value>(?=[^\s'\"`;,\0]{0,100}\d)(?=[^\s'\"`;,\0]{0,100}[A-Za-z])[^\s'\"`;,()<>{}$\0\[\]]{8,100})"
    r"(?P=quote)(?![\w(\[])"
)
ASSIGNED_MARKS = ("pass", "pwd", "contrase", "пароль", "senha", "secret", "api", "token")

Places = Iterator[tuple[int, int]]


def could_hold(text: str) -> bool:
    """Nearly every rule needs a digit or one of a few literals."""
    return bool(COULD_HOLD.search(text))


def _secrets(text: str, language: str) -> Places:
    if any(mark in text for mark in KEY_MARKS):
        yield from (match.span() for match in KEY.finditer(text))
    if "://" in text and "@" in text:
        for match in LOGIN.finditer(text):
            if is_password(match.group("password")):
                yield match.span("password")
    lower = text.lower()
    same = len(lower) == len(text)  # but for a few letters whose lower case is longer
    for low, high in mark_windows(lower, ASSIGNED_MARKS, 24, 160) if same else [(0, len(text))]:
        for match in ASSIGNED.finditer(text, low, high):
            if is_secret(match.group("value"), match.group("quote"), language):
                yield match.span("value")


def _emails(text: str, language: str) -> Places:
    for low, high in mark_windows(text, ("@",), 70, 160):
        for match in EMAIL.finditer(text, low, high):
            if is_email(match.group(0), language):
                yield match.span()


def _ibans(text: str, language: str) -> Places:
    for match in _near_digits(IBAN, text):
        if length := is_iban(match.group(0)):
            yield match.start(), match.start() + length


def _cards(text: str, language: str) -> Places:
    for match in _near_digits(CARD, text):
        if is_card(match.group(0), _before(text, match.start()), language):
            yield match.span()


def _addresses(text: str, language: str) -> Places:
    for match in _near_digits(IP4, text, digits=4, within=15):
        if is_address(match.group(0), _before(text, match.start()), text[match.end() : match.end() + 1], language):
            yield match.span()
    for match in IP6.finditer(text) if GROUPS.search(text) else ():
        if is_address(match.group(0), "", text[match.end() : match.end() + 1], language):
            yield match.span()


def _national_ids(text: str, language: str) -> Places:
    yield from national_ids(text)


def _street_addresses(text: str, language: str) -> Places:
    if language != "code":
        yield from addresses(text)


def _user_names(text: str, language: str) -> Places:
    yield from user_names(text)


def _phones(text: str, language: str) -> Places:
    for match in _near_digits(PHONE, text):
        if is_phone(match.group(0), language, _before(text, match.start())):
            yield match.span()


def _near_digits(
    pattern: re.Pattern[str], text: str, digits: int = 6, within: int = 40, around: int = 40
) -> Iterator[re.Match[str]]:
    """Matches where the text has so many digits within so many characters, as all matches have."""
    for low, high in digit_windows(text, digits, within, around, around):
        yield from pattern.finditer(text, low, high)


def _before(text: str, start: int) -> str:
    """What precedes a match, up to the last removed value."""
    return text[max(0, start - CONTEXT) : start].rsplit("\0", 1)[-1].lower()


RULES: dict[str, Callable[[str, str], Places]] = {
    "secret": _secrets,
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "ip": _addresses,
    "national_id": _national_ids,
    "address": _street_addresses,
    "phone": _phones,
    "user": _user_names,
}
"""In order of precedence: later rules skip what an earlier one matched."""
