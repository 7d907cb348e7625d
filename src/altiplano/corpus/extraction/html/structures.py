r"""What extractors of main text lose, written as text before they see the page: formulas, code, tables, raised digits.

Extractors are made for prose. A formula, a listing or a table is therefore taken out of the page, and a word that the
page does not have stands for it. When the main text is there, this word is replaced by

- the formula's LaTeX: ``$x^{2}$``, or between ``$$`` on a line of its own,
- the code between fences, line for line,
- the table, a row on a line between bars,
- the caption of a figure that has a number, or of a table or listing.

``10<sup>6</sup>`` becomes ``10^6`` and ``H<sub>2</sub>O`` ``H_2O``. Marks of footnotes and signs that link to a heading
are left out.
"""

import re
from collections.abc import Iterator
from typing import Any

from altiplano.corpus.extraction.html.captions import captions, is_shorter, may_have_number
from altiplano.corpus.extraction.html.code import is_code, listings
from altiplano.corpus.extraction.html.formulas import formulas
from altiplano.optional_imports import extra

SIGNS = re.compile(
    r"<(?:(?P<code>pre|xmp|listing|code>[^<]*+<br|div\s+class=[\"']?(?:line|code-?line|view-line|cm-line|CodeMirror-line))"
    r"|(?P<formula>math|img\s+class=[\"']tex)|(?P<table>table)|(?P<raised>su[bp])|(?P<definition>d[lt])|(?P<list>/p>\s*+<[uo]l|p>[^<]*+<[uo]l))\b",
    re.IGNORECASE,
)
"""What a page must have for anything here to be done. Each begins with ``<``, which is found fast."""

FORMULA_WORDS = ("math", "latex")
"""Tags, classes and addresses of formulas have one of them; looked for first, since that is faster."""

FORMULA = re.compile(r"<(?:(?:\w{1,9}:)?math\b|script\s[^<>]*?math/|img\s[^<>]*?(?:math|latex))", re.IGNORECASE)

LETTERS = [chr(code) for code in range(0xA6A0, 0xA6E6)]
"""Letters of Bamum, which no extractor removes and hardly any page has."""

MAX_FILLER = 3_000
"""Characters. Extractors choose by length: what stands for a block is about as long as the block."""

SIGN_LINK = ".//a[starts-with(@href, '#') or contains(@class, 'anchor')]"
SIGN_LINKS = {"", "¶", "#", "§", "🔗", "⚓", "\u200b", "link", "permalink"}
FOOTNOTE = re.compile(r"\[[^\[\]]{1,20}\]|[*†‡§¶]{1,3}")
FOOTNOTE_CLASS = re.compile(r"reference|footnote|noteref|fn\b|citation|cite", re.IGNORECASE)
RAISED_ENDINGS = {
    "st", "nd", "rd", "th", "er", "re", "ère", "e", "ème", "me", "mes", "lle", "lles", "es", "o", "a", "os", "as", "º",
    "ª", "gr", "r", "do", "®", "™", "℠", "©", "tm", "sm",
}  # fmt: skip
"""Of ordinals, abbreviations and names: they are not exponents."""

PHRASING = {
    "a", "abbr", "b", "br", "cite", "code", "em", "i", "kbd", "q", "samp", "small", "span", "strong", "tt", "var",
}  # fmt: skip
SIMPLE = re.compile(r"[+\-−–]?\w+[+\-−]?|[+\-−*′'″]|\w+[.,]\w+")
MAX_SCRIPT = 40

NO_TABLE = ("table", "form", "select", "textarea", "pre", "h1", "h2", "article", "iframe")
LAYOUT_CLASS = re.compile(r"navbox|calendar|toc\b|metadata|ambox|layout", re.IGNORECASE)
MAX_LABEL = 20
"""Characters beside a block that is alone in another: its language, a button, white space."""

