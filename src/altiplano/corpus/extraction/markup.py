"""Markdown, AsciiDoc and reStructuredText: readable as they are, once front matter, comments and directives are gone.

Headings, lists, tables, code and mathematics stay as written.
"""

import re
from collections.abc import Callable

FRONT_MATTER = re.compile(r"\A(---|\+\+\+)[ \t]*\n(.*?)\n(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
TITLE = re.compile(r"^title[ \t]*+[:=][ \t]*+[\"']?([^\n]+)$", re.MULTILINE)
FENCE = re.compile(r"[ \t>]*(`{3,}(?!.*`)|~{3,})")
IMAGE = re.compile(r"!\[([^\[\]\n]{0,1000})\]\([^()\s]{0,1000}+(?:\s++[\"'][^\"'\n]*+[\"'])?\)")
LOOK_BACK = 300
"""Characters of a line around a comment in which code may begin and end."""

MDX = re.compile(
    r"^(?:import\s[^\n]*\sfrom\s[\"'][^\n]*|import\s[^\n{}\"']{0,100}\{[^{}]{0,2000}\}\sfrom\s[\"'][^\n]*"
    r"|export\s++(?:const|default|function)\s[^\n]*(?<=[{(\[])\n(?:(?:[ \t][^\n]*+)?\n){0,100}+[})\]][^\n]*"
    r"|export\s++(?:const|default)\s[^\n]*)$\n?",
    re.MULTILINE,
)

ADOC_LISTING = re.compile(r"(-{4,}|\.{4,}|\+{4,}|`{3,}(?=[^`]*$))(?:[ \t]*$|(?<=`)[^`]*$)")
ADOC_LINE = re.compile(
    r"^(?:"
    r"//(?!/)[^\n]*"  # comment
    r"|:!?[A-Za-z0-9_-]+!?:(?:[ \t][^\n]*)?"  # attribute
    r"|(?:include|ifdef|ifndef|ifeval|endif|toc|image|video|audio)::[^\n]*"  # directive
    r"|\[\[[^\]\n]*\]\]|\[(?:#|\.|role|id|width|cols|options|source|NOTE)?[^\]\n]*\]"  # anchor, block attributes
    r")[ \t]*$\n?",
    re.MULTILINE,
)
ADOC_INDEX = re.compile(
    r"\(\(\([^()]*+\)\)\)|\(\((?!\()([^()]*+)\)\)|indexterm2?:\[[^\]]{0,500}\]|\[\[[^\[\]\n]{0,500}\]\]"
)
ADOC_LINK = re.compile(
    r"(?:link:|xref:|(?=https?://))([^\s\[\]<>]{1,1000}+)\[([^\[\]\n]{0,1000})\]"
    r"|<<([^<>,\n]{1,500}+)(?:,\s*+([^<>\n]{1,1000}+))?>>"
)
ADOC_IMAGE = re.compile(r"image:[^\s\[:][^\s\[]{0,1000}+\[([^\[\]\n]{0,1000})\]")

RST_DROPPED = "image|toctree|contents|include|raw|index|highlight|default-role|meta|sectnum|role|currentmodule|module"
RST_DIRECTIVE = re.compile(
    rf"^([ \t]*)\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?(?:{RST_DROPPED})::[^\n]*\n(?:(?:\1[ \t]+[^\n]*|[ \t]*)\n)*+",
    re.MULTILINE,
)
RST_FIGURE = re.compile(r"^([ \t]*)\.\.[ \t]+figure::[^\n]*\n(?:\1[ \t]+:[\w-]+:[^\n]*\n)*+", re.MULTILINE)
RST_LITERAL = re.compile(
    r"([ \t]*+)(?:\.\.[ \t]+(?:code|code-block|sourcecode|parsed-literal|math)::.*|(?!\.\.[ \t]).*::[ \t]*)$"
)
RST_TARGET = re.compile(r"^[ \t]*(?:\.\.[ \t]+_[^\n]*:(?:[ \t][^\n]*)?|__[ \t][^\n]*)$\n?", re.MULTILINE)
RST_COMMENT = re.compile(
    r"^([ \t]*)\.\.(?:[ \t]++(?![\[_|])(?![\w:+.-]+::)[^\n]*)?\n(?:\1[ \t]+[^\n]*\n)*+", re.MULTILINE
)
RST_OPTION = re.compile(r"^[ \t]+:(?:name|class|caption|linenos|lineno-start|emphasize-lines|widths|header-rows|align|"
                        r"width|height|alt|target|noindex|maxdepth|hidden):[^\n]*\n", re.MULTILINE)  # fmt: skip
RST_MATH = re.compile(r":math:`([^`]++)`")
RST_ROLE = re.compile(r":[a-zA-Z][\w:+.-]{0,60}:`(?:[^`<]*+<([^`>]++)>|([^`]++))`")
RST_ROLE_TEXT = re.compile(r":[a-zA-Z][\w:+.-]{0,60}:`([^`<]++)<[^`>]++>`")
RST_LINK = re.compile(r"`([^`<]++)<[^`>\n]++>`_{1,2}|`([^`\n]++)`_{1,2}(?!\w)")


def text_of_markdown(source: str) -> str:
    """Without front matter (its title stays), comments, MDX imports and pictures (their descriptions stay)."""
    source = source.replace("\r\n", "\n").removeprefix("\ufeff")
    match = FRONT_MATTER.match(source)
    if match and (":" in match[2] or "=" in match[2]):
        title = TITLE.search(match[2])
        source = source[match.end() :]
        if title and not re.match(r"\s*# ", source):
            source = f"# {_unquoted(title[1])}\n\n{source.lstrip()}"

    def clean(text: str) -> str:
        text = _without(_without(text, "<!--", "-->"), "{/*", "*/}")
        return IMAGE.sub(r"\1", MDX.sub("", text))

    return _outside(FENCE, clean, source)


def text_of_asciidoc(source: str) -> str:
    """Without attributes, comments, includes, anchors and index terms; links and pictures leave their text."""

    def clean(text: str) -> str:
        text = ADOC_LINE.sub("", _without(text, "\n////", "\n////"))
        text = ADOC_INDEX.sub(lambda match: match[1] or "", text)
        text = ADOC_LINK.sub(lambda match: match[2] or match[4] or match[1] or match[3], text)
        return ADOC_IMAGE.sub(r"\1", text)

    return _outside(ADOC_LISTING, clean, source.replace("\r\n", "\n"))


def text_of_rst(source: str) -> str:
    """Without comments, targets and directives that include other things; roles and links leave their text."""

    def clean(text: str) -> str:
        text = RST_FIGURE.sub("", RST_TARGET.sub("", text))
        text = RST_COMMENT.sub("\n", RST_DIRECTIVE.sub("\n", text))
        text = RST_MATH.sub(r"$\1$", RST_OPTION.sub("", text))
        text = RST_ROLE_TEXT.sub(lambda match: match[1].rstrip(), text)
        text = RST_ROLE.sub(lambda match: f"``{(match[1] or match[2]).lstrip('~!')}``", text)
        return RST_LINK.sub(lambda match: (match[1] or match[2]).rstrip(), text)

    parts: list[str] = []
    block: list[str] = []
    literal: int | None = None  # columns before the line that a literal block belongs to
    for line in (source.replace("\r\n", "\n") + "\n").splitlines(keepends=True):
        if literal is not None and line.strip() and len(line) - len(line.lstrip(" \t")) <= literal:
            parts.append("".join(block))
            literal, block = None, []
        block.append(RST_OPTION.sub("", line) if literal is not None else line)
        if literal is None and (match := RST_LITERAL.match(line)):
            parts.append(clean("".join(block)))
            literal, block = len(match[1]), []
    rest = "".join(block)
    return _tidy("".join([*parts, rest if literal is not None else clean(rest)]))


def _outside(opening: re.Pattern[str], clean: Callable[[str], str], source: str) -> str:
    """``clean`` applied between the code blocks, which show markup that must stay; an open one lasts to the end."""
    parts: list[str] = []
    block: list[str] = []
    fence = ""
    for line in source.splitlines(keepends=True):
        if not fence and (match := opening.match(line)):
            parts.append(clean("".join(block)))
            fence, block = match[1], []
        elif fence and (end := line.strip(" \t\n>")).startswith(fence) and not end.strip(fence[0]):
            parts += [*block, line]
            fence, block = "", []
            continue
        block.append(line)
    rest = "".join(block)
    return _tidy("".join([*parts, rest if fence else clean(rest)]))


def _without(source: str, opening: str, closing: str) -> str:
    """The text without everything between the two and themselves, in linear time; what begins in `code` stays."""
    parts, at, start = [], 0, 0
    while (start := source.find(opening, start)) >= 0:
        line = max(at, start - LOOK_BACK, source.rfind("\n", max(0, start - LOOK_BACK), start))
        if source.count("`", line, start) % 2 and "`" in source[start : start + LOOK_BACK].partition("\n")[0]:
            start += len(opening)
            continue
        end = source.find(closing, start + len(opening))
        if end < 0:
            break
        parts.append(source[at:start])
        at = start = end + len(closing)
    return "".join([*parts, source[at:]])


def _unquoted(title: str) -> str:
    title = title.rstrip(" \t")
    return title[:-1] if len(title) > 1 and title[-1] in "\"'" else title


def without_trailing_spaces(text: str) -> str:
    """Line by line: a pattern would begin anew at each space of a padded line."""
    if " \n" not in text and "\t\n" not in text and not text.endswith((" ", "\t")):
        return text
    return "\n".join(line.rstrip(" \t") for line in text.split("\n"))


def _tidy(text: str) -> str:
    return re.sub(r"\n{4,}", "\n\n\n", without_trailing_spaces(text)).strip("\n")
