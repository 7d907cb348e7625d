"""JATS XML to text: titles, abstracts, body, captions, tables, appendices and mathematics, but no references.

Sections become headings, formulas LaTeX, tables rows between bars. Numbered citations go, named ones ("Smith 2001") are
words of their sentence and stay.
"""

import re
from itertools import takewhile
from typing import Any

from altiplano.corpus.extraction.html.mathml import latex_of_mathml
from altiplano.corpus.readers.xml_characters import written_out
from altiplano.optional_imports import extra

DROPPED = {
    "ref-list", "graphic", "inline-graphic", "media", "inline-media", "supplementary-material", "label", "object-id",
    "fn-group", "processing-meta", "journal-meta", "alt-text", "long-desc", "permissions", "front", "front-stub",
    "floats-group", "sub-article", "response", "back", "ack", "bio", "notes", "x", "private-char", "attrib", "subtitle",
}  # fmt: skip
CONTAINERS = {
    "p", "sec", "disp-quote", "abstract", "trans-abstract", "body", "boxed-text", "statement", "app", "app-group",
    "glossary", "question", "answer", "explanation", "speech", "caption", "def", "disp-formula-group",
    "table-wrap-group", "table-wrap-foot", "alternatives", "array", "chem-struct-wrap", "list-item", "def-item",
    "block-alternatives",
}  # fmt: skip
LINES = {"verse-line", "attrib", "speaker"}
NO_CITATION = {"bibr", "fn", "table-fn", "author-notes", "corresp", "aff"}
"""Kinds of ``<xref>`` that are marks; a named reference to a work is not."""

SUBTITLES = ("subtitle", "trans-subtitle")
NAMED = re.compile(r"[^\W\d_]{3}|[\u3040-\u9fff\uac00-\ud7af]")
"""A label that has a word."""

TEX_WRAP = ("\\begin{document}", "\\end{document}")
CITATIONS = re.compile(r" ?[\[(][\s,;–-]*+[\])]")
SPACE_BEFORE_STOP = re.compile(r" (?=[.,](?:\s|\Z))")
MARK = re.compile(r"[\s\[\](),;.–—‐-]*(?:[A-Z]?\d{1,3}[a-z]?(?!\w)[\s\[\](),;.–—‐-]*)*\Z|[*†‡§¶#\s]*\Z|[a-z]\Z")
SEPARATORS = re.compile(r"[\s,;–—‐-]*\Z")
ARTICLE = re.compile(r"<(?:\w+:)?article[\s>]")
PROLOGUE = re.compile(r"<\?xml[^<>]*\?>|<!DOCTYPE[^<>\[]*(?:\[[^\]]*\]\s*)?>")
MAX_HEADING = 6


def text_of_jats(source: str) -> str:
    """The text of every article in it, of one that is cut its beginning. Empty when it holds none."""
    etree = extra("lxml.etree")
    source = written_out(source)
    if len(ARTICLE.findall(source)) > 1:  # one after the other, each with its prologue, is no XML document
        source = f"<articles>{PROLOGUE.sub('', source)}</articles>"
    # entities are not resolved and the tree is at most 256 deep: no bomb unfolds here
    parser = etree.XMLParser(
        encoding="utf-8", resolve_entities=False, no_network=True, recover=True, load_dtd=False
    )  # whatever the declaration says: the reader has decoded it
    try:
        root = etree.fromstring(source.encode("utf-8", "replace"), parser)
    except (ValueError, etree.XMLSyntaxError):
        return ""
    if root is None:
        return ""
    reader = _Reader(_own_entities(root))
    for article in [root] if _name(root) == "article" else root.iter("{*}article"):
        reader.article(article, 1)
    return "\n\n".join(part for part in reader.parts if part.strip())


def _own_entities(root: Any) -> dict[str, str]:
    """The short texts that the file itself names; not those made of others, which may unfold without end."""
    dtd = root.getroottree().docinfo.internalDTD
    found = {entity.name: entity.content or "" for entity in dtd.iterentities()} if dtd is not None else {}
    return {name: content for name, content in found.items() if len(content) <= 100 and not set(content) & set("&<")}


