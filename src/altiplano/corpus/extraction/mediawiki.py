"""Wikitext to text: templates, references and files are dropped; headings, lists, tables and mathematics stay.

Own rules in one pass per construct: a full parser (mwparserfromhell) is many times slower and does not convert
tables. Markup that nests (templates, tables, files) is removed by one scan over its brackets, innermost first.
"""

import html
import re
from collections.abc import Callable

from altiplano.corpus.extraction.markup import without_trailing_spaces

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
NOTHING = re.compile(
    r"<(/?)(ref|gallery|timeline|score|templatedata|imagemap|mapframe|graph)\b[^<>]*?(/?)>", re.IGNORECASE
)
VERBATIM = re.compile(r"<(/?)(math|chem|nowiki|pre|syntaxhighlight|source|code)\b[^<>]*?(/?)>", re.IGNORECASE)
BRACKETS = re.compile(r"\{\{|\}\}|\[\[|\]\]|^[ \t:]*\{\||^[ \t]*\|\}", re.MULTILINE)
EXTERNAL = re.compile(r"\[(?:https?:)?//[^\s\[\]]++(?:\s++([^\[\]\n]*+))?\]")
TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
HEADING = re.compile(r"^=[^\n]*=[ \t]*+$", re.MULTILINE)
MAX_HEADING = 6
SWITCH = re.compile(r"__[A-Z]{3,}__")
QUOTES = re.compile(r"'{2,5}")
LIST = re.compile(r"^([*#]+)[ \t]*", re.MULTILINE)
INDENT = re.compile(r"^[:;]+[ \t]*", re.MULTILINE)
HELD = re.compile("\ue000(\\d+)\ue001")
CELL = re.compile(r"\|\||!!")
ATTRIBUTES = re.compile(r"^(?=[^\[\]|{}=]*=)[^\[\]|{}]*+\|(?!\|)")
NAMESPACE = re.compile(r"^:?[^\W\d_][^:|\[\]\n]{1,20}:(?=\S)")
FILES = re.compile(
    r"^(?:file|image|media|category|datei|bild|kategorie|fichier|catégorie|archivo|categoría|файл|категория|ファイル|"
    r"カテゴリ|文件|分类|ficheiro|categoria|bestand|categorie|plik|kategoria)\s*:",
    re.IGNORECASE,
)
APPENDIX = re.compile(
    r"\n## (?:References|External links|Einzelnachweise|Weblinks|Références|Liens externes|Referencias|"
    r"Enlaces externos|Notes and references|Примечания|Ссылки|脚注|外部リンク|参考文献|外部链接)\n(?:(?!\n#{1,2} ).)*",
    re.DOTALL,
)


def text_of_wikitext(source: str) -> str:
    """Headings become Markdown's, tables rows between bars, mathematics stands between dollars."""
    held: list[str] = []

    def hold(name: str, body: str) -> str:
        if name in ("math", "chem"):
            body = f"${' '.join(body.split())}$"
        elif name in ("syntaxhighlight", "source", "pre"):
            body = f"\n```\n{body.strip(chr(10))}\n```\n"
        held.append(body)
        return f"\ue000{len(held) - 1}\ue001"

    source = source.replace("\r\n", "\n").replace("\ue000", "").replace("\ue001", "")
    source = _elements(COMMENT.sub("", source), NOTHING, lambda name, body: "")
    source = _elements(source, VERBATIM, hold)
    source = _nested(source)
    source = EXTERNAL.sub(lambda match: match[1] or "", source)
    source = TAG.sub("", BREAK.sub("\n", source))
    source = LIST.sub(lambda match: "  " * (len(match[1]) - 1) + "- ", SWITCH.sub("", QUOTES.sub("", source)))
    source = HEADING.sub(_heading, source)  # after the lists: # is theirs
    source = APPENDIX.sub("\n", INDENT.sub("", source))
    # what is held comes back after the entities are written out: those may spell anything
    pieces = HELD.split(source)
    for at, piece in enumerate(pieces):
        pieces[at] = held[int(piece)] if at % 2 else html.unescape(piece).replace("\xa0", " ")
    return re.sub(r"\n{3,}", "\n\n", without_trailing_spaces("".join(pieces))).strip()


def _heading(match: re.Match[str]) -> str:
    """As many signs as stand on both sides make the level; more on one of them are text."""
    line = match[0].rstrip(" \t")
    opened = len(line) - len(line.lstrip("="))
    closed = len(line) - len(line.rstrip("="))
    level = min(opened, closed, MAX_HEADING, (len(line) - 1) // 2)
    return f"\n{'#' * level} {line[level:-level].strip(chr(32) + chr(9))}\n" if level else match[0]


def _nested(source: str) -> str:
    """Templates, links and tables replaced from the inside out, in one scan with a stack; what never closes stays."""
    stack: list[tuple[str, list[str]]] = [("", [])]
    at = 0
    for match in BRACKETS.finditer(source):
        stack[-1][1].append(source[at : match.start()])
        at = match.end()
        sign = match[0].strip(" \t:")
        if sign in CLOSING:
            stack.append((match[0], []))
            continue
        if len(stack) > 1 and CLOSING[stack[-1][0].strip(" \t:")] == sign:
            opened, parts = stack.pop()
            deep = len(stack) > MAX_DEPTH
            stack[-1][1].append("" if deep else MEANING[opened.strip(" \t:")]("".join(parts)))
        else:
            stack[-1][1].append(match[0] if sign != "|}" else "")
    stack[-1][1].append(source[at:])
    # what never closed is text
    return "".join(part for opened, parts in stack for part in (opened, *parts))


def _elements(source: str, tags: re.Pattern[str], replace: Callable[[str, str], str]) -> str:
    """``replace(name, contents)`` in place of each element from its tag to the next closing one of the same name."""
    parts, at = [], 0
    opened: re.Match[str] | None = None
    for match in tags.finditer(source):
        if opened is None:
            if match[3]:
                parts.append(source[at : match.start()])
                at = match.end()
            elif not match[1]:
                opened = match
        elif match[1] and match[2].lower() == opened[2].lower():
            body = source[opened.end() : match.start()]
            parts += [source[at : opened.start()], replace(match[2].lower(), body)]
            at, opened = match.end(), None
    return "".join([*parts, source[at:]])


def _template(body: str) -> str:
    return ""


def _link(body: str) -> str:
    if FILES.match(body):
        return ""
    target, bar, label = body.partition("|")
    if not bar and (match := NAMESPACE.match(target)) and match[0].startswith(":"):
        return target[1:]
    return label if bar else target


def _table(body: str) -> str:
    rows: list[list[str]] = [[]]
    caption = ""
    for line in body.split("\n")[1:]:  # what follows {| on its line are attributes
        text = line.strip()
        if text.startswith("|+"):
            caption = ATTRIBUTES.sub("", text[2:]).strip()
        elif text.startswith("|-"):
            rows.append([])
        elif text.startswith(("|", "!")):
            rows[-1] += [ATTRIBUTES.sub("", cell).strip() for cell in CELL.split(text[1:])]
        elif rows[-1]:
            rows[-1][-1] = f"{rows[-1][-1]} {text}".strip()
    lines = [f"| {' | '.join(row)} |" for row in rows if any(row)]
    return "\n" + "\n".join([caption, *lines] if caption else lines) + "\n"


MAX_DEPTH = 40
"""What is nested deeper is dropped: each level copies what is inside it once more."""

CLOSING = {"{{": "}}", "[[": "]]", "{|": "|}"}
MEANING: dict[str, Callable[[str], str]] = {"{{": _template, "[[": _link, "{|": _table}