BREAKS = {"p", "div", "br", "ul", "ol"}
MIN_PARAGRAPHS = 200
"""Characters in all ``<p>``: a page with fewer writes its prose in ``<div>``, and extractors, which prefer paragraphs,
must not find any that we made."""

MIN_INTRODUCTION = 40
"""Characters of a paragraph before a list."""

MAX_CELL = 300
"""Characters, on average; the cells of a page's layout are longer."""


class Structures:
    """What was taken out of a page, in order, until its text is there.

    ``kinds`` says what there is: nothing need be done where it is empty. ``lists`` are taken out where asked.
    """

    def __init__(self, html: str, lists: bool):
        self.kinds = {match.lastgroup for match in SIGNS.finditer(html)}
        if not lists or "<article" in html or "<main" in html:
            self.kinds.discard("list")
        if "¶" in html:
            self.kinds.add("sign")
        if any(word in html for word in FORMULA_WORDS) and ("data-mathml" in html or FORMULA.search(html)):
            self.kinds.add("formula")
        if "caption" in html and may_have_number(html):
            self.kinds.add("caption")
        if not self.kinds:
            return
        letters = (letter for letter in LETTERS if letter not in html)
        self.inline, self.block, self.filler = (next(letters, "") for _ in range(3))
        self.texts: list[str] = []
        self.paragraph = "p"
        self.token = re.compile(f"([{self.inline}{self.block}])(\\d{{1,9}})\\1(?:[ \\n]*+{self.filler}++)*+")

    def take_out(self, root: Any) -> None:
        """``root``: lxml's. It is changed in place."""
        if not self.filler:  # a page that shows the whole script
            return
        own = sum(len(paragraph.text or "") for paragraph in root.iter("p"))
        self.paragraph = "p" if own >= MIN_PARAGRAPHS else "div"
        steps = (
            ({"sign", "code"}, self._signs), ({"formula"}, self._formulas),
            ({"caption", "code", "table"}, self._captions), ({"code", "table"}, self._listings),
            ({"raised"}, self._raised), ({"table"}, self._tables), ({"definition"}, self._definitions),
            ({"list"}, self._lists),
        )  # fmt: skip
        for kinds, step in steps:
            if kinds & self.kinds:
                step(root)

    def _signs(self, root: Any) -> None:
        for link in root.xpath(SIGN_LINK):
            if _is_sign(link):
                _put_text(link, "")

    def _formulas(self, root: Any) -> None:
        for element, latex, alone in [*formulas(root)]:
            if latex:
                self._replace(element, f"$${latex}$$" if alone else f"${latex}$", alone)

    def _captions(self, root: Any) -> None:
        """Before the figures, which extractors drop."""
        for caption, figure in [*captions(root)]:
            for raised in [*caption.iter("sup", "sub")]:
                _write_script(raised)
            self._replace(caption, " ".join(self._flat(caption).split()), alone=True)
            if figure is not None:
                caption.tail = None
                figure.addprevious(caption)

    def _listings(self, root: Any) -> None:
        for element, code in [*listings(root)]:
            fence = "````" if "```" in code else "```"
            text = f"{fence}\n{code}\n{fence}" if is_code(element, code) else code
            self._replace(_frame(element), text, alone=True, tag="pre")

    def _raised(self, root: Any) -> None:
        for element in [*root.iter("sup", "sub")]:
            if element.getparent() is not None:
                _write_script(element)

    def _tables(self, root: Any) -> None:
        for table in [*root.iter("table")]:
            if "ltx_eq" in (table.get("class") or ""):  # LaTeXML sets formulas in tables
                self._replace(table, " ".join(self._flat(table).split()), alone=True)
            elif _is_data(table) and (text := self._rows(table)):
                self._replace(_frame(table), text, alone=True)

    def _definitions(self, root: Any) -> None:
        """Extractors write definition lists without the lines of what is inside them."""
        for element in root.iter("dl", "dt", "dd"):
            flat = element.tag != "dl" and all(inner.tag in PHRASING for inner in element)
            element.tag = self.paragraph if flat else "div"

    def _lists(self, root: Any) -> None:
        for items in [*_lists_after_text(root)]:
            if _continues_text(items):
                self._replace(items, self._list(items), alone=True)

    def put_back(self, text: str) -> str:
        """Each once, however often the text has its word: a page may have written it itself."""
        if not self.kinds:
            return text
        pieces = self.token.split(text)
        parts = [pieces[0]]
        for mark, number, after in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            at = int(number)
            held, self.texts[at : at + 1] = (self.texts[at], [""]) if at < len(self.texts) else ("", [])
            if mark == self.block and held:
                before = parts[-1].rstrip(" \t|\n")
                parts[-1] = before[:-2] if before.endswith("\n-") else before
                parts += ["\n" if any(parts) else "", held, "\n", after.lstrip(" \t|\n")]
            else:
                parts += [held, after]
        return "".join(parts)

    def _replace(self, element: Any, text: str, alone: bool, tag: str = "") -> None:
        parent = element.getparent()
        if parent is None:
            return
        mark = self.block if alone else self.inline
        token = f"{mark}{len(self.texts)}{mark}"
        self.texts.append(text)
        if not alone:
            _put_text(element, token)
            return
        words = min(len(text), MAX_FILLER) // 8
        element.text = None
        for child in [*element]:
            element.remove(child)
        element.attrib.clear()
        inside_text = parent.tag in ("p", "span", "a", "b", "i", "em", "strong", "code")
        element.tag = "span" if inside_text else tag or self.paragraph
        element.text = token + f" {self.filler * 7}" * words

    def _flat(self, element: Any) -> str:
        """The text of a cell; what was taken out of it is put back."""
        pieces: list[str] = []
        for inner, text in _texts(element):
            if inner is not None and inner.tag == "li":
                pieces.append("; " if any(piece.strip() for piece in pieces[-3:]) else "")
            elif inner is not None and inner.tag in BREAKS:
                pieces.append(" ")
            pieces.append(text)
        return self._restored("".join(pieces))

    def _list(self, items: Any) -> str:
        """An item on a line, indented by its level."""
        lines: list[list[str]] = [[""]]
        outside = sum(1 for _ in items.iterancestors("ul", "ol"))
        for inner, text in _texts(items):
            if inner is not None and inner.tag == "li":
                level = sum(1 for _ in inner.iterancestors("ul", "ol")) - outside - 1
                lines.append([f"{'  ' * level}-"])
            elif inner is not None and inner.tag in BREAKS:
                lines[-1].append(" ")
            lines[-1].append(text)
        texts = [(first, " ".join("".join(rest).split())) for first, *rest in lines]
        return self._restored("\n".join(f"{first} {text}".rstrip() for first, text in texts if text))

    def _restored(self, text: str) -> str:
        return self.token.sub(lambda match: self._once(int(match[2])), text)

    def _once(self, at: int) -> str:
        held, self.texts[at] = self.texts[at], ""
        return held

    def _rows(self, table: Any) -> str:
        rows = []
        caption = table.find("caption")
        if caption is not None and (title := " ".join(self._flat(caption).split())):
            rows.append(title)
        for row in table.iter("tr", "thead", "tbody"):  # cells may stand right in the last two
            cells = [" ".join(self._flat(cell).split()) for cell in row if cell.tag in ("td", "th")]
            if any(cells):
                rows.append(f"| {' | '.join(cells)} |")
        return "\n".join(rows)