def _name(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


class _Reader:
    def __init__(self, entities: dict[str, str]):
        self.entities = entities
        self.parts: list[str] = []

    def article(self, article: Any, level: int) -> None:
        """An article, or one inside it (a reply, a translation), one level below."""
        front = next((child for child in article if _name(child) in ("front", "front-stub")), None)
        if front is not None:
            self._front(front, level)
        for child in article:
            name = _name(child)
            if name in ("body", "floats-group"):
                self._flow(child, level + 1)
            elif name == "back":
                for part in child:
                    if _name(part) in ("app-group", "app", "glossary", "sec"):
                        self._flow(part, level + 1)
        for child in article:
            if _name(child) in ("sub-article", "response"):
                self.article(child, level + 1)

    def _front(self, front: Any, level: int) -> None:
        meta = front.find("{*}article-meta")
        meta = front if meta is None else meta
        title = meta.find(".//{*}article-title")
        if title is not None:
            self._heading(title, level)
        for translated in meta.iterfind(".//{*}trans-title"):
            self.parts.append(self._titled(translated))
        for abstract in meta:
            if _name(abstract) in ("abstract", "trans-abstract"):
                if abstract.find("{*}title") is None:
                    self.parts.append(f"{'#' * min(level + 1, MAX_HEADING)} Abstract")
                self._flow(abstract, level + 1)

    def _heading(self, element: Any, level: int) -> None:
        self.parts.append(f"{'#' * min(level, MAX_HEADING)} {self._titled(element)}")

    def _titled(self, title: Any) -> str:
        """With the name of what it is the title of, and with its subtitle."""
        before = takewhile(lambda each: _name(each) != "title", title.itersiblings(preceding=True))
        label = next((each for each in before if _name(each) == "label"), None)
        own = _joined(self._named(label), self._inline(title))
        subtitles = takewhile(lambda each: _name(each) in SUBTITLES, title.itersiblings())
        return ": ".join(filter(None, (own, *map(self._inline, subtitles))))

    def _label(self, element: Any) -> str:
        """``Theorem 1``, ``Figure 2``, ``Step 3``, which a text may speak of; mere numbers and marks are none."""
        return self._named(element.find("{*}label"))

    def _named(self, label: Any) -> str:
        text = self._inline(label) if label is not None else ""
        return text if NAMED.search(text) else ""

    def _flow(self, element: Any, level: int) -> None:
        """Blocks as parts of their own, wherever they stand; the text between them as paragraphs."""
        has_title = element.find("{*}title") is not None
        inner = level + 1 if has_title else level
        if not has_title and (label := self._label(element)):
            self.parts.append(label)
        run: list[str] = [element.text or ""]
        notes: list[Any] = []

        def paragraph() -> None:
            if text := _clean("".join(run)):
                self.parts.append(text)
            run.clear()
            for note in notes:
                self._flow(note, inner)
            notes.clear()

        for child in element:
            name = _name(child)
            if name == "fn":
                notes.append(child)
            elif name in BLOCKS and not (name == "code" and "\n" not in "".join(child.itertext())):
                paragraph()
                BLOCKS[name](self, child, inner if name == "sec" else level)
            elif name in LINES:
                paragraph()
                self.parts.append(self._inline(child))
            else:
                self._collect_child(child, run)
                continue
            run.append(child.tail or "")
        paragraph()

    def _contents(self, element: Any, level: int, separator: str = "\n\n") -> str:
        """What ``_flow`` makes of an element, as one text."""
        outer, self.parts = self.parts, []
        self._flow(element, level)
        text = separator.join(part for part in self.parts if part.strip())
        self.parts = outer
        return text

    def _verse(self, element: Any, level: int) -> None:
        self.parts.append(self._contents(element, level, "\n"))

    def _list(self, element: Any, level: int) -> None:
        lines = []
        for item in element:
            name = _name(item)
            if name in ("list-item", "title", "p"):
                text = self._contents(item, level, "\n").replace("\n", "\n  ")
                lines.append(f"- {text}" if name == "list-item" else text)
            elif name == "def-item":
                lines.append("- " + ": ".join(filter(None, (self._inline(child) for child in item))))
        self.parts.append("\n".join(line for line in lines if line.strip("- ")))

    def _code(self, element: Any, level: int) -> None:
        self.parts.append("```\n" + "".join(element.itertext()).strip("\n") + "\n```")

    def _display(self, element: Any, level: int) -> None:
        if formula := self._formula(element):
            self.parts.append(f"$${formula}$$")

    def _caption(self, element: Any) -> str:
        captions = [child for child in element if _name(child) == "caption"]
        text = " ".join(filter(None, (self._inline(part) for caption in captions for part in caption)))
        return _joined(self._label(element), text)

    def _figure(self, element: Any, level: int) -> None:
        if caption := self._caption(element):
            self.parts.append(caption)
        for child in element:
            if _name(child) in ("fig", "table-wrap", "table", "p", "disp-formula", "preformat", "code"):
                BLOCKS[_name(child)](self, child, level)

    def _table(self, element: Any, level: int) -> None:
        rows = [f"{caption}\n"] if (caption := self._caption(element)) else []
        for row in element.iter("{*}tr", "{*}row"):
            rows.append(f"| {' | '.join([self._inline(cell) for cell in row if isinstance(cell.tag, str)])} |")
        for foot in element.iterfind("{*}table-wrap-foot"):
            if notes := self._contents(foot, level, "\n"):
                rows.append(f"\n{notes}")
        self.parts.append("\n".join(rows))

    def _inline(self, element: Any) -> str:
        """An element's text in one line."""
        if not len(element):
            return _clean(element.text or "")
        pieces: list[str] = []
        self._collect(element, pieces)
        return _clean("".join(pieces))

    def _collect(self, element: Any, pieces: list[str]) -> None:
        pieces.append(element.text or "")
        for child in element:
            self._collect_child(child, pieces)

    def _collect_child(self, child: Any, pieces: list[str]) -> None:
        name = _name(child)
        if name in ("inline-formula", "disp-formula", "math", "tex-math"):
            if formula := self._formula(child):
                pieces.append(f"${formula}$")
        elif name in ("sub", "sup"):
            raised = self._inline(child)
            if raised and not (child.find(".//{*}xref") is not None and SEPARATORS.match(raised)):
                pieces.append({"sub": "_", "sup": "^"}[name] + raised)
        elif name == "xref" and child.get("ref-type") in NO_CITATION and MARK.match("".join(child.itertext())):
            following = child.getnext()
            if following is not None and _name(following) == "xref" and SEPARATORS.match(child.tail or ""):
                return  # what separates it from the next citation
        elif not name:
            pieces.append(self.entities.get(getattr(child, "name", ""), ""))
        elif name not in DROPPED:
            spaced = name in BLOCKS or name in SPACED
            if spaced:
                pieces.append(" ")
            self._collect(child, pieces)
            if spaced:
                pieces.append(" ")
        pieces.append(child.tail or "")

    def _formula(self, element: Any) -> str:
        """As TeX where the publisher gives it, else from MathML, else its text."""
        tex = element if _name(element) == "tex-math" else element.find(".//{*}tex-math")
        if tex is not None:
            body = "".join(tex.itertext())
            _, begun, inner = body.partition(TEX_WRAP[0])
            if begun and TEX_WRAP[1] in inner:
                body = inner.partition(TEX_WRAP[1])[0]
            body = " ".join(body.split()).strip("$ ")
            return body[2:-2].strip() if (body[:2], body[-2:]) in ((r"\(", r"\)"), (r"\[", r"\]")) else body
        if _name(element) == "math":
            return latex_of_mathml(element)
        formulas = list(element.iter("{*}math"))
        if formulas:
            return " ".join(filter(None, map(latex_of_mathml, formulas)))
        return self._inline(element)


def _joined(label: str, text: str) -> str:
    return f"{label}{'.' if label[-1].isalnum() else ''} {text}" if label and text else label or text


def _clean(text: str) -> str:
    if text.isalnum():
        return text
    text = " ".join(text.split())
    if "(" in text or "[" in text:
        text = CITATIONS.sub("", text)
    return SPACE_BEFORE_STOP.sub("", text) if " ." in text or " ," in text else text


SPACED = {"p", "list-item", "break", "td", "th", "title", "def", "term", "verse-line"}
BLOCKS = {
    **dict.fromkeys(CONTAINERS, _Reader._flow),
    "title": _Reader._heading,
    "list": _Reader._list,
    "def-list": _Reader._list,
    "table-wrap": _Reader._table,
    "table": _Reader._table,
    "fig": _Reader._figure,
    "fig-group": _Reader._figure,
    "disp-formula": _Reader._display,
    "code": _Reader._code,
    "preformat": _Reader._code,
    "verse-group": _Reader._verse,
}
"""How each block is written, given its level."""
