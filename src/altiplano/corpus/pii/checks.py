"""Checks of candidates for personal data: which of them are real.

Sources: ISO 7812 (Luhn), ISO 13616 (IBAN), IANA registries of addresses and domains, libphonenumber.
"""

import functools
import ipaddress
import re

from altiplano.optional_imports import extra

GENERIC = {
    "com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "pro", "museum", "aero", "coop", "jobs",
    "mobi", "travel", "app", "dev", "online", "site", "tech", "store", "shop", "cloud", "blog", "email", "page", "wiki",
    "news", "live", "example", "invalid", "test",
}  # fmt: skip
FILE_ENDINGS = {
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "py", "rs", "md", "sh", "pl", "cc", "so", "ts", "mm", "hs",
    "ml",
}  # fmt: skip
"""Two-letter ones are countries as well; in code they are files."""

DOCUMENTATION = [
    ipaddress.ip_network(network) for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
"""RFC 5737 and 3849: for documentation, never routed."""

DOCUMENTATION_DOMAIN = re.compile(
    r"(?:.*\.)?(?:example\.(?:com|org|net|edu)|localhost|(?:foo|bar|domain|test)\.com)", re.IGNORECASE
)
"""RFC 2606 and other names used in documentation. Names under ``.example`` count as real: the samples use them."""

FICTION = re.compile(r"(?:\+?1[ .-]?)?\(?\d{3}\)?[ .-]?555[ .-]?01\d\d")
"""Numbers that the North American plan reserves for fiction."""

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25,
    "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29,
    "VA": 22,
}  # fmt: skip

REGIONS = {
    "en": ("US", "GB"), "de": ("DE", "AT", "CH"), "fr": ("FR", "BE", "CH"), "es": ("ES", "MX", "AR"), "it": ("IT",),
    "pt": ("BR", "PT"), "nl": ("NL", "BE"), "ru": ("RU",), "uk": ("UA",), "pl": ("PL",), "cs": ("CZ",), "sv": ("SE",),
    "da": ("DK",), "no": ("NO",), "fi": ("FI",), "tr": ("TR",), "el": ("GR",), "zh": ("CN", "TW"), "ja": ("JP",),
    "ko": ("KR",), "code": ("US",),
}  # fmt: skip

NUMBERING = re.compile(r"(?:\bv|versions?|releases?|sections?|chapters?|§|[=<>~^!]=|[<>~^/-]|\boid)[\s\"'(:=]*$")
ADDRESSING = re.compile(
    r"\b(?:ips?|ipv4|address|addr|adresse|dirección|indirizzo|endereço|адрес|host|(?:name)?server|resolver|dns|from|peer)\b\W*(?:\w+\W+)?$"
    r"|地址\W*$"
)
CALLING = re.compile(
    r"(?:\b(?:tel|phone|telephone|call|mobile|cell|fax|dial|ring|whatsapp|telefon|tel[eé]fono|t[eé]l[eé]phone|handy|mobil|"
    r"rufnummer|m[oó]vil|portable|appele[rz]|llame|llamar|telefone|celular|cellulare|anrufen|rufen|тел|телефон|номер|звоните)\b|"
    r"电话|手机|電話|携帯)\W*(?:\w+\W+){0,3}$"
)
NOT_CALLING = re.compile(
    r"(?:isbn|issn|doi|arxiv|orcid|pages?|pp|vol|no|nr|id|order|bestellung|invoice|version|rfc|pmid|eur|usd|[$€£¥#§=])\W*$|\wnummer\W+(?:\w+\W+)?$"
)
DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?\d|1[0-2])[-/. ][0-3]?\d(?!\d)|[0-3]?\d[-/.](?:0?\d|1[0-2])[-/.](?:19|20)\d\d(?!\d)"
    r"|(?:19|20)\d\d ?[-/–] ?(?:19|20)?\d\d$"
)
NOT_SECRET = re.compile(
    r"example|changeme|placeholder|your[_-]|x{4,}|\*{3,}|\.{3}|0{6,}|^[a-z_.]+\.[a-z_]+\d?$", re.IGNORECASE
)


