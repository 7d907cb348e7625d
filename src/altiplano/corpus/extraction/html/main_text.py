"""The main text of an HTML page, without navigation, advertisements and comments.

``quality`` mode is trafilatura. ``hybrid`` mode is several times as fast: resiliparse where a page is plain prose,
trafilatura elsewhere. Pages mark the element with their text in few ways (schema.org's ``articleBody``, ``<article>``,
the classes of content management systems); resiliparse writes its text without what class or tag mark as other things.
Where no element is marked, resiliparse's own choice counts if most of it is whole paragraphs. On other pages, with
lists, listings and little text, trafilatura is better. What neither
keeps is written as text first (``html_structures``).
"""

import functools
import logging
import re
from html import unescape
from typing import Any

import numpy as np

from altiplano.corpus.extraction.html.structures import Structures
from altiplano.optional_imports import extra


def text_of_html(html: str) -> str:
    """Quality mode: trafilatura on the whole page. Empty when the page has no main text or cannot be parsed."""
    if not html.strip():
        return ""
    trafilatura = _trafilatura()
    html, letters = _as_letters(html)
    structures = Structures(html, lists=True)
    try:
        page = html
        if structures.kinds and (tree := trafilatura.load_html(html)) is not None:
            structures.take_out(page := tree)
        text = trafilatura.extract(page, fast=True, include_comments=False, include_tables=True) or ""
    except (ValueError, TypeError, AttributeError, RecursionError, AssertionError):  # what lxml raises on broken pages
        return ""
    text = structures.put_back(text)
    for letter, sign in letters.items():
        text = text.replace(letter, sign)
    return _tidy(text)


def fast_text_of_html(html: str) -> str:
    """Hybrid mode: the page's main part where it is marked, else as in quality mode."""
    return main_part(html) or text_of_html(html)


def text_of_book(html: str) -> str:
    """All text of pages that are nothing but text, such as a book's chapters."""
    if not html.strip():
        return ""
    structures = Structures(html, lists=False)
    write = extra("resiliparse.extract.html2text").extract_plain_text
    html = _without_structures(html, structures)
    # not without alt_texts: that drops figures with their captions
    text = write(html, main_content=False, alt_texts=True, links=False, skip_elements=["nav", *NO_TEXT])
    return _tidy(structures.put_back(text)).strip()


NO_TEXT = (
    "script", "style", "template", "img", "area", "svg", "object", "embed", "video", "audio", "canvas", "iframe",
)  # fmt: skip
"""Elements of a book that hold none."""

MODES = {"quality": text_of_html, "hybrid": fast_text_of_html}
"""Values of ``corpus.extraction.html``."""

MIN_CHARACTERS = 400
"""Characters: an element with fewer is not the main part."""

MIN_PROSE = 600
SHORT_LINE = 80
MAX_SHORT = 0.3
"""Of the characters that resiliparse chose, in lines under ``SHORT_LINE``: menus, teasers and tables have more."""

MAX_TAGS = 50_000
MAX_DEPTH = 2_000
"""Resiliparse's time grows with the square of a page's depth: 4,000 levels take 0.4 s, 16,000 take 4 s."""

TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)")
XML_DECLARATION = re.compile(r"\A\s*+<\?xml[^<>]{0,500}\?>")
NEVER_DEEP = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr",
    "p", "li", "dt", "dd", "td", "th", "tr", "tbody", "option", "optgroup",
}  # fmt: skip
"""Empty elements, and those that a following one ends without a tag."""


def _any(attribute: str, names: tuple[str, ...], shared: str = "") -> str:
    """A selector of elements whose attribute has one of the names in it. ``shared`` is a part of all of them.

    Lexbor tests one selector after the other on every element, so most should fail at their first test.
    """
    tests = ",".join(f'[{attribute}*="{name}"]' for name in names)
    first = f'*="{shared}"' if shared else ""
    return f"[{attribute}{first}]:is({tests})"


