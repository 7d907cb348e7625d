"""National identifiers of persons: a shape, a checksum or a plausible birth date, and where those say little, a name.

Sources: each country's published definition of its number. A number whose check one random number in ten or more passes
must have its name before it ("PESEL", "Steuer-ID", …); two letters and a letter of control need none.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from altiplano.corpus.pii.windows import digit_windows

WEIGHT_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"  # Spain: number modulo 23
FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
ITALIAN_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13,
    15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23], strict=True))  # fmt: skip
VERHOEFF = "0123456789" "1234067895" "2340178956" "3401289567" "4012395678" "5987604321" "6598710432" "7659821043" \
    "8765932104" "9876543210"  # fmt: skip
VERHOEFF_SHIFT = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
CURP = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"

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


def spanish(value: str) -> bool:
    compact = re.sub(r"\W", "", value)
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return WEIGHT_LETTERS[int(number) % 23] == compact[-1]


def french(value: str) -> bool:
    compact = re.sub(r"\W", "", value).replace("2A", "19").replace("2B", "18")
    month = int(compact[3:5])
    return (1 <= month <= 12 or 20 <= month <= 42) and 97 - int(compact[:-2]) % 97 == int(compact[-2:])


def italian(value: str) -> bool:
    total = sum(
        ITALIAN_ODD[c] if at % 2 == 0 else (int(c) if c.isdigit() else ord(c) - 65) for at, c in enumerate(value[:15])
    )
    return chr(65 + total % 26) == value[15]


def german(value: str) -> bool:
    digits = digits_of(value)
    counts = [digits[:10].count(digit) for digit in range(10)]
    product = 10
    for digit in digits[:10]:
        product = ((digit + product) % 10 or 10) * 2 % 11
    return digits[0] != 0 and max(counts) in (2, 3) and (11 - product) % 10 == digits[10]


def polish(value: str) -> bool:
    return date(two(value, 4), two(value, 2) % 20) and weighted(value, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def brazilian(value: str) -> bool:
    digits = digits_of(value)
    first = weighted(value, tuple(range(10, 1, -1))) * 10 % 11 % 10
    second = weighted(value, tuple(range(11, 1, -1))) * 10 % 11 % 10
    return len(set(digits)) > 1 and [first, second] == digits[9:]


def chinese(value: str) -> bool:
    if not (18 <= int(value[6:8]) <= 20 and date(int(value[12:14]), int(value[10:12]), int(value[6:10]))):
        return False
    total = weighted(value[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return "10X98765432"[total % 11] == value[17].upper()


def indian(value: str) -> bool:
    check = 0
    for at, digit in enumerate(reversed(digits_of(value))):
        check = int(VERHOEFF[10 * check + int(VERHOEFF_SHIFT[10 * (at % 8) + digit])])
    return check == 0 and value[0] not in "01"


def swedish(value: str) -> bool:
    short = "".join(map(str, digits_of(value)[-10:]))
    return date(int(short[4:6]) % 60, int(short[2:4])) and luhn(short)


def finnish(value: str) -> bool:
    number = int(value[:6] + value[7:10])
    return date(two(value, 0), two(value, 2)) and FINNISH[number % 31] == value[10]


def norwegian(value: str) -> bool:
    first = -weighted(value, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
    second = -weighted(value, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return date(two(value, 0) % 40, two(value, 2) % 40) and [first, second] == digits_of(value)[9:]


def danish(value: str) -> bool:
    return date(two(value, 0), two(value, 2)) and weighted(value, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def dutch(value: str) -> bool:
    return len(set(value)) > 1 and weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def belgian(value: str) -> bool:
    digits = "".join(map(str, digits_of(value)))
    if not date(int(digits[4:6]), int(digits[2:4])):
        return False
    return any(97 - int(century + digits[:9]) % 97 == int(digits[9:]) for century in ("", "2"))


def swiss(value: str) -> bool:
    return weighted(value, (1, 3) * 6 + (1,)) % 10 == 0


def british(value: str) -> bool:
    return value[0] not in "DFIQUV" and value[1] not in "DFIOQUV" and value[:2] not in ("BG", "GB", "NK", "TN", "ZZ")


def british_health(value: str) -> bool:
    return -weighted(value, (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11 == digits_of(value)[9]


def turkish(value: str) -> bool:
    d = digits_of(value)
    return d[0] != 0 and (7 * sum(d[0:9:2]) - sum(d[1:8:2])) % 10 == d[9] and sum(d[:10]) % 10 == d[10]


def korean(value: str) -> bool:
    total = weighted(value, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return date(two(value, 4), two(value, 2)) and (11 - total % 11) % 10 == digits_of(value)[12]


def japanese(value: str) -> bool:
    rest = weighted(value, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == digits_of(value)[11]


def russian(value: str) -> bool:
    return weighted(value, (9, 8, 7, 6, 5, 4, 3, 2, 1)) % 101 % 100 == int("".join(map(str, digits_of(value)[9:])))


def portuguese(value: str) -> bool:
    rest = weighted(value, (9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return (0 if rest < 2 else 11 - rest) == digits_of(value)[8]


def mexican(value: str) -> bool:
    total = sum(CURP.index(character) * (18 - at) for at, character in enumerate(value[:17]))
    return date(int(value[8:10]), int(value[6:8])) and -total % 10 == int(value[17])


def south_african(value: str) -> bool:
    return date(two(value, 4), two(value, 2)) and luhn(value)


def romanian(value: str) -> bool:
    rest = weighted(value, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return date(two(value, 5), two(value, 3)) and (1 if rest == 10 else rest) == digits_of(value)[12]


def czech(value: str) -> bool:
    digits = "".join(map(str, digits_of(value)))
    month = int(digits[2:4]) % 50
    return date(int(digits[4:6]), month % 20) and int(digits) % 11 == 0


def american(value: str) -> bool:
    return not re.match(r"000|666|9|\d{3}-00|\d{3}-\d\d-0000", value)


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
SWEDISH = _named(r"person(?:nummer|nr)|\bpnr\b|född|samordningsnummer")
CANADIAN = _named(r"\bsin\b|social insurance|\bnas\b|assurance sociale")
NINO = _named(r"national insurance|\bnino?\b|\bni n")
IDENTIFIERS = (
    Identifier("US", _shape(D, r"\d\d-\d\d-\d{4}"), american),
    Identifier("ES", _shape(D, r"\d(?:\d{6}|\.\d{3}\.\d{3})[- ]?[A-Z]"), spanish),
    Identifier("ES", _shape("[XYZ]", r"-?\d{7}-?[A-Z]"), spanish),
    Identifier("FR", _shape("[12]", r" ?\d\d ?\d\d ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"), french),
    Identifier("IT", _shape("[A-Z]", r"[A-Z]{5}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z]"), italian),
    Identifier("DE", _shape("[1-9]", r"\d ?\d{3} ?\d{3} ?\d{3}"), german, _named(r"steuer|idnr|\btin\b|tax id")),
    Identifier("PL", _shape(D, r"\d{10}"), polish, _named(r"pesel")),
    Identifier("BR", _shape(D, r"\d\d\.\d{3}\.\d{3}-\d\d"), brazilian),
    Identifier("BR", _shape(D, r"\d{10}"), brazilian, _named(r"\bcpf\b")),
    Identifier("CN", _shape("[1-8]", r"\d{5}(?:18|19|20)\d{9}[\dXx]"), chinese),
    Identifier("IN", _shape("[2-9]", r"\d{3}([ -]?)\d{4}\1\d{4}"), indian, _named(r"aadhaar|आधार|uidai|uid\b")),
    Identifier("SE", _shape(D, r"\d{5}[-+]\d{4}"), swedish, SWEDISH),
    Identifier("SE", _shape("[12]", r"[089]\d{6}[-+]?\d{4}"), swedish, SWEDISH),
    Identifier("FI", _shape(D, r"\d{5}[-+A-FU-Y]\d{3}[0-9A-Y]"), finnish),
    Identifier("NO", _shape(D, r"\d{5} ?\d{5}"), norwegian, _named(r"fødsels|personnummer|f\.?nr|d-nummer")),
    Identifier("DK", _shape(D, r"\d{5}-\d{4}"), danish, _named(r"\bcpr\b|personnummer")),
    Identifier("NL", _shape(D, r"\d{8}"), dutch, _named(r"\bbsn\b|burgerservicenummer|sofinummer")),
    Identifier("BE", _shape(D, r"\d\.\d\d\.\d\d-\d{3}\.\d\d"), belgian),
    Identifier("CH", _shape("7", r"56\.\d{4}\.\d{4}\.\d\d"), swiss),
    Identifier("GB", _shape("[A-Z]", r"[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"), british, NINO),
    Identifier("GB", _shape(D, r"\d\d ?\d{3} ?\d{4}"), british_health, _named(r"\bnhs\b")),
    Identifier("TR", _shape("[1-9]", r"\d{10}"), turkish, _named(r"kimlik|\btc\b|t\.c\.")),
    Identifier("KR", _shape(D, r"\d{5}-\d{7}"), korean),
    Identifier("JP", _shape(D, r"\d{3}([ -]?)\d{4}\1\d{4}"), japanese, _named(r"マイナンバー|個人番号|my number")),
    Identifier("RU", _shape(D, r"\d\d-\d{3}-\d{3}[ -]\d\d"), russian),
    Identifier("PT", _shape("[1-3]", r"\d\d ?\d{3} ?\d{3}"), portuguese, _named(r"\bnif\b|contribuinte")),
    Identifier("MX", _shape("[A-Z]", r"[AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[A-Z\d]\d"), mexican),
    Identifier("ZA", _shape(D, r"\d{5} ?\d{4} ?[012]\d\d"), south_african, _named(r"\bid\b|identity|identiteit")),
    Identifier("RO", _shape("[1-8]", r"\d{12}"), romanian, _named(r"\bcnp\b|cod numeric")),
    Identifier("CZ", _shape(D, r"\d{5}/\d{4}"), czech, _named(r"rodn[éeáa]|\br\.? ?[čc]\.")),
    Identifier("CA", _shape("[1-79]", r"\d\d([ -])\d{3}\1\d{3}"), luhn, CANADIAN),
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