def _texts(element: Any) -> Iterator[tuple[Any, str]]:
    """The texts in an element in their order: with the element that each begins, or None for what follows one."""
    for event, inner in extra("lxml.etree").iterwalk(element, events=("start", "end", "comment", "pi")):
        if event == "start":
            yield inner, inner.text or ""
        elif inner is not element:
            yield None, inner.tail or ""


def _is_sign(link: Any) -> bool:
    """Whether it only marks a heading that one may link to."""
    text = "".join(link.itertext()).strip().lower()
    return text in SIGN_LINKS and (bool(text) or not link.get("id") or len(link) == 0) and link.getparent() is not None


def _frame(element: Any) -> Any:
    """The outermost element that holds it alone: extractors drop figures, and blocks of some classes."""
    size = len("".join(element.itertext()))
    for above in element.iterancestors():
        alone = above.tag in ("div", "pre", "code", "span") and is_shorter(above, size + MAX_LABEL)
        if above.tag != "figure" and not alone:
            break
        element = above
    return element


def _put_text(element: Any, text: str) -> None:
    """``text`` as all that is in the element. It stays as a ``<span>``, since every join of texts copies them."""
    for child in [*element]:
        element.remove(child)
    element.attrib.clear()
    element.tag = "span"
    element.text = text


def _write_script(element: Any) -> None:
    text = "".join(element.itertext()).strip()
    link = element.find(".//a")
    noted = link is not None and "#" in (link.get("href") or "") and len(text) <= 12
    classes = " ".join(filter(None, (element.get("class"), link.get("class") if link is not None else "")))
    if not text or noted or FOOTNOTE.fullmatch(text) or (FOOTNOTE_CLASS.search(classes) and len(text) <= 12):
        _put_text(element, "")
    elif len(text) > MAX_SCRIPT or (text.lower() in RAISED_ENDINGS and element.tag == "sup" and _follows_text(element)):
        element.tag = "span"
    else:
        mark = "^" if element.tag == "sup" else "_"
        _put_text(element, mark + (text if SIMPLE.fullmatch(text) else f"({text})"))