ARTICLE = (
    "article-content", "articlebody", "article-body", "article__body", "articleBody", "article__content",
)  # fmt: skip
REGIONS = (
    (
        '[itemprop="articleBody"]', "#articleContent", '[class="post"]', '[class="entry"]',
        _any("class", (*ARTICLE, "article-text", "articleText"), shared="article"), '[class*="ArticleContent"]',
        _any("class", ("entry-content", "page-content", "text-content"), shared="-content"), '[class*="body-text"]',
        _any("class", (
            "post-content", "post_content", "postcontent", "postContent", "post-body", "post-text", "post_text",
            "post-entry",
        ), shared="post"),
        _any("id", (*ARTICLE, "entry-content", "body-text")),
    ),
    ("article",),
    (
        '[role="article"]', "#article", "#story", ".story", ".text",
        _any("class", (
            "story-content", "story-body", "blog-content", "single-content", "single-post", "field-body",
            "main-column", "fulltext",
        )),
    ),
    (
        "#content", '[class="content"]', _any("id", ("main-content", "content-main"), shared="content"),
        _any("class", ("main-content", "content-main", "content-body", "content__body"), shared="content"),
    ),
    ("main", '[role="main"]', "#main"),
)  # fmt: skip
"""CSS selectors of the element that holds the text, surest first."""

TAGS = (
    "aside", "audio", "button", "canvas", "dialog", "fieldset", "figcaption", "figure", "footer", "form", "header",
    "iframe", "input", "label", "menu", "nav", "noscript", "object", "option", "picture", "script", "select", "style",
    "svg", "textarea", "video",
)  # fmt: skip
NAMES = (
    "share", "Share", "social", "newsletter", "related", "Related", "author", "byline", "tags", "breadcrumb", "sidebar",
    "banner", "cookie", "consent", "navigation", "navbar", "subnav", "menu", "outbrain", "taboola", "footer", "meta",
    "rating", "timestamp", "attachment", "overlay", "slide", "expand", "teaser", "comments", "caption", "promo",
    "print", "hidden", "message", "-icon", "-ad-", "next-", "button",
)  # fmt: skip
"""Parts of class names. Chosen on half of the pages of benchmarks/curation.py and a hand-labelled set, so measure
elsewhere before adding."""

SKIPPED = [
    *TAGS,
    f":is(div,ul,p,section,span){_any('class', NAMES)}",
    _any("id", ("share", "related", "comments", "nav", "footer")),
    '[style*="display:none"]', '[style*="display: none"]', '[aria-hidden="true"]',
]  # fmt: skip


def main_part(html: str) -> str:
    """The page's main text; empty where trafilatura should be asked."""
    tags = html.count("<")
    if tags > MAX_TAGS or (tags > MAX_DEPTH and _depth(html) > MAX_DEPTH):
        return ""
    tree = extra("resiliparse.parse.html").HTMLTree.parse(html)
    body = tree.body
    if body is None:
        return ""
    region = next(filter(None, (body.query_selector(",".join(group)) for group in REGIONS)), None)
    if region is not None:
        part = region.html
        text = _text(part, Structures(part, lists=False), chosen=False)
        if len(text) >= MIN_CHARACTERS:
            return text
    text = _plain(tree, chosen=True)
    short = sum(len(line) for line in text.split("\n") if len(line) < SHORT_LINE)
    if len(text) < MIN_PROSE or short >= MAX_SHORT * len(text):
        return ""
    structures = Structures(html, lists=True)
    return _text(html, structures, chosen=True) if structures.kinds else _tidy(text)


def _depth(html: str) -> int:
    """Depth of the deepest element; one that is never closed counts as open to the end."""
    bound = _depth_of_tags(html)
    if bound <= MAX_DEPTH:
        return bound
    depth = deepest = 0
    for closes, name in TAG.findall(html):
        if name.lower() not in NEVER_DEEP:
            depth = max(depth - 1, 0) if closes else depth + 1
            deepest = max(deepest, depth)
    return deepest


def _depth_of_tags(html: str) -> int:
    """The same with every element counted that nothing closes, ``<br>`` too, in a hundredth of the time."""
    data = np.frombuffer(html.encode("utf-8", "surrogatepass") + b" ", np.uint8)
    after = data[np.flatnonzero(data[:-1] == ord("<")) + 1]
    steps = (after | 0x20 >= ord("a")) & (after | 0x20 <= ord("z"))
    levels = np.cumsum(steps.astype(np.int32) - (after == ord("/")))
    return int((levels - np.minimum(np.minimum.accumulate(levels), 0)).max(initial=0))


def _text(html: str, structures: Structures, chosen: bool) -> str:
    html = _without_structures(html, structures)
    return _tidy(structures.put_back(_plain(html, chosen)))


@functools.cache
def _trafilatura() -> Any:
    found = extra("trafilatura")
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it reports every empty page
    extra("trafilatura.utils").HTML_PARSER.set_element_class_lookup(_classes())
    return found


