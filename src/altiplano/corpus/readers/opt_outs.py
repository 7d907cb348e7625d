"""What publishers say about the use of their pages to train models: one function per protocol.

A page says it itself by ``X-Robots-Tag`` (``x_robots_tag``), ``<meta name="robots">`` (``meta_robots``) and the TDM
Reservation Protocol of a W3C community group (``tdm_reservation``); a site by ``robots.txt`` (RFC 9309), Spawning's
``ai.txt`` and ``tdmrep.json``, which a crawler stores as records of their own.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from altiplano.corpus.readers.charsets.meta_tags import meta_tags

DIRECTIVES = ("noai", "noml")
"""Of ``X-Robots-Tag`` and ``<meta name="robots">``. ``noimageai`` is about pictures, ``noarchive`` about caches."""

HEAD_BYTES = 64 * 2**10
SIGNS = (b"noai", b"noml", b"tdm-reservation")
ROBOTS = ("robots", "googlebot", "ccbot", "gptbot")
TDM = "tdm-reservation"

AI_CRAWLERS = (
    "ai2bot", "ai2bot-dolma", "amazonbot", "anthropic-ai", "applebot-extended", "bytespider", "ccbot", "claude-web",
    "claudebot", "cohere-ai", "cohere-training-data-crawler", "deepseekbot", "diffbot", "facebookbot",
    "google-extended", "gptbot", "meta-externalagent", "omgili", "omgilibot", "pangubot", "timpibot", "webzio-extended",
)  # fmt: skip
"""Names in ``robots.txt`` of crawlers that collect text to train models, as their operators publish them."""

SITE_FILES = {
    "/robots.txt": "robots.txt",
    "/ai.txt": "ai.txt",
    "/.well-known/tdmrep.json": "tdmrep.json",
    "/tdmrep.json": "tdmrep.json",
}
"""By the path of a URL."""

SITE_FILE_BYTES = 500 * 2**10
"""Of a site's file that count, as RFC 9309 has it."""

MAX_RULES = 2000

Rule = tuple[bool, str]
"""Whether it allows, and the beginning of the paths it is about: ``*`` stands for anything, ``$`` for the end."""


def opt_out(headers: list[tuple[str, str]], page: bytes) -> str:
    """The protocol and directive by which headers or ``<meta>`` reserve the page; empty when nothing does."""
    return x_robots_tag(headers) or tdm_header(headers) or _by_tags(page)


def x_robots_tag(headers: Iterable[tuple[str, str]]) -> str:
    """``X-Robots-Tag: noai``, for all robots or for one."""
    for name, value in headers:
        if name.lower() == "x-robots-tag" and (found := _directive(value)):
            return f"X-Robots-Tag: {found}"
    return ""


def tdm_header(headers: Iterable[tuple[str, str]]) -> str:
    """``TDM-Reservation: 1``."""
    return "TDM-Reservation" if any(n.lower() == TDM and v.strip() == "1" for n, v in headers) else ""


def meta_robots(tags: Iterable[Mapping[str, str]]) -> str:
    """``<meta name="robots" content="noai">``."""
    for tag in tags:
        if tag.get("name", "").lower() in ROBOTS and (found := _directive(tag.get("content", ""))):
            return f"meta robots: {found}"
    return ""


def tdm_meta(tags: Iterable[Mapping[str, str]]) -> str:
    """``<meta name="tdm-reservation" content="1">``."""
    is_set = any(tag.get("name", "").lower() == TDM and tag.get("content", "").strip() == "1" for tag in tags)
    return "meta tdm-reservation" if is_set else ""


def _by_tags(page: bytes) -> str:
    head = page[:HEAD_BYTES]
    lower = head.lower()  # finding three strings takes a tenth of what one expression that ignores case does
    if not any(sign in lower for sign in SIGNS):
        return ""
    tags = list(meta_tags(head))
    return meta_robots(tags) or tdm_meta(tags)


def _directive(value: str) -> str:
    words = re.split(r"[\s,:]+", value.lower())
    return next((word for word in DIRECTIVES if word in words), "")


def robots_txt(text: str, crawlers: Iterable[str] = AI_CRAWLERS) -> list[list[Rule]]:
    """The groups of rules that apply to any of the crawlers; for one without its own group that of ``*`` does."""
    groups: dict[str, list[Rule]] = {}
    agents: list[str] = []
    is_open = False  # whether more agents may follow for the same group
    for line in text[:SITE_FILE_BYTES].splitlines():
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key in ("user-agent", "useragent"):
            agents = [*agents, value.lower()] if is_open else [value.lower()]
            is_open = True
            groups.setdefault(value.lower(), [])
        elif key in ("allow", "disallow"):
            is_open = False
            for agent in agents:
                if value and len(groups[agent]) < MAX_RULES:
                    groups[agent].append((key == "allow", value))
    found = [groups.get(crawler, groups.get("*", [])) for crawler in crawlers]
    return [rules for number, rules in enumerate(found) if rules and rules not in found[:number]]


def ai_txt(text: str) -> list[list[Rule]]:
    """Spawning's ``ai.txt``: as ``robots.txt``, with rules by file name ending, of which those for text count."""
    if re.match(r"\s*<", text):  # an error page
        return []
    groups = robots_txt(text, ["*"])
    textual = ("/", "*", "/*", "*.txt", "*.html", "*.htm", "*.md")
    return [[(allows, "/")] for rules in groups for allows, path in rules[:1] if not allows and path in textual]


def tdmrep_json(text: str) -> list[list[Rule]]:
    """``[{"location": "/docs/*", "tdm-reservation": 1}]``: the first location that matches counts."""
    try:
        entries: Any = json.loads(text[:SITE_FILE_BYTES])
    except (ValueError, RecursionError):
        return []
    groups: list[list[Rule]] = [[]]
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("location"), str) and len(groups[0]) < MAX_RULES:
            groups[0].append((entry.get(TDM) != 1, entry["location"]))
    return groups if any(not allows for allows, _ in groups[0]) else []


PARSERS = {"robots.txt": robots_txt, "ai.txt": ai_txt, "tdmrep.json": tdmrep_json}

Site = dict[str, list[list[Rule]]]
"""Groups of rules by the name of the file that they are from."""


def site_file(url: str) -> tuple[str, str]:
    """Host and kind of a URL that is a site's file about its use; two empty strings for any other."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    kind = SITE_FILES.get(parts.path.lower(), "")
    return (parts.netloc.lower(), kind) if kind else ("", "")


def closed_by(url: str, sites: Mapping[str, Site]) -> str:
    """The file by which the page's site closes it to crawlers that collect text; empty when none does."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    site = sites.get(parts.netloc.lower())
    if not site:
        return ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    for kind, groups in site.items():
        longest = kind != "tdmrep.json"
        if any(not _allows(rules, path, longest) for rules in groups):
            return kind
    return ""


def _allows(rules: Iterable[Rule], path: str, longest: bool) -> bool:
    """The longest rule that matches counts, and of two the one that allows; or the first that matches."""
    found = [(len(pattern), allows) for allows, pattern in rules if _matches(pattern, path)]
    return not found or (max(found) if longest else found[0])[1]


def _matches(pattern: str, path: str) -> bool:
    """In linear time for each part of the pattern between stars."""
    is_end = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for number, part in enumerate(others):
        if is_end and number == len(others) - 1:
            return len(path) - len(part) >= at and path.endswith(part)
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return not is_end or at == len(path)
