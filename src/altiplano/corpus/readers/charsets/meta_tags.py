"""The ``<meta>`` tags of a page's head that are in force: none inside comments, scripts or templates."""

import re
from collections.abc import Iterator

TAG = re.compile(rb"<meta[\s/][^>]{0,1000}>", re.IGNORECASE)
ATTRIBUTE = re.compile(
    rb"([a-zA-Z-]{1,40})\s{0,20}=\s{0,20}(?:\"([^\"]{0,1000})\"|'([^']{0,1000})'|([^\s\"'>]{1,1000}))"
)
HIDDEN = re.compile(rb"<!--|<(script|style|template|noscript|textarea|title)\b", re.IGNORECASE)


def meta_tags(head: bytes) -> Iterator[dict[str, str]]:
    """Attributes by name in lower case."""
    for tag in TAG.findall(_shown(head)):
        found: dict[str, str] = {}
        for name, *values in ATTRIBUTE.findall(tag):
            found.setdefault(name.decode("ascii").lower(), b"".join(values).decode("utf-8", "replace").strip())
        yield found


def _shown(html: bytes) -> bytes:
    parts, at = [], 0
    lower = html.lower()
    while match := HIDDEN.search(html, at):
        parts.append(html[at : match.start()])
        end = b"-->" if match[1] is None else b"</" + match[1].lower()
        found = lower.find(end, match.start() + 2)  # <!--> is a whole comment
        if found < 0:
            return b"".join(parts)
        at = found + len(end)
    return b"".join([*parts, html[at:]])
