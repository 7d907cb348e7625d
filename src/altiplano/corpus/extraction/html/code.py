"""Listings in web pages: their lines with indentation and blank lines, without line numbers and buttons.

Highlighters write a listing in many ways: one ``<pre>``; a table with the numbers in a column of their own (Pygments,
Rouge, Hugo) or with a row for each line (GitHub, highlightjs-line-numbers, SyntaxHighlighter); a ``<div>``, ``<li>`` or
``<span>`` for each line (Prism, Shiki, google-code-prettify, CodeMirror, Monaco).
"""

import re
from collections.abc import Iterator
from typing import Any

from altiplano.optional_imports import extra

CODE_TABLE = re.compile(
    r"(?:^|\s)(?:(?:code)?highlight(?:ed)?table|codehilitetable|rouge-table|lntable|hljs-ln|js-file-line-container"
    r"|highlight|syntaxhighlighter|blob-code[\w-]*|js-file-line|hljs-ln-code|rouge-code|code|linenos|td-code)(?:\s|$)"
)
"""Classes of tables that are listings, or of their cells."""

NUMBERS = re.compile(
    r"(?:^|[\s_-])(?:line-?nos?|line-?nums?|line-?numbers?|linenodiv|line-numbers-rows|gutter|gl|lnt?|lntd|hljs-ln-n"
    r"|hljs-ln-numbers|blob-num|line-index|code-line-number)(?:[\s_-]|$)",
    re.IGNORECASE,
)
CODE_CELL = re.compile(r"(?:^|[\s_-])code(?:[\s_-]|$)")
DIGITS = re.compile(r"[\d\s]*")
LINE_CLASSES = {
    "line", "code-line", "codeline", "view-line", "CodeMirror-line", "cm-line", "hljs-line", "token-line", "ln-line",
}  # fmt: skip
LINES = {"div", "li", "tr", "p"}
"""Elements that begin and end a line inside a listing."""

NO_CODE = {"button", "script", "style", "svg", "clipboard-copy", "template"}
COPY = re.compile(r"(?:^|[\s_-])(?:copy|copybtn|clipboard|clippy|copy-?code|code-?copy)(?:[\s_-]|$)", re.IGNORECASE)
COPY_TEXT = re.compile(r"(?:copy|copied!?|copy (?:code|to clipboard)|copy\s*copied!?)?", re.IGNORECASE)
MARKED = re.compile(
    r"highlight|code|lang|brush|prettyprint|hljs|prism|shiki|listing|terminal|console|sh_|literal|doctest|programlisting",
    re.IGNORECASE,
)
PROSE_WORDS = 7
"""Words on a line of running text, on average; code has fewer."""

WORD = re.compile(r"[^\W\d_]{2,}")


def listings(root: Any) -> Iterator[tuple[Any, str]]:
    """Each element below ``root`` that is a listing, not inside another one, with its code."""
    done: set[Any] = set()
    lines = root.xpath(".//div[contains(@class, 'line')]")
    for element in [*root.iter("table", "ol", "pre", "xmp", "listing", "code"), *lines]:
        tag = element.tag
        if tag == "div" and not _is_line(element):
            continue
        whole = element.getparent() if tag == "div" else element
        if whole is None or whole in done or not _is_listing(whole, tag):
            continue
        if any(above in done for above in whole.iterancestors()):
            continue
        code = code_of(whole)
        if code.strip():
            done.add(whole)
            yield whole, code


def _is_line(element: Any) -> bool:
    return not LINE_CLASSES.isdisjoint((element.get("class") or "").split())


def _is_listing(element: Any, tag: str) -> bool:
    if tag == "div":  # a line of it
        return all(child.tag == "div" and _is_line(child) for child in element) and len(element) > 1
    if tag == "table":
        return _is_code_table(element)
    if tag == "ol":
        return "linenums" in (element.get("class") or "")
    if tag == "code":
        return element.find("br") is not None or sum(child.tag == "div" for child in element) > 1
    return True


def _is_code_table(table: Any) -> bool:
    """By its class or its cells'; whatever the class, there is at most one cell that is not of numbers in a row."""
    named = CODE_TABLE.search(table.get("class") or "")
    cells = table.iter("td")
    first: Any = next(cells, None)
    second: Any = next(cells, first)
    if first is None:
        return False
    if not named and not any(CODE_TABLE.search(cell.get("class") or "") for cell in (first, second)):
        pre = table.find(".//pre")
        if pre is None or not DIGITS.fullmatch("".join(first.itertext())) or first is second:
            return False
    for row in table.iter("tr"):
        if sum(not _is_number(cell) and bool("".join(cell.itertext()).strip()) for cell in row.iter("td")) > 1:
            return False
    return True


def _is_number(element: Any) -> bool:
    """Whether it holds nothing but line numbers."""
    named = element.get("class") or ""
    if element.tag == "td":  # the last cell of a row is code, even if it is a number
        marked = element.getnext() is not None and not CODE_CELL.search(named)
    else:
        marked = bool(element.get("data-line-number") or NUMBERS.search(named))
    return marked and DIGITS.fullmatch("".join(element.itertext())) is not None


def code_of(element: Any) -> str:
    """The lines of a listing, without blank lines before it and space behind it."""
    spans = _line_spans(element)
    pieces = [""]
    begun: list[int] = []
    walk = extra("lxml.etree").iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, inner in walk:
        named = isinstance(inner.tag, str)
        line = named and inner is not element and (inner.tag in LINES or inner in spans)
        if event == "start":
            if inner is not element and _is_left_out(inner):
                walk.skip_subtree()
                line = False
            if line and pieces[-1] and not pieces[-1].endswith("\n"):
                pieces.append("\n")
            begun.append(len(pieces) if line else 0)
            if not (inner is not element and _is_left_out(inner)):
                pieces += filter(None, ["\n" if inner.tag == "br" else "", inner.text])
            continue
        if event == "end" and (start := begun.pop()) and (len(pieces) == start or not pieces[-1].endswith("\n")):
            pieces.append("\n")
        if inner is not element and inner.tail and not (inner.tag in LINES and not inner.tail.strip()):
            pieces.append(inner.tail)
    code = "".join(pieces).replace("\xa0", " ").replace("\u200b", "").replace("\r\n", "\n")
    return re.sub(r"\A(?:[ \t]*+\n)++", "", code).rstrip()


def _line_spans(element: Any) -> set[Any]:
    """Spans, or ``<code>`` elements, that are lines though no line end stands between them."""
    if element.tag not in ("pre", "code") or "\n" in "".join(element.itertext()).strip("\n"):
        return set()
    spans = {inner for inner in element.iter("span") if _is_line(inner)} or set(element.findall("code"))
    return spans if len(spans) > 1 else set()


def _is_left_out(element: Any) -> bool:
    if element.tag in NO_CODE or (
        element.tag in ("td", "span", "a", "div", "th", "pre", "code") and _is_number(element)
    ):
        return True
    named = element.get("class")
    return bool(named and COPY.search(named) and COPY_TEXT.fullmatch("".join(element.itertext()).strip()))


def is_code(element: Any, text: str) -> bool:
    """Whether preformatted text is code; letters and poems also stand in ``<pre>``."""
    if element.tag != "pre":
        return True
    if any(inner.tag in ("code", "kbd", "samp", "span") for inner in element):
        return True
    around = (element, element.getparent())
    if any(MARKED.search(above.get("class") or "") for above in around if above is not None):
        return True
    lines = [line for line in text.split("\n") if line.strip()]
    return len(WORD.findall(text)) < PROSE_WORDS * len(lines)
