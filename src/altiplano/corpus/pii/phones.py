"""Telephone numbers: assigned by libphonenumber's plan of a country where the text's language is spoken, and either
behind a word for calling or written as no other number is written.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator

from altiplano.corpus.pii.phone_tables import ABBREVIATIONS, ALONE, NOUNS, REGIONS, SIGNS, STEMS
from altiplano.corpus.pii.windows import digit_windows
from altiplano.optional_imports import extra

PHONE = re.compile(
    r"(?<![\w.+/-])(?<!\d[ ])(?:\((?:\+|00)\d{1,3}(?: ?\d{1,4})?\)[ ./-]{0,2}"
    r"|(?:\+ ?|00 ?)\d{1,3}[ ./-]{0,2}|[087][ -]?(?=\()|"
    r"8[ -](?=0\d))?"
    r"(?:\(\d{1,3}(?:[ -]?\d{1,4})?\)[ ./-]{0,2})?"
    r"\d{1,6}(?:(?: [/-] |[ ./-])\d{1,8}|\d){1,12}(?!(?!x\d)\w|-\w|\.\d|[ ]\d)",
    re.ASCII,
)
LINK = re.compile(
    r"(?:\bwa\.me/|whatsapp\.com/send/?\?phone=|\b(?:tel|callto|sms|phone):(?://)?|[?&]phone=)(\+?[\d().-]{7,20})"
)
FICTION = re.compile(r"(?:\+?1[ .-]?)?(?:\(?\d{3}\)?[ .-]?)?555[ .-]?01\d\d")
"""Numbers that the North American plan reserves for fiction."""

NOT_CALLING = re.compile(
    r"(?:isbn|issn|doi|arxiv|orcid|pages?|pp|vol|no|nr|id|order|bestellung|invoice|version|rfc|pmid|eur|usd|"
    r"[$€£¥₹₽₺₩#§=])\W*$"
    r"|\wnummer\W+(?:\w+\W+)?$"
)
OTHERWISE = re.compile(
    r"(?:isbn|issn|doi|arxiv|orcid|pmid|imei|iban|\bvat|ust-?id|nip|cnpj|siret|siren|\bkvk|cvr|инн|огрн|zip|plz|"
    r"postcode|bestell|order|"
    r"ticket|invoice|rechnung|serial|serien|model[l]?|artikel|sku|account|konto|kunden|customer|[$€£¥₹₽₺₩§]|\w_id|"
    r"\bids?\b|faktur|factuur|factur|fattur|\bcep\b|品番|型番|番号は|订单|訂單|注文|주문|번호판|артикул|заказ|парти|zamówien|pedido|"
    r"commande|sipariş|tilaus)[\w]*\W*(?:(?:nr|no|number|nummer|#)\W*)?$"
)
DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?\d|1[0-2])[-/. ][0-3]?\d(?!\d)|[0-3]?\d[-/.](?:0?\d|1[0-2])[-/.](?:19|20)\d\d(?!\d)"
    r"|(?:19|20)\d\d ?[-/–] ?(?:19|20)?\d\d$|(?:0?\d|1[0-2])[/-][0-3]?\d[/-](?:19|20)\d\d(?!\d)"
    r"|[0-3]?\d[./-](?:0?\d|1[0-2])[./-]\d\d(?= |$)|[0-2]?\d[.:][0-5]\d ?- ?[0-2]?\d[.:][0-5]\d$"
)
THOUSANDS = re.compile(r"\d{1,3}(?:\.\d{3})+|\d{1,3}(?: \d{3}){2,}|[\d.]{1,9}\.\d{1,2}")
AMOUNT = re.compile(r"\d{1,3}(?:[ .]\d{3})+")
ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
BEFORE = 64
"""Characters before a number in which a word for calling may stand, with up to three words between."""


def _bare(text: str) -> str:
    """Without accents, which languages with the same word write differently."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c)).replace("ł", "l")


LONG_ENOUGH = {
    "fax",
    "faks",
    "gsm",
    "тел",
    "моб",
    "τηλ",
    "κιν",
    "հեռ",
    "տել",
    "ტელ",
    "მობ",
    "tel",
    "puh",
    "simu",
    "утас",
}
WORD_STEMS = tuple(stem for stem in map(_bare, STEMS) if len(stem) > 4 - (not stem.isascii()) or stem in LONG_ENOUGH)
SHORT = {_bare(word) for word in (*ABBREVIATIONS, *STEMS)}
"""A word of up to four letters counts only whole."""

NOUN_STEMS = tuple(_bare(noun) for noun in NOUNS)
OWN = re.compile(
    r"\b(?:my|our|his|her|their|meine|unsere|seine|ihre|mon|notre|son|mijn|ons|min|mitt|vores|moje|moj) "
    r"(?:new |neue |nouveau )?"
    r"(?:number|nummer|numero|cislo|numer|broj) (?:is|ist|est|er|ar|je|to)?\W{0,3}$"
)
"""Someone's number is one to call."""

WORDS = re.compile(r"[^\W\d_]+")
SIGN = re.compile("|".join(map(re.escape, SIGNS)))
TOP = re.compile(r"(?:\.|@[\w.-]{1,60}\.)([a-z]{2})(?![\w-])", re.ASCII)


