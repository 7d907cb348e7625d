"""National identifiers of persons: a shape, a checksum or a plausible birth date, and where those say little, a name.

Checks are python-stdnum's. Ours are those that it lacks, and those in which it compares a birth date with today's: the
same text must give the same result on every day. Sources of ours: each country's published definition of its number.

A number whose check one random number in ten passes must have its name before it ("PESEL", "Steuer-ID", …).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from altiplano.corpus.pii.windows import digit_windows
from altiplano.optional_imports import extra

NAMED = 60
"""Characters before a number in which its name may stand."""


def digits_of(value: str) -> list[int]:
    return [int(character) for character in value if character.isdigit()]


def weighted(value: str, weights: tuple[int, ...]) -> int:
    return sum(digit * weight for digit, weight in zip(digits_of(value), weights, strict=False))


def luhn(value: str) -> bool:
    """ISO 7812."""
    digits = digits_of(value)
    return (sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])) % 10 == 0


def date(day: int, month: int, year: int = 4) -> bool:
    """Whether there is such a day; the year matters for 29 February only."""
    if not 1 <= month <= 12:
        return False
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    longest = (29 if leap else 28) if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    return 1 <= day <= longest


def two(value: str, at: int) -> int:
    digits = "".join(filter(str.isdigit, value))
    return int(digits[at : at + 2])


def swedish(value: str) -> bool:
    short = "".join(map(str, digits_of(value)[-10:]))
    return date(int(short[4:6]) % 60, int(short[2:4])) and luhn(short)


def norwegian(value: str) -> bool:
    first = -weighted(value, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(value, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return date(two(value, 0) % 40, two(value, 2) % 40) and [first, second] == digits_of(value)[9:]


def danish(value: str) -> bool:
    return date(two(value, 0), two(value, 2)) and weighted(value, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def belgian(value: str) -> bool:
    digits = "".join(map(str, digits_of(value)))
    if not date(int(digits[4:6]), int(digits[2:4])):
        return False
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def british(value: str) -> bool:
    return value[0] not in "DFIQUV" and value[1] not in "DFIOQUV" and value[:2] not in ("BG", "GB", "NK", "TN", "ZZ")


def korean(value: str) -> bool:
    total = weighted(value, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return date(two(value, 4), two(value, 2)) and (11 - total % 11) % 10 == digits_of(value)[12]


def russian(value: str) -> bool:
    return weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100 == int("".join(map(str, digits_of(value)[9:])))


def south_african(value: str) -> bool:
    return date(two(value, 4), two(value, 2)) and luhn(value)


def american(value: str) -> bool:
    return not re.match(r"000|666|9|\d{3}-00|\d{3}-\d\d-0000", value)


def stdnum(module: str, **options: bool) -> Callable[[str], bool]:
    """python-stdnum's check of a value, imported when it is first needed."""

    def valid(value: str) -> bool:
        # it does not know that Spain writes dots between digits
        return bool(extra(f"stdnum.{module}").is_valid(value.replace(".", ""), **options))

    return valid


@dataclass(frozen=True)
class Identifier:
    """``shape`` begins with a character class, which the regex engine looks for fast; ``named``: words before it."""

    country: str
    shape: re.Pattern[str]
    valid: Callable[[str], bool]
    named: re.Pattern[str] | None = None


def _shape(first: str, rest: str) -> re.Pattern[str]:
    """Neither part of a longer word or number nor of a decimal."""
    return re.compile(rf"{first}(?<![\w.+/-].){rest}(?![\w-])(?![.,/:]\d)", re.ASCII)


def _named(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{words})[^\n]{{0,30}}$", re.IGNORECASE)


