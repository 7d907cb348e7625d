"""Numbers of payment cards and of bank accounts.

Sources: ISO 7812 (Luhn's check digit) and the networks' published ranges; ISO 13616 and the IBAN registry (lengths).
Bank codes (BIC) name no person. Addresses of crypto wallets are left: published ones belong to contracts, exchanges and
projects far more often than to a person, and in code they are constants.
"""

import re
from collections.abc import Iterator

from altiplano.corpus.pii.windows import digit_windows

CARD = re.compile(
    r"(?<![\w.-])(?<!\d[ ])(?:\d{4}(?P<a>[ -])\d{4}(?P=a)\d{4}(?:(?P=a)\d{1,4})?(?:(?P=a)\d{1,3})?"
    r"|\d{4}(?P<b>[ -])\d{6}(?P=b)\d{4,5}|\d{12,19})(?![\w-]|\.\d|[ ]\d)",
    re.ASCII,
)
NETWORKS = (  # network, prefixes (first and last), lengths
    ("Visa", ((4, 4),), (13, 16, 19)),
    ("Mastercard", ((51, 55), (2221, 2720)), (16,)),
    ("American Express", ((34, 34), (37, 37)), (15,)),
    ("Diners Club", ((300, 305), (309, 309), (36, 36), (38, 39)), (14, 16)),
    ("Discover", ((6011, 6011), (644, 649), (65, 65)), (16, 19)),
    ("JCB", ((3528, 3589),), (16, 17, 18, 19)),
    ("UnionPay", ((62, 62), (81, 81)), (16, 17, 18, 19)),
    ("Mir", ((2200, 2204),), (16, 17, 18, 19)),
    ("RuPay", ((508, 508), (60, 60), (82, 82), (353, 353), (356, 356)), (16,)),
    ("Elo", ((5041, 5041), (5066, 5067), (509, 509), (6277, 6277), (6362, 6363)), (16,)),
    ("Hipercard", ((606282, 606282), (384100, 384160), (637095, 637095), (637568, 637612)), (13, 16, 19)),
    ("Troy", ((9792, 9792),), (16,)),
    ("Verve", ((506099, 506198), (650002, 650027), (507865, 507964)), (16, 18, 19)),
    ("UzCard, Humo", ((8600, 8600), (9860, 9860), (5614, 5614)), (16,)),
    ("Napas", ((9704, 9704),), (16, 19)),
    ("Dankort", ((5019, 5019), (4571, 4571)), (16,)),
    ("Meeza", ((5078, 5078),), (16,)),
)
MAESTRO = (("Maestro", ((50, 50), (56, 58), (60, 69)), tuple(range(12, 20))),)
"""Ranges so broad that one number in four is in them: only where a card is mentioned."""

MENTIONED = re.compile(
    r"card|carte|karte|tarjeta|cart[ãa]o|cartao|\bcarta\b|kort|kaart|kart|kort|kártya|kortel|korti|maestro|visa|"
    r"\bmir\b|debit|credit|kredit|"
    r"crédito|débito|crédit|карт|картк|мир\b|κάρτα|כרטיס|بطاقة|کارت|कार्ड|কার্ড|บัตร|thẻ|卡|カード|카드|kad\b|payment|"
    r"zahlung|\bpan\b|hipercard|\bcc\b"
)
CALLED_OTHERWISE = re.compile(
    r"(?:isbn|ean|gtin|imei|iccid|upc|tracking|parcel|sendung|serial|seri|order|bestell|invoice|barcode|артикул|заказ|"
    r"pedido|commande|zamówieni|订单|注文|주문|timestamp|albar[áa]n|lieferschein|ticket|rechnung|factur|fattura|refer|"
    r"konto|account|контракт|договор|\bid)\W*(?:\w+\W+)?$"
)

IBAN = re.compile(r"(?<![\w])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?(?![A-Za-z0-9])", re.ASCII)
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
BEFORE = 48
"""Characters before a number that may tell what it is."""


def luhn(digits: list[int]) -> bool:
    return (sum(digits[-1::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])) % 10 == 0


def cards(text: str, language: str) -> Iterator[tuple[int, int]]:
    for low, high in digit_windows(text, 12, 24, 24, 24):
        for match in CARD.finditer(text, low, high):
            before = text[max(0, match.start() - BEFORE) : match.start()].rsplit("\0", 1)[-1].lower()
            if is_card(match.group(0), before, language):
                yield match.span()


def is_card(value: str, before: str, language: str) -> bool:
    """A prefix and length that some network uses, and the check digit. In code a bare number is a number."""
    if language == "code" and value.isdigit() and not before.endswith(("'", '"')):
        return False
    number = "".join(filter(str.isdigit, value))
    mentioned = bool(MENTIONED.search(before))
    network = _network(number, NETWORKS) or (_network(number, MAESTRO) if mentioned else "")
    if not network or len(set(number)) == 1:
        return False
    if not mentioned and (CALLED_OTHERWISE.search(before) or (value.isdigit() and len(value) not in (15, 16))):
        return False
    # UnionPay issues numbers without a check digit
    return luhn([int(digit) for digit in number]) or (network == "UnionPay" and mentioned)


def _network(number: str, networks: tuple[tuple[str, tuple[tuple[int, int], ...], tuple[int, ...]], ...]) -> str:
    for name, ranges, lengths in networks:
        if len(number) in lengths:
            for first, last in ranges:
                if first <= int(number[: len(str(first))]) <= last:
                    return name
    return ""


def ibans(text: str, language: str) -> Iterator[tuple[int, int]]:
    for low, high in digit_windows(text, 6, 40, 40, 40):
        for match in IBAN.finditer(text, low, high):
            if length := iban_length(match.group(0)):
                yield match.start(), match.start() + length


def iban_length(value: str) -> int:
    """Characters of ``value`` that form an account number (ISO 7064 modulo 97); 0 when none do."""
    wanted = IBAN_LENGTHS.get(value[:2])
    if wanted is None:
        return 0
    seen = 0
    for position, character in enumerate(value, start=1):
        seen += character not in " -"
        if seen == wanted:
            if position < len(value) and value[position] not in " -":
                return 0
            compact = re.sub("[ -]", "", value[:position])
            number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
            return position if int(number) % 97 == 1 else 0
    return 0
