"""Check digits and birth dates of national identifiers that python-stdnum lacks, or in which it compares a birth date
with today's: the same text must give the same result on every day. Sources: each country's definition of its number.
"""

import re
from collections.abc import Callable


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


def no_check(value: str) -> bool:
    """No check digit is known: not one digit repeated, and not counted up."""
    digits = "".join(filter(str.isdigit, value))
    return len(set(digits)) > 2 and digits not in "01234567890123456789"


def yugoslav(value: str) -> bool:
    """Unique master citizen number (JMBG) of the successor states of Yugoslavia."""
    digits = digits_of(value)
    total = sum(digit * weight for digit, weight in zip(digits, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2), strict=False))
    return date(two(value, 0), two(value, 2)) and -total % 11 % 10 == digits[12]


def kazakh(value: str) -> bool:
    digits = digits_of(value)
    if not date(two(value, 4), two(value, 2)) or digits[6] > 6:
        return False
    total = sum(digit * weight for digit, weight in zip(digits, range(1, 12), strict=False)) % 11
    if total == 10:
        total = sum(d * w for d, w in zip(digits, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2), strict=False)) % 11
    return total == digits[11]


def iranian(value: str) -> bool:
    digits = digits_of(value)
    rest = sum(digit * (10 - place) for place, digit in enumerate(digits[:9])) % 11
    return digits[9] == (rest if rest < 2 else 11 - rest) and len(set(digits)) > 1


def singaporean(value: str) -> bool:
    total = weighted(value, (2, 7, 6, 5, 4, 3, 2)) + (4 if value[0] in "TG" else 3 if value[0] == "M" else 0)
    letters = "JZIHGFEDCBA" if value[0] in "ST" else "XWUTRQPNMLK" if value[0] in "FG" else "XWUTRQPNJLK"
    place = 10 - total % 11 if value[0] == "M" else total % 11
    return letters[place] == value[-1]


def taiwanese(value: str) -> bool:
    first = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(value[0]) + 10
    digits = [first // 10, first % 10, *digits_of(value[1:])]
    return sum(d * w for d, w in zip(digits, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1), strict=False)) % 10 == 0


def hong_kong(value: str) -> bool:
    plain = re.sub(r"\W", "", value).rjust(9)
    numbers = [36 if c == " " else int(c, 36) for c in plain]
    return sum(number * (9 - place) for place, number in enumerate(numbers)) % 11 == 0


def hungarian_health(value: str) -> bool:
    digits = digits_of(value)
    return sum(digit * (3, 7)[place % 2] for place, digit in enumerate(digits[:8])) % 10 == digits[8]


def hungarian_tax(value: str) -> bool:
    digits = digits_of(value)
    return sum(digit * (place + 1) for place, digit in enumerate(digits[:9])) % 11 == digits[9]


def spanish_social(value: str) -> bool:
    digits = "".join(filter(str.isdigit, value))
    return int(digits[:10] if int(digits[2:10]) >= 10**7 else digits[:2] + digits[3:10]) % 97 == int(digits[10:])


def australian_medicare(value: str) -> bool:
    return weighted(value, (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == digits_of(value)[8]


def uruguayan(value: str) -> bool:
    digits = digits_of(value)
    digits = [0] * (8 - len(digits)) + digits
    return -sum(d * w for d, w in zip(digits, (2, 9, 8, 7, 6, 3, 4), strict=False)) % 10 == digits[7]


def latvian(value: str) -> bool:
    return value.startswith("3") or date(two(value, 0), two(value, 2))


def egyptian(value: str) -> bool:
    return value[0] in "23" and date(two(value, 5), two(value, 3), int(value[1:3]))


def dated(at: int) -> Callable[[str], bool]:
    """A birth date at a place of the value, written year, month, day."""

    def valid(value: str) -> bool:
        return date(two(value, at + 4), two(value, at + 2), two(value, at))

    return valid
