"""Personal data by kind. Each kind is a generous pattern and a check of its matches, in a module of its own.

A NUL stands for something already removed; no pattern matches it.
"""

import re
from collections.abc import Callable, Iterator

from altiplano.corpus.pii import machines, names_and_addresses, payments
from altiplano.corpus.pii.emails import emails
from altiplano.corpus.pii.national_ids import national_ids
from altiplano.corpus.pii.phones import phones
from altiplano.corpus.pii.secrets import secrets

COULD_HOLD = re.compile(
    r"[\d@＠:：=(\[{<]|/home/|/Users/|PRIVATE KEY|/~|\.com/|t\.me/| (?:at|AT|arroba) |password|\\Users"
)

Places = Iterator[tuple[int, int]]


def could_hold(text: str) -> bool:
    """Nearly every rule needs a digit or one of a few literals."""
    return bool(COULD_HOLD.search(text))


def _national_ids(text: str, language: str) -> Places:
    yield from national_ids(text)


def _street_addresses(text: str, language: str) -> Places:
    if language != "code":
        yield from names_and_addresses.addresses(text)


def _user_names(text: str, language: str) -> Places:
    yield from names_and_addresses.user_names(text)


RULES: dict[str, Callable[[str, str], Places]] = {
    "secret": secrets,
    "email": emails,
    "iban": payments.ibans,
    "card": payments.cards,
    "ip": machines.addresses,
    "mac": machines.hardware,
    "national_id": _national_ids,
    "address": _street_addresses,
    "phone": phones,
    "user": _user_names,
}
"""In order of precedence: later rules skip what an earlier one matched."""