def _lists_after_text(root: Any) -> Iterator[Any]:
    """Lists whose element before is a paragraph: where no element is marked as the page's main part, extractors look
    for paragraphs alone. (By XPath libxml2 compares each one with all before it.)"""
    for paragraph in root.iter("p"):
        following = next(paragraph.itersiblings("*"), None)
        if following is not None and following.tag in ("ul", "ol"):
            yield following


def _continues_text(items: Any) -> bool:
    """Whether a list follows a paragraph and is none of links, nor holds what has to stay a block."""
    before = items.getprevious()
    if before is None or items.getparent() is None or "nav" in (items.get("class") or ""):
        return False
    if (
        next(items.iterdescendants("table", "pre", "h1", "h2", "h3", "h4", "img", "form", "input", "article"), None)
        is not None
    ):
        return False
    size = len("".join(items.itertext()))
    linked = sum(len("".join(link.itertext())) for link in items.iter("a"))
    introduced = len("".join(before.itertext()).strip()) >= MIN_INTRODUCTION
    return introduced and linked < 0.3 * size and len(items) > 1


def _follows_text(element: Any) -> bool:
    before = element.getprevious()
    text = before.tail if before is not None else element.getparent().text
    last = (text or "")[-1:]
    return last.isdigit() or last.isupper() or "".join(element.itertext()).strip().lower() not in {"e", "a", "o", "r"}


def _is_data(table: Any) -> bool:
    """Whether it shows data, and is not a page's layout or a list of links."""
    if table.get("role") in ("presentation", "none") or LAYOUT_CLASS.search(table.get("class") or ""):
        return False
    if next((inner for inner in table.iterdescendants(*NO_TABLE)), None) is not None:
        return False
    if any(above.tag == "table" for above in table.iterancestors()) and not next(table.iter("th"), None) is not None:
        return False
    cells = [*table.iter("td", "th")]
    rows = sum(1 for _ in table.iter("tr"))
    size = sum(len("".join(cell.itertext()).strip()) for cell in cells)
    linked = sum(len("".join(link.itertext())) for link in table.iter("a"))
    wide = len(cells) > rows
    return bool(rows and wide and size) and size <= MAX_CELL * len(cells) and linked <= 0.8 * size + 20