@functools.cache
def _parser() -> Any:
    parser = extra("lxml.etree").HTMLParser()
    parser.set_element_class_lookup(_classes())
    return parser


def _classes() -> Any:
    """All elements are HtmlElement. lxml.html's parsers ask a function in Python what each one is, links and forms
    being of classes of their own, which nothing here needs; that takes a fifteenth of trafilatura's time."""
    etree, html = extra("lxml.etree"), extra("lxml.html")
    return etree.ElementDefaultClassLookup(
        element=html.HtmlElement, comment=html.HtmlComment, pi=html.HtmlProcessingInstruction
    )


def _without_structures(html: str, structures: Structures) -> str:
    """The page with words in place of what ``structures`` takes out; as it is where lxml cannot read it."""
    if not structures.kinds:
        return html
    try:
        # of a text, lxml refuses to hear which bytes it was
        page = extra("lxml.html").document_fromstring(XML_DECLARATION.sub("", html), parser=_parser())
        structures.take_out(page)
    except (ValueError, extra("lxml.etree").LxmlError):  # no element, or characters that XML does not have
        structures.kinds.clear()
        return html
    return str(extra("lxml.etree").tostring(page, encoding="unicode", method="html"))


def _plain(page: Any, chosen: bool) -> str:
    """All that is not skipped, or what resiliparse chooses of it. ``page`` is HTML or resiliparse's tree of it."""
    write = extra("resiliparse.extract.html2text").extract_plain_text
    return write(page, main_content=chosen, alt_texts=False, links=False, comments=False, skip_elements=SKIPPED).strip()


FORMAT = [
    chr(code)
    for first, last in (
        (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x2069), (0x061C, 0x061C), (0x0600, 0x0605),
        (0x06DD, 0x06DD), (0x070F, 0x070F), (0x0890, 0x0891), (0x08E2, 0x08E2), (0x180E, 0x180E), (0x110BD, 0x110BD),
        (0x110CD, 0x110CD), (0xE0020, 0xE007F),
    )
    for code in range(first, last + 1)
]  # fmt: skip
"""Signs without width, and those of Arabic and Kaithi numbers."""


def _unit(sign: str) -> int:
    return int.from_bytes(sign.encode("utf-16-be")[:2])


UNITS = np.zeros(0x10000, bool)
"""Which units of UTF-16 those begin with; a table is a tenth of the time of a pattern."""

FIRST = 0x600
UNITS[[_unit(sign) for sign in FORMAT]] = True

FORMAT_NAMED = re.compile(r"&(?:zwn?j|[lr]rm|#0*(?:820[3-7]|823[4-8]|829[4-7]|1564)|#[xX]0*(?:200[b-fB-F]|202[a-eA-E]"
                          r"|206[6-9]|61[cC]));?")  # fmt: skip
INVISIBLE = re.compile("\xad|(?<![\u0e00-\u109f\u1780-\u17ff\u200b])\u200b+(?![\u0e00-\u109f\u1780-\u17ff\u200b])")
"""Soft hyphens, and places where a line may break, but for scripts that mark words by them."""

BULLET = re.compile(r"^((?:  )*?)  • ?", re.MULTILINE)


def _as_letters(html: str) -> tuple[str, dict[str, str]]:
    """The page with a letter for each joiner, mark of direction and other sign without width, which trafilatura drops
    though spelling needs them; and what each letter stands for."""
    html = FORMAT_NAMED.sub(lambda match: unescape(match[0]), html)
    if html.isascii():
        return html, {}
    units = np.frombuffer(html.encode("utf-16-le", "surrogatepass"), "<u2")
    units = units[units >= FIRST]
    first = set(units[UNITS[units]].tolist())
    if not first:
        return html, {}
    found = [sign for sign in FORMAT if _unit(sign) in first and sign in html]
    spare = (letter for letter in SPARE_LETTERS if letter not in html)
    letters = dict(zip(spare, found, strict=False))
    for letter, sign in letters.items():
        html = html.replace(sign, letter)
    return html, letters


SPARE_LETTERS = [chr(code) for code in range(0xA500, 0xA60B)]
"""Of Vai: one or other is in no page."""


def _tidy(text: str) -> str:
    """Without soft hyphens; list items begin with a dash in both modes."""
    if "\xad" in text or "\u200b" in text:
        text = INVISIBLE.sub("", text)
    return BULLET.sub(r"\1- ", text) if "•" in text else text