def phones(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Where numbers stand in the text."""
    for low, high in digit_windows(text, 6, 30, 16, 24):
        for match in PHONE.finditer(text, low, high):
            before = text[max(0, match.start() - BEFORE) : match.start()].rsplit("\0", 1)[-1].lower()
            yield from _in_match(text, match, before, language)
    if (
        "wa.me/" in text
        or "phone=" in text
        or "tel:" in text
        or "sms:" in text
        or "callto:" in text
        or "phone:" in text
    ):
        for match in LINK.finditer(text):
            digits = sum(map(str.isdigit, match.group(1)))
            if 7 <= digits <= 15 and len(set(match.group(1))) > 3 and not FICTION.fullmatch(match.group(1)):
                yield match.span(1)


def _in_match(text: str, match: re.Match[str], before: str, language: str) -> Iterator[tuple[int, int]]:
    value = match.group(0)
    if is_phone(value, language, before, lambda: regions_near(text, match.start(), match.end())):
        yield match.span()
    elif "/" in value or " - " in value:  # two numbers, or a number and what is counted after it
        at = match.start()
        for part in re.split(r"( ?/ ?| - )", value):
            if len(part) > 6 and is_phone(part, language, before, lambda: ()):
                yield at, at + len(part)
            at += len(part)


def regions_near(text: str, start: int, end: int) -> tuple[str, ...]:
    """Countries whose top-level domain stands near."""
    near = text[max(0, start - 200) : end + 200].lower()
    return tuple({"uk": "GB"}.get(code, code.upper()) for code in dict.fromkeys(TOP.findall(near)))


def called(before: str) -> int:
    """0: nothing says that the number is one to call; 1: a word for calling stands before it; 2: as its label."""
    tail = before[-40:]
    if not tail:
        return 0
    if re.search(r"\bh/?p[\W]{0,4}$", tail):
        return 2
    if tail.endswith(("tel:", "tel: ", "phone=", "phone: ", "phone:")):
        return 2
    if not tail.isascii() and (signs := list(SIGN.finditer(tail))):
        return 2 if len(tail) - signs[-1].end() < 8 else 1
    before = _bare(before)
    if OWN.search(before):
        return 1
    words = list(WORDS.finditer(before))[-4:]
    for place, word in enumerate(reversed(words)):
        name = word.group(0)
        gap = before[word.end() :]
        if name in ALONE:
            if place == 0 and gap.strip(" (") in (":", ".", ".:") and name not in ("no", "nr", "num"):
                return 1
        elif name in SHORT or name.startswith(WORD_STEMS):
            if place == 0 and len(gap) < 8 and not re.search(r"\d", gap) and name.startswith(NOUN_STEMS):
                return 2
            if "\n\n" in gap or len(gap) > 48:
                return 0
            return 1
    return 0


def is_phone(value: str, language: str, before: str, near: object = None) -> bool:
    """A number that its country's plan assigns, written as a phone number is written; ``near()``: more countries."""
    digits = sum(map(str.isdigit, value))
    if not 6 <= digits <= 15 or FICTION.fullmatch(value):
        return False
    international = value.lstrip("( ").startswith(("+", "00"))
    glued = before.endswith(("=", "#"))
    postcode = language == "pt" and before.endswith(("cep ", "cep: "))  # in Turkish a mobile telephone
    how = 0 if postcode else called(before)
    if digits == 6 and how < 2:
        return False
    if how < 2 and (DATE.match(value) or ADDRESS.fullmatch(value) or OTHERWISE.search(before)):
        return False
    if not how and (NOT_CALLING.search(before) or glued):
        return False
    if international:
        number = re.sub(r"^\(?(?:\+|00) ?", "+", value).replace("(0)", "")
        spaced = how or language != "code" or len(re.split(r"\D+", value)) > 3  # in code a bare one is a number
        return bool(spaced) and (_assigned(number, "ZZ") or (how == 2 and _shaped(value, digits)))
    groups = re.split(r"\D+", value.strip("()"))
    if not how:
        written = len(groups) >= 3 and (value[0] in "(0" or _american(value, groups))
        if not written or language == "code" or "/" in value[5:]:
            return False
        regions = REGIONS.get(language, ())
        return any(_assigned(value, region) for region in (regions if value[0] == "(" else regions[:3]))
    regions = REGIONS.get(language, ("US", "GB"))
    more = near() if callable(near) else ()
    labelled = how == 2 and (value.isdigit() or before.rstrip(" (").endswith((":", ".")))
    value = re.sub(r"^8[ -]0(?=\d)", "", value)  # so Belarus writes its trunk prefix
    if value[0] != "0" and (value.isdigit() or AMOUNT.fullmatch(value)) and not labelled:
        regions = regions[:2]  # an amount, as likely, or some other number
    if any(_assigned(value, region) for region in (*regions, *more)):
        return True
    return how == 2 and _shaped(value, digits)


def _shaped(value: str, digits: int) -> bool:
    """Not a date, an amount or a made-up row of digits."""
    plain = "".join(filter(str.isdigit, value))
    return (
        7 <= digits <= 13
        and len(set(plain)) > 2
        and plain not in "01234567890123456789"
        and not THOUSANDS.fullmatch(value)
        and not DATE.match(value)
        and not ADDRESS.fullmatch(value)
    )


def _american(value: str, groups: list[str]) -> bool:
    return [len(group) for group in groups][-3:] == [3, 3, 4] and ("-" in value or "." in value)


@functools.lru_cache(maxsize=65536)
def _assigned(value: str, region: str) -> bool:
    phonenumbers = extra("phonenumbers")
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(value, region)))
    except phonenumbers.NumberParseException:
        return False
