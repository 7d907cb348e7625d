"""Captions that are part of the text: those with a number ("Figure 2: …"), and those of tables and listings.

Captions of photographs are left to the extractors, which drop them: of 474 on news pages, people who cleaned the text
by hand left seven in.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

CANDIDATE = re.compile(
    r"<(?:figcaption\b|(?:p|div|span)\s[^<>]{0,200}?caption)[^<>]*+>(?:\s++|<[^<>]*+>){0,20}+(?:fig|tab|lis|alg|sch|pla|cha"
    r"|exh|box|abb|obr|ry[sc]|рис|таб|мал|[图圖図表그표]|hình|bảng|gam|kuv|sli|şek|εικ|πίν)",
    re.IGNORECASE,
)
"""Seldom do others begin so."""

NUMBERED = re.compile(
    r"(?:fig(?:ure|ura|uur)?s?|tab(?:le|leau|elle|ela|ella|la|lo|el)?|listing|algorithm|scheme|schema|plate|chart|exhibit"
    r"|box|abb(?:ildung)?|obr(?:ázek)?|rys(?:unek)?|рис(?:унок)?|табл(?:ица|иця)?|мал(?:юнок)?|图|圖|図|表|그림|표|hình|bảng"
    r"|gambar|kuva|slika|şekil|εικόνα|πίνακας)\.?\s?(?:[A-Z]\.?)?\d\w*\W+\w",
    re.IGNORECASE,
)
CAPTIONS = ".//figcaption | .//*[self::p or self::div or self::span][contains(@class, 'caption')]"
MAX_CHARACTERS, MAX_ELEMENTS = 2000, 100
"""In a caption; what is named so and has more is the page around its captions."""

BESIDE = 300
"""Characters that stand beside its caption in an element named after it."""


def may_have_number(html: str) -> bool:
    return CANDIDATE.search(html) is not None


def captions(root: Any) -> Iterator[tuple[Any, Any]]:
    """Each such caption below ``root``, and the outermost element that is a figure around it, if any."""
    with_text = {above for inner in root.iter("table", "pre") for above in inner.iterancestors("figure")}
    found: set[Any] = set()
    for caption in root.xpath(CAPTIONS):
        if next(islice(caption.iter(), MAX_ELEMENTS, None), None) is not None or caption.getparent() is None:
            continue
        if not is_shorter(caption, MAX_CHARACTERS):
            continue
        text = " ".join("".join(caption.itertext()).split())
        figures = [above for above in caption.iterancestors("figure", "div", "span", "a") if _is_figure(above, text)]
        of_text = caption.tag == "figcaption" and not with_text.isdisjoint(figures)
        if text and (of_text or NUMBERED.match(text)) and found.isdisjoint(caption.iterancestors()):
            found.add(caption)
            yield caption, figures[-1] if figures else None


def _is_figure(element: Any, caption: str) -> bool:
    """By its tag, or by its class and little more text than the caption."""
    named = "caption" in (element.get("class") or "") and is_shorter(element, len(caption) + BESIDE)
    return element.getparent() is not None and (element.tag == "figure" or named)


def is_shorter(element: Any, limit: int) -> bool:
    """Whether its text has at most so many characters; no more of it is read than that."""
    for text in element.itertext():
        limit -= len(text)
        if limit < 0:
            return False
    return True
