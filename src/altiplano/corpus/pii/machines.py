"""Addresses of machines: Internet addresses (version 4 and 6) and hardware addresses.

Sources: IANA's registries of special addresses (through ``ipaddress``), RFC 5737 and 3849, IEEE 802.
"""

import ipaddress
import re
from collections.abc import Iterator

from altiplano.corpus.pii.windows import digit_windows, stepped_windows

OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP4 = re.compile(rf"(?=\d)(?<![\w.-])(?:{OCTET}\.){{3}}{OCTET}(?!\w|-\w|\.\w)", re.ASCII)
IP6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-fA-F:]{6,39}(?![\w:]))(?:[0-9a-fA-F]{1,4}:|"
    r":)(?:[0-9a-fA-F]{0,4}:){1,6}[0-9a-fA-F]{0,4}(?![\w:])"
)
GROUPS = re.compile(r":[0-9a-fA-F]{0,4}:[0-9a-fA-F]")
"""Two colons of an IPv6 address."""

MAC = re.compile(
    r"(?<![\w:.-])(?:[0-9A-Fa-f]{2}(?P<m>[:-])(?:[0-9A-Fa-f]{2}(?P=m)){4}[0-9A-Fa-f]{2}"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w:-]|\.\w)"
)
HARDWARE = re.compile(r"\bmac\b|ether|hw ?addr|hardware|bssid|wi-?fi|wlan|lladdr|physical|physikalisch|\barp\b|nic\b")

DOCUMENTATION = [
    ipaddress.ip_network(network) for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
"""RFC 5737 and 3849: for documentation, never routed."""

NUMBERING = re.compile(
    r"(?:\bv|version(?:en|s|e|i)?|версия|версии|版本|バージョン|버전|versión|versão|versione|wersja|verze|releases?|sections?|"
    r"chapters?|"
    r"abschnitt|kapitel|firmware|driver|build|upgrade[ds]?|update[ds]?|java|python|chrome|firefox|§|[=<>~^!]=|"
    r"[<>~^/-]|\boid)"
    r"(?: (?:from|to|of|number|nummer|is|was))?[\s\"'(:=]*$"
)
ADDRESSING = re.compile(
    r"\b(?:ips?|ipv4|address|addr|adress[ea]?n?|dirección|indirizzo|endereço|adres|адрес|адреса|host|(?:name)?servers?|"
    r"resolver|dns|peer|ping|traceroute|gateway|proxy|client|remote)\b\W*(?:\w+\W+)?$|(?:地址|アドレス|주소|服务器)\W*(?:\w+\W+)?$"
)


def addresses(text: str, language: str) -> Iterator[tuple[int, int]]:
    for low, high in digit_windows(text, 4, 15, 40, 40):
        for match in IP4.finditer(text, low, high):
            before = text[max(0, match.start() - 32) : match.start()].rsplit("\0", 1)[-1].lower()
            if is_address(match.group(0), before, text[match.end() : match.end() + 1]):
                yield match.span()
    for match in IP6.finditer(text) if GROUPS.search(text) else ():
        if is_address(match.group(0), "", text[match.end() : match.end() + 1]):
            yield match.span()


def is_address(value: str, before: str, after: str) -> bool:
    """A public Internet address and not, say, a network, a version or a section number."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    documented = any(address in network for network in DOCUMENTATION if network.version == address.version)
    documented = documented or value in ("1.2.3.4", "5.6.7.8", "4.3.2.1", "12.34.56.78")  # what examples count up
    if documented or not address.is_global or address.is_multicast or after == "/" or NUMBERING.search(before):
        return False
    if address.version == 6:
        return True
    small = sum(int(part) < 32 for part in value.split("."))  # section and version numbers count in small steps
    return small < 3 or after == ":" or bool(ADDRESSING.search(before))


def hardware(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Hardware addresses, of which six pairs of decimals are as likely a time."""
    for low, high in stepped_windows(text, ":-", 3, 4, 24) + stepped_windows(text, ".", 5, 1, 24):
        for match in MAC.finditer(text, low, high):
            digits = re.sub(r"[^0-9a-f]", "", match.group(0).lower())
            before = text[max(0, match.start() - 32) : match.start()].rsplit("\0", 1)[-1].lower()
            mentioned = bool(HARDWARE.search(before))
            if len(set(digits)) > 2 and (mentioned or (not digits.isdecimal() and match.group("m"))):
                yield match.span()