def is_email(value: str, language: str) -> bool:
    local, _, domain = value.rpartition("@")
    ending = domain.rsplit(".", 1)[-1].lower()
    if local.lower() in ("git", "hg", "svn") or ".." in local:
        return False  # git@host:path is an address of a repository
    if DOCUMENTATION_DOMAIN.fullmatch(domain):
        return False
    if ending in FILE_ENDINGS and (language == "code" or re.fullmatch(r"\d+x", domain.split(".")[0])):
        return False
    known = len(ending) == 2 or ending in GENERIC or ending.startswith("xn--") or not ending.isascii()
    return known if language != "code" else known and len(local) > 1 and local not in ("self", "np", "torch")


def is_address(value: str, before: str, after: str, language: str) -> bool:
    """A public Internet address and not, say, a network, a version or a section number."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    documented = any(address in network for network in DOCUMENTATION if network.version == address.version)
    if documented or not address.is_global or address.is_multicast or after == "/" or NUMBERING.search(before):
        return False
    if address.version == 6:
        return True
    small = sum(int(part) < 32 for part in value.split("."))  # section and version numbers count in small steps
    return small < 3 or after == ":" or bool(ADDRESSING.search(before))


def is_card(value: str, before: str, language: str) -> bool:
    """Luhn's checksum, and a prefix and length that some issuer uses. In code a bare number is a number."""
    if language == "code" and value.isdigit() and not before.endswith(("'", '"')):
        return False
    digits = [int(character) for character in value if character.isdigit()]
    number, length = "".join(map(str, digits)), len(digits)
    issuer = (
        (number[0] == "4" and length in (13, 16, 19))
        or (length == 16 and (51 <= int(number[:2]) <= 55 or 2221 <= int(number[:4]) <= 2720))
        or (length == 15 and number[:2] in ("34", "37"))
        or (length == 14 and number[:2] in ("30", "36", "38"))
        or (length == 16 and (number[:4] == "6011" or number[:2] in ("35", "65")))
        or (16 <= length <= 19 and number[:2] == "62")
    )
    total = sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return issuer and total % 10 == 0 and len(set(digits)) > 1


def is_iban(value: str) -> int:
    """Characters of ``value`` that form an account number (ISO 7064 modulo 97); 0 when none do."""
    wanted = IBAN_LENGTHS.get(value[:2])
    if wanted is None:
        return 0
    seen = 0
    for position, character in enumerate(value, start=1):
        seen += character != " "
        if seen == wanted:
            if position < len(value) and value[position] != " ":
                return 0
            compact = value[:position].replace(" ", "")
            number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
            return position if int(number) % 97 == 1 else 0
    return 0


def is_phone(value: str, language: str, before: str) -> bool:
    """A number that its country's plan assigns, written as a phone number is written."""
    digits = sum(character.isdigit() for character in value)
    if not 7 <= digits <= 15 or FICTION.fullmatch(value):
        return False
    called = bool(CALLING.search(before))
    if not called and (NOT_CALLING.search(before) or DATE.match(value)):
        return False
    if value.startswith(("+", "00")):
        spaced = called or language != "code" or len(re.split(r"\D+", value)) > 3  # in code a bare one is a number
        return spaced and _assigned("+" + value[2:] if value.startswith("00") else value, "ZZ")
    groups = re.split(r"\D+", value.strip("()"))
    written = len(groups) >= 3 and (value[0] in "(0" or _american(value, groups))
    if not called and (not written or language == "code" or "/" in value[5:]):
        return False
    return any(_assigned(value, region) for region in REGIONS.get(language.partition("-")[0], ()))


def _american(value: str, groups: list[str]) -> bool:
    return [len(group) for group in groups][-3:] == [3, 3, 4] and ("-" in value or "." in value)


@functools.lru_cache(maxsize=65536)
def _assigned(value: str, region: str) -> bool:
    phonenumbers = extra("phonenumbers")
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(value, region)))
    except phonenumbers.NumberParseException:
        return False


def is_password(value: str) -> bool:
    """Of ``https://user:password@host``: not one of the words that documentation puts there."""
    return not re.match(r"pass|pw|secret|user|name|token|key|your|my|x-oauth|foo|bar|test|\W", value, re.IGNORECASE)


def is_secret(value: str, quote: str, language: str) -> bool:
    """In code only a quoted literal is one; elsewhere a word that no one would write as prose."""
    return not NOT_SECRET.search(value) and (bool(quote) or language != "code")
