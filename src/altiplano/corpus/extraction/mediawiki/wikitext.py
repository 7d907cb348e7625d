"""Wikitext to text: headings, lists, tables, mathematics and templates with words stay; references and files go.

Own rules in one pass per construct: a full parser (mwparserfromhell) is many times slower and does not convert
tables. Markup that nests (templates, tables, files) is removed by one scan over its brackets, innermost first.
"""

import html
import re
from collections.abc import Callable

from altiplano.corpus.extraction.markup import without_trailing_spaces
from altiplano.corpus.extraction.mediawiki.templates import BAR, text_of_template

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
NOTHING = re.compile(
    r"<(/?)(ref|gallery|timeline|score|templatedata|templatestyles|imagemap|mapframe|maplink|graph|includeonly|references)\b[^<>]*?(/?)>",
    re.IGNORECASE,
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
LIST = re.compile(r"^([*#:;]+)[ \t]*", re.MULTILINE)
RAISED = re.compile(r"<sup\b[^<>]{0,100}>(?=[-+−–±]?[\dn(])", re.IGNORECASE)
"""Powers and charges: 10^6. What else is raised (1er, TM) reads well without a sign."""

PARAMETER = re.compile(r"(?<!\{)\{\{\{(?!\{)[^{}|]*+(?:\|([^{}]*+))?\}\}\}")
VARIANTS = re.compile(r"-\{([^{}]{0,2000}+)\}-")
VARIANT = re.compile(r"(?:^|[;>])\s*([a-z]{2,4}(?:-[a-z]{2,4}){0,3})\s*:([^;]*)")
PAGE_TITLE = re.compile(r"\A= (.*) =$", re.MULTILINE)
EMPTY_BRACKETS = re.compile(r" \([\s;,:/–-]*+\)")
EMPTY_BEGINNING = re.compile(r"\([;,][;,\s]*+")
GAP = re.compile(r"  ++| [,.](?=\s|\Z)")
"""What templates that vanished leave: spaces, or one before a stop."""

INTERLANGUAGE = re.compile(r"(?:[a-z]{2,3}|simple|[a-z]{2,3}-[a-z-]{2,12}):(?=\S)")
HELD = re.compile("\ue000(\\d+)\ue001")
CELL = re.compile(r"\|\||!!")
ATTRIBUTES = re.compile(r"^(?=[^\[\]|{}=]*=)[^\[\]|{}]*+\|(?!\|)")
NAMESPACE = re.compile(r"^:?[^\W\d_][^:|\[\]\n]{1,20}:(?=\S)")
FILES = re.compile(
    # the names of the namespaces File and Category with their aliases; a dump's reader writes its own as in English
    r"^\s*(?:"
    r"file|image|media|category|datei|bild|kategorie|fichier|catégorie|archivo|imagen|categoría|файл|"
    r"изображение|категория|ファイル|画像|カテゴリ|文件|檔案|档案|图像|圖像|分类|分類|ficheiro|"
    r"arquivo|imagem|categoria|bestand|afbeelding|categorie|plik|grafika|kategoria|fil|kategori|dosya|"
    r"resim|berkas|tiedosto|kuva|luokka|soubor|súbor|kategória|fájl|kép|fișier|imagine|fitxer|imatge|"
    r"immagine|αρχείο|εικόνα|κατηγορία|קובץ|תמונה|קטגוריה|ملف|صورة|تصنيف|پرونده|رده|зображення|"
    r"категорія|картинка|датотека|слика|категорија|datoteka|slika|kategorija|파일|그림|분류|tập tin|"
    r"hình|thể loại|ไฟล์|ภาพ|หมวดหมู่|चित्र|श्रेणी|চিত্র|বিষয়শ্রেণী|படிமம்|பகுப்பு|దస్త్రం|వర్గం|"
    r"ചിത്രം|വർഗ്ഗം|vaizdas|attēls|pilt|skeud|rummad|fitxategi|irudi|dosiero|kategorio|mynd|flokkur|"
    r"íomhá|catagóir|delwedd|categori|lêer|beeld|ფაილი|სურათი|კატეგორია|պատկեր|կատեգորիա|şəkil|"
    r"kateqoriya|fayl|turkum|сурет|санат|выява|катэгорыя|imaxe|imago"
    r")\s*:",
    re.IGNORECASE,
)
APPENDIX = re.compile(
    r"\n## (?:"
    r"References|External links|Einzelnachweise|Weblinks|Références|Liens externes|Referencias|"
    r"Enlaces externos|Notes and references|Примечания|Ссылки|脚注|外部リンク|参考文献|外部链接|"
    r"Källor|Referenser|Externa länkar|Kaynakça|Dış bağlantılar|Przypisy|Linki zewnętrzne|Referências|"
    r"Ligações externas|Collegamenti esterni|Altri progetti|Externe links?|"
    r"Bronnen, noten en/of referenties|Referencer|Eksterne henvisninger|Eksterne lenker|Referanser|"
    r"参考资料|注释"
    r")\n(?:(?!\n#{1,2} ).)*",
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

    source = source.replace("\r\n", "\n").replace("\ue000", "").replace("\ue001", "").replace(BAR, "")
    source = _elements(COMMENT.sub("", source), NOTHING, lambda name, body: "")
    source = _elements(source, VERBATIM, hold)
    if "-{" in source:
        source = VARIANTS.sub(_variant, source)
    title = PAGE_TITLE.match(source)
    source = _nested(source, title[1] if title else "")
    source = EXTERNAL.sub(lambda match: match[1] or "", source)
    source = TAG.sub("", RAISED.sub("^", BREAK.sub("\n", source)))
    source = LIST.sub(_list, SWITCH.sub("", QUOTES.sub("", source)))
    source = HEADING.sub(_heading, source)  # after the lists: # is theirs
    source = EMPTY_BEGINNING.sub("(", EMPTY_BRACKETS.sub("", APPENDIX.sub("\n", source)))
    if "  " in source or " ." in source or " ," in source:
        source = GAP.sub(_closed_up, source)
    # what is held comes back after the entities are written out: those may spell anything
    pieces = HELD.split(source)
    for at, piece in enumerate(pieces):
        pieces[at] = held[int(piece)] if at % 2 else html.unescape(piece).replace("\xa0", " ").replace(BAR, "|")
    return re.sub(r"\n{3,}", "\n\n", without_trailing_spaces("".join(pieces))).strip()


def _heading(match: re.Match[str]) -> str:
    """As many signs as stand on both sides make the level; more on one of them are text."""
    line = match[0].rstrip(" \t")
    opened = len(line) - len(line.lstrip("="))
    closed = len(line) - len(line.rstrip("="))
    level = min(opened, closed, MAX_HEADING, (len(line) - 1) // 2)
    return f"\n{'#' * level} {line[level:-level].strip(chr(32) + chr(9))}\n" if level else match[0]


def _closed_up(match: re.Match[str]) -> str:
    begins_line = match.string[match.start() - 1 : match.start()] in ("", "\n")
    return match[0] if begins_line else match[0].strip(" ") or " "


def _list(match: re.Match[str]) -> str:
    signs = match[1][:MAX_DEPTH]
    if signs[-1] in "*#":
        return "  " * (len(signs) - 1) + "- "
    return "  " * (len(signs) - 1) if "*" in signs or "#" in signs else ""


def _variant(match: re.Match[str]) -> str:
    """``-{zh-hans:…;zh-hant:…}-``: the first variant. Rules for the whole page (flags H and T) show nothing."""
    flags, bar, body = match[1].rpartition("|")
    if bar and ("H" in flags or "T" in flags or flags.strip() == "-"):
        return ""
    variants = VARIANT.findall(body)
    return variants[0][1].strip() if variants else body


def _nested(source: str, title: str) -> str:
    """Templates, links and tables replaced from the inside out, in one scan with a stack; what never closes stays."""
    if "{{{" in source:
        source = PARAMETER.sub(lambda match: match[1] or "", source)
    meaning: dict[str, Callable[[str], str]] = {
        "{{": lambda body: text_of_template(body, title), "[[": _link, "{|": _table,
    }  # fmt: skip
    stack: list[tuple[str, list[str]]] = [("", [])]
    at = 0
    for match in BRACKETS.finditer(source):
        parts = stack[-1][1]
        written = match[0]
        parts.append(source[at : match.start()])
        at = match.end()
        sign = written if len(written) == 2 else written.strip(" \t:")
        if sign in CLOSING:
            stack.append((written, []))
        elif CLOSING.get(stack[-1][0].strip(" \t:")) == sign:
            opened, parts = stack.pop()
            deep = len(stack) > MAX_DEPTH
            stack[-1][1].append("" if deep else meaning[opened.strip(" \t:")]("".join(parts)))
        else:
            parts.append(written if sign != "|}" else "")
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


def _link(body: str) -> str:
    target, bar, label = body.partition("|")
    if ":" in target and FILES.match(target):
        return ""
    if bar:
        return label or target.partition(":")[2] or target  # [[Help:Links|]]: as the pipe trick
    if ":" not in target:
        return target.removeprefix("#")
    if target.startswith(":") and NAMESPACE.match(target):
        return target[1:]
    return "" if INTERLANGUAGE.match(target) else target


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
