"""JATS XML to text: title, abstract and body with headings, lists, tables and mathematics, but no references."""

import re
from typing import Any

from altiplano.optional_imports import extra

DROPPED = {
    "ref-list", "fig", "fig-group", "graphic", "inline-graphic", "media", "supplementary-material", "label",
    "object-id", "fn-group", "back", "processing-meta", "journal-meta", "floats-group", "alt-text", "permissions",
}  # fmt: skip
BLOCKS = {"p", "sec", "list", "disp-quote", "abstract", "body", "boxed-text", "def-item", "verse-group", "code"}
TEX_WRAP = ("\\begin{document}", "\\end{document}")
CITATIONS = re.compile(r" ?[\[(][\s,;–-]*+[\])]")
MAX_HEADING = 6


def text_of_jats(source: str) -> str:
    """Empty when the XML cannot be parsed or holds no article."""
    etree = extra("lxml.etree")
    # entities are not resolved and the tree is at most 256 deep: no bomb unfolds here
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True, load_dtd=False)
    try:
        root = etree.fromstring(source.encode("utf-8", "replace"), parser)
    except (ValueError, etree.XMLSyntaxError):
        return ""
    article = root if root is None or _name(root) == "article" else root.find(".//{*}article")
    if article is None:
        return ""
    parts: list[str] = []
    title = article.find(".//{*}article-meta//{*}article-title")
    if title is not None:
        parts.append(f"# {_inline(title)}")
    for place, heading in ((".//{*}article-meta/{*}abstract", "Abstract"), ("{*}body", "")):
        for element in article.iterfind(place):
            if heading and element.find("{*}title") is None:
                parts.append(f"## {heading}")
            _block(element, 2, parts)
    return "\n\n".join(part for part in parts if part.strip())


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _block(element: Any, level: int, parts: list[str]) -> None:
    titled = _name(element) == "sec" or element.find("{*}title") is not None
    for child in element:
        name = _name(child)
        if name in DROPPED or not name:
            continue
        if name == "title":
            parts.append(f"{'#' * min(level, MAX_HEADING)} {_inline(child)}")
        elif name == "sec":
            _block(child, level + 1 if titled else level, parts)
        elif name == "list":
            parts.append("\n".join(f"- {_inline(item)}" for item in child.iterfind("{*}list-item")))
        elif name in ("table-wrap", "table"):
            parts.append(_table(child))
        elif name == "disp-formula":
            parts.append(f"$${_formula(child)}$$")
        elif name in ("code", "preformat"):
            parts.append("```\n" + "".join(child.itertext()).strip("\n") + "\n```")
        elif name in BLOCKS and child.find("{*}p") is not None:
            _block(child, level, parts)
        else:
            parts.append(_inline(child))


def _inline(element: Any) -> str:
    """An element's text in one line; formulas as TeX where the publisher gives it."""
    pieces: list[str] = []
    _collect(element, pieces)
    return CITATIONS.sub("", " ".join("".join(pieces).split()))


def _collect(element: Any, pieces: list[str]) -> None:
    pieces.append(element.text or "")
    for child in element:
        name = _name(child)
        if name in ("inline-formula", "disp-formula"):
            pieces.append(f"${_formula(child)}$")
        elif name in ("sub", "sup"):
            pieces.append({"sub": "_", "sup": "^"}[name] + "".join(child.itertext()))
        elif not (name in DROPPED or not name or (name == "xref" and child.get("ref-type") in ("bibr", "fn"))):
            if name in ("p", "list-item", "break"):
                pieces.append(" ")
            _collect(child, pieces)
        pieces.append(child.tail or "")


def _formula(element: Any) -> str:
    tex = element.find(".//{*}tex-math")
    if tex is not None:
        body = "".join(tex.itertext())
        _, begun, inner = body.partition(TEX_WRAP[0])
        if begun and TEX_WRAP[1] in inner:
            body = inner.partition(TEX_WRAP[1])[0]
        return " ".join(body.split()).strip("$ ")
    annotation = element.find(".//{*}annotation")
    source = annotation if annotation is not None else element
    return " ".join("".join(source.itertext()).split())


def _table(element: Any) -> str:
    rows = []
    caption = element.find(".//{*}caption")
    if caption is not None:
        rows.append(_inline(caption) + "\n")
    for row in element.iterfind(".//{*}tr"):
        rows.append(f"| {' | '.join(_inline(cell) for cell in row)} |")
    return "\n".join(rows)