D = "[0-9]"
GERMAN = _named(r"steuer|idnr|\btin\b|tax id")
INDIAN = _named(r"aadhaar|आधार|uidai|uid\b")
JAPANESE = _named(r"マイナンバー|個人番号|my number")
SWEDISH = _named(r"person(?:nummer|nr)|\bpnr\b|född|samordningsnummer")
CANADIAN = _named(r"\bsin\b|social insurance|\bnas\b|assurance sociale")
NINO = _named(r"national insurance|\bnino?\b|\bni n")
IDENTIFIERS = (
    Identifier("US", _shape(D, r"\d\d-\d\d-\d{4}"), american),
    Identifier("ES", _shape(D, r"\d(?:\d{6}|\.\d{3}\.\d{3})[- ]?[A-Z]"), stdnum("es.dni")),
    Identifier("ES", _shape("[XYZ]", r"-?\d{7}-?[A-Z]"), stdnum("es.nie")),
    Identifier("FR", _shape("[12]", r" ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"), stdnum("fr.nir")),
    Identifier("IT", _shape("[A-Z]", r"[A-Z]{5}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z]"), stdnum("it.codicefiscale")),
    Identifier("DE", _shape("[1-9]", r"\d ?\d{3} ?\d{3} ?\d{3}"), stdnum("de.idnr"), GERMAN),
    Identifier("PL", _shape(D, r"\d{10}"), stdnum("pl.pesel"), _named(r"pesel")),
    Identifier("BR", _shape(D, r"\d\d\.\d{3}\.\d{3}-\d\d"), stdnum("br.cpf")),
    Identifier("BR", _shape(D, r"\d{10}"), stdnum("br.cpf"), _named(r"\bcpf\b")),
    Identifier("CN", _shape("[1-8]", r"\d{5}(?:18|19|20)\d{9}[\dXx]"), stdnum("cn.ric")),
    Identifier("IN", _shape("[2-9]", r"\d{3}([ -]?)\d{4}\1\d{4}"), stdnum("in_.aadhaar"), INDIAN),
    Identifier("SE", _shape(D, r"\d{5}[-+]\d{4}"), swedish, SWEDISH),
    Identifier("SE", _shape("[12]", r"[089]\d{6}[-+]?\d{4}"), swedish, SWEDISH),
    Identifier("FI", _shape(D, r"\d{5}[-+A-FU-Y]\d{3}[0-9A-Y]"), stdnum("fi.hetu", allow_temporary=True)),
    Identifier("NO", _shape(D, r"\d{5} ?\d{5}"), norwegian, _named(r"fødsels|personnummer|f\.?nr|d-nummer")),
    Identifier("DK", _shape(D, r"\d{5}-\d{4}"), danish, _named(r"\bcpr\b|personnummer")),
    Identifier("NL", _shape(D, r"\d{8}"), stdnum("nl.bsn"), _named(r"\bbsn\b|burgerservicenummer|sofinummer")),
    Identifier("BE", _shape(D, r"\d\.\d\d\.\d\d-\d{3}\.\d\d"), belgian),
    Identifier("CH", _shape("7", r"56\.\d{4}\.\d{4}\.\d\d"), stdnum("ch.ssn")),
    Identifier("GB", _shape("[A-Z]", r"[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"), british, NINO),
    Identifier("GB", _shape(D, r"\d\d ?\d{3} ?\d{4}"), stdnum("gb.nhs"), _named(r"\bnhs\b")),
    Identifier("TR", _shape("[1-9]", r"\d{10}"), stdnum("tr.tckimlik"), _named(r"kimlik|\btc\b|t\.c\.")),
    Identifier("KR", _shape(D, r"\d{5}-\d{7}"), korean),
    Identifier("JP", _shape(D, r"\d{3}([ -]?)\d{4}\1\d{4}"), stdnum("jp.in_"), JAPANESE),
    Identifier("RU", _shape(D, r"\d\d-\d{3}-\d{3}[ -]\d\d"), russian),
    Identifier("PT", _shape("[1-3]", r"\d\d ?\d{3} ?\d{3}"), stdnum("pt.nif"), _named(r"\bnif\b|contribuinte")),
    Identifier("MX", _shape("[A-Z]", r"[AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d"), stdnum("mx.curp")),
    Identifier("ZA", _shape(D, r"\d{5} ?\d{4} ?[012]\d\d"), south_african, _named(r"\bid\b|identity|identiteit")),
    Identifier("RO", _shape("[1-8]", r"\d{12}"), stdnum("ro.cnp"), _named(r"\bcnp\b|cod numeric")),
    Identifier("CZ", _shape(D, r"\d{5}/\d{4}"), stdnum("cz.rc"), _named(r"rodn[éeáa]|\br\.? ?[čc]\.")),
    Identifier("CA", _shape("[1-79]", r"\d\d([ -])\d{3}\1\d{3}"), stdnum("ca.sin"), CANADIAN),
)  # fmt: skip

DIGITS, WITHIN, AROUND = 6, 24, 12
"""Every shape has so many digits within so many characters, and at most so many characters more on a side."""


def national_ids(text: str) -> Iterator[tuple[int, int]]:
    """Where identifiers stand in the text."""
    for low, high in digit_windows(text, DIGITS, WITHIN, AROUND, AROUND):
        for identifier in IDENTIFIERS:
            for match in identifier.shape.finditer(text, low, high):
                if not identifier.valid(match.group(0)):
                    continue
                before = text[max(0, match.start() - NAMED) : match.start()]
                if identifier.named is None or identifier.named.search(before):
                    yield match.span()
