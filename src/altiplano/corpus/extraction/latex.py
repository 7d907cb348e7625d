r"""LaTeX to text: sections and mathematics stay; comments, preamble, bibliography and figures are dropped.

Mathematics is kept as written (``$E = mc^2$``, ``\begin{equation}``). Section titles become Markdown headings, a
formatting command is replaced by its argument. Macros that only abbreviate (``\newcommand{\R}{\mathbb{R}}``, with up to
nine arguments) are expanded; those with an optional argument, and ``\def`` with a pattern, stay.

Closing delimiters are searched for in linear time: a pattern such as ``\[.*?\]`` reads the rest of the text for each
opening that nothing closes, so that a hostile text of a few kilobytes takes minutes.
"""

import re
import unicodedata
from collections.abc import Callable

COMMENT = re.compile(r"(?<!\\)((?:\\\\)*+)%[^\n]*+\n?")
BODY = re.compile(r"\\begin\s*+\{document\}(.*?)(?:\\end\s*+\{document\}|\Z)", re.DOTALL)
MATHEMATICS = "equation|align|gather|multline|eqnarray|displaymath|math|flalign|alignat|array|cases|tikzcd|CD"
MATH = re.compile(
    rf"\\begin\{{(?:{MATHEMATICS})\*?\}}|\$\$|(?<!\\)\$(?=[^$])(?:[^$\\]++|\\.)++\$|(?<!\\)\\[\[(]", re.DOTALL
)
MAX_MATH = 20_000
"""Characters of one formula."""

DROPPED = re.compile(
    r"\\begin\{(?:thebibliography|figure|table|tikzpicture|comment|filecontents|picture|tabular|lstlisting)\*?\}"
)
OPTION = r"\[[^\]]{0,500}\]"
"""Nobody writes longer ones, and the end of one that never closes must not be searched for in the whole text."""

NO_TEXT = re.compile(
    r"\\(?:label|ref|eqref|cref|Cref|autoref|pageref|cite[a-z]*|index|vspace|hspace|input|include|usepackage|documentclass|"
    r"bibliography|bibliographystyle|pagestyle|thispagestyle|setcounter|addtocounter|newcommand|renewcommand|DeclareMathOperator|"
    r"newtheorem|includegraphics|setlength|def|let|newenvironment|hypersetup|addcontentsline|symlabel|indexdef|indexsee|indexfoot)"
    rf"\*?(?:\s*+\\[a-zA-Z]+(?=\s*+[\[{{]))?(?:{OPTION})*+"
    r"(?:\s*+\{(?:[^{}]++|\{(?:[^{}]++|\{[^{}]*+\})*+\})*+\})*+"
)
LEVEL = {
    "part": "#", "chapter": "#", "section": "##", "subsection": "###", "subsubsection": "####", "paragraph": "#####",
}  # fmt: skip
HEADING = re.compile(rf"\\({'|'.join(LEVEL)})\*?(?:{OPTION})?\s*+\{{((?:[^{{}}]++|\{{[^{{}}]*+\}})*+)\}}")
ENVIRONMENT = re.compile(rf"\\(?:begin|end)\s*+\{{[^{{}}]*+\}}(?:{OPTION})?")
ARGUMENT = re.compile(rf"\\[a-zA-Z]++\*?(?:{OPTION})?\{{([^{{}}]*+)\}}")
LINK = re.compile(r"\\href\s*+\{[^{}]*+\}\s*+\{([^{}]*+)\}")
ACCENT = re.compile(
    r"\\(?:(?P<mark>[`'^\"~=.])\s*(?:\{\s*\\?(?P<a>[a-zA-Z])\s*\}|\\?(?P<b>[a-zA-Z]))"
    r"|(?P<word>[uvHc])(?:\s*\{\s*(?P<c>[a-zA-Z])\s*\}|\s+(?P<d>[a-zA-Z])(?![a-zA-Z])))"
)
COMBINING = dict(zip("`'^\"~=.uvHc", "\u0300\u0301\u0302\u0308\u0303\u0304\u0307\u0306\u030c\u030b\u0327", strict=True))
COMMAND = re.compile(r"\\[a-zA-Z]+\*?\s?|\\[,;:!/@ -]")
WORDS = {
    "ss": "ß",
    "ae": "æ",
    "oe": "œ",
    "o": "ø",
    "l": "ł",
    "i": "i",
    "ldots": "…",
    "dots": "…",
    "LaTeX": "LaTeX",
    "TeX": "TeX",
}
WORD = re.compile(rf"\\({'|'.join(WORDS)})(?![a-zA-Z])(?:\{{\}}|[ \t])?")  # a space after a command's name only ends it
SYMBOLS = {
    r"\%": "%", r"\&": "&", r"\_": "_", r"\#": "#", r"\$": "$", r"\{": "{", r"\}": "}", r"\\": "\n", "~": " ",
    "``": "“", "''": "”", "---": "—", "--": "–",
}  # fmt: skip
SYMBOL = re.compile("|".join(map(re.escape, SYMBOLS)))
HELD = re.compile("\ue000(\\d+)\ue001")


def text_of_latex(source: str) -> str:
    source = source.replace("\r\n", "\n").replace("\ue000", "").replace("\ue001", "")
    source = expand_macros(COMMENT.sub(r"\1", source))
    if body := BODY.search(source):
        source = body.group(1)
    source = source.split(r"\bibliography{")[0]
    source = replace_enclosed(source, DROPPED, _closing, lambda _: "\n")
    held: list[str] = []

    def hold(formula: str) -> str:
        held.append(re.sub(r"\\label\{[^{}]*+\}\s*+", "", formula))
        return f"\ue000{len(held) - 1}\ue001"

    source = replace_enclosed(source, MATH, _closing, hold, MAX_MATH)
    source = HEADING.sub(lambda match: f"\n\n{LEVEL[match.group(1)]} {match.group(2).strip()}\n\n", source)
    source = NO_TEXT.sub("", source)
    source = re.sub(r"\\(?:item|bibitem)\b\s*", "\n- ", source)
    source = ENVIRONMENT.sub("\n", source)
    source = LINK.sub(r"\1", source)
    source = ACCENT.sub(_accented, source)
    source = WORD.sub(lambda match: WORDS[match.group(1)], source)
    for _ in range(4):  # nested arguments, innermost first
        source = ARGUMENT.sub(r"\1", source)
    source = SYMBOL.sub(lambda match: SYMBOLS[match.group(0)], source)
    source = COMMAND.sub("", source).replace("{", "").replace("}", "")
    return _tidy(HELD.sub(lambda match: held[int(match.group(1))], source))


def _closing(opening: str) -> str:
    r"""``\end{figure}`` for ``\begin{figure}``, ``\]`` for ``\[``. Single dollars: whole already."""
    if opening.startswith("\\begin"):
        return opening.replace("\\begin", "\\end", 1)
    return {"\\[": "\\]", "\\(": "\\)", "$$": "$$"}.get(opening, "")


def _accented(match: re.Match[str]) -> str:
    mark = COMBINING[match["mark"] or match["word"]]
    return (match["a"] or match["b"] or match["c"] or match["d"]) + mark


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFC", text)
    text = re.sub(r"[ \t]+", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


DEFINITION = re.compile(
    r"\\(?:(?:re|provide)?newcommand|providecommand|DeclareRobustCommand)\*?\s*+\{?\s*+\\([A-Za-z]++)\s*+\}?\s*+(?:\[(\d)\])?\s*+(?=\{)"
    r"|\\def\s*+\\([A-Za-z]++)\s*+(?=\{)"
    r"|\\(DeclareMathOperator)\*?\s*+\{?\s*+\\([A-Za-z]++)\s*+\}?\s*+(?=\{)"
)
USE = re.compile(r"\\([A-Za-z]++)")
MAX_GROUP = 1000
"""Characters between braces, of an argument or a definition."""

MAX_BODY = 200
"""Characters of a macro that abbreviates; longer ones are layout."""

ROUNDS = 4
"""Levels of macros within macros: enough for real papers, and a bound on hostile ones."""

GROWTH = 4
"""Times its length that a text may grow to; beyond that it stays as it was."""

PROTECTED = {
    "section",
    "subsection",
    "chapter",
    "cite",
    "ref",
    "label",
    "item",
    "begin",
    "end",
    "input",
    "include",
    "title",
}


def expand_macros(source: str) -> str:
    """``source`` with its simple macros expanded and their definitions removed."""
    if not DEFINITION.search(source):
        return source
    macros: dict[str, tuple[int, str]] = {}
    parts, at = [], 0
    groups = BraceGroups(source, MAX_GROUP)
    for match in DEFINITION.finditer(source):
        if match.start() < at:
            continue
        end = groups.end(match.end())
        if end < 0:
            continue
        body = source[match.end() + 1 : end - 1]
        name = match[1] or match[3] or match[5]
        if len(body) <= MAX_BODY and name not in PROTECTED and f"\\{name}" not in body:
            macros[name] = (int(match[2] or 0), f"\\operatorname{{{body}}}" if match[4] else body)
        parts.append(source[at : match.start()])
        at = end
    if not parts:
        return source
    source = "".join(parts) + source[at:]
    if not macros:
        return source
    limit = GROWTH * len(source) + 10_000
    for _ in range(ROUNDS):
        expanded = _expand_once(source, macros, limit)
        if expanded is None or expanded == source:
            break
        source = expanded
    return source


def _expand_once(source: str, macros: dict[str, tuple[int, str]], limit: int) -> str | None:
    """None when the text would grow beyond ``limit`` characters."""
    parts, at, size = [], 0, len(source)
    groups = BraceGroups(source, MAX_GROUP)
    for match in USE.finditer(source):
        if match.start() < at or match[1] not in macros:  # inside an argument; the next round's
            continue
        arity, body = macros[match[1]]
        end, arguments = match.end(), []
        for _ in range(arity):
            while end < len(source) and source[end] in " \t":
                end += 1
            close = groups.end(end)
            if close < 0:
                break
            arguments.append(source[end + 1 : close - 1])
            end = close
        if len(arguments) < arity:
            groups.find_all()  # what was looked through here may be looked through again
            continue
        for number, argument in enumerate(arguments, 1):
            body = body.replace(f"#{number}", argument)
        if arity == 0 and body[-1:].isalpha() and source[end : end + 1].isalpha():
            body += " "
        size += len(body)
        if size > limit:
            return None
        parts += [source[at : match.start()], body]
        at = end
    return "".join(parts) + source[at:]


ESCAPED_OR_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


class Ahead:
    """Where literals stand next. Asked at ascending places, it looks at every character once for each literal."""

    def __init__(self, text: str):
        self.text = text
        self.found: dict[str, int] = {}

    def find(self, literal: str, at: int) -> int:
        """The place of the next ``literal`` at or after ``at``; -1 when there is none."""
        known = self.found.get(literal)
        if known is None or 0 <= known < at:
            known = self.found[literal] = self.text.find(literal, at)
        return known


def replace_enclosed(
    text: str, opening: re.Pattern[str], closing: Callable[[str], str], replace: Callable[[str], str], longest: int = 0
) -> str:
    """``replace`` applied to each stretch from an ``opening`` to the ``closing`` that its text asks for, both included;
    what nothing closes, within ``longest`` characters if that is given, stays."""
    ahead = Ahead(text)
    parts, at, start = [], 0, 0
    while match := opening.search(text, start):
        start = match.start() + 1
        close = closing(match[0])
        found = ahead.find(close, match.end())
        if found < 0 or (longest and found - match.end() > longest):
            continue
        end = found + len(close)
        parts += [text[at : match.start()], replace(text[match.start() : end])]
        at = start = end
    return "".join([*parts, text[at:]])


class BraceGroups:
    """Where the groups between braces end. ``\\{`` is no brace."""

    def __init__(self, text: str, longest: int):
        self.text = text
        self.longest = longest
        self.ends: dict[int, int] | None = None

    def end(self, start: int) -> int:
        """The place after the brace that closes the one at ``start``; -1 when there is none within ``longest``."""
        if self.text[start : start + 1] != "{":
            return -1
        if self.ends is None and (found := self._look(start)) > 0:
            return found
        ends = self.find_all()  # looking so far for each brace that nothing closes would take too long
        found = ends.get(start, -1)
        return found if found <= start + self.longest else -1

    def find_all(self) -> dict[int, int]:
        """For each brace that opens a group, the place after the one that closes it."""
        if self.ends is None:
            self.ends = {}
            opened: list[int] = []
            for match in ESCAPED_OR_BRACE.finditer(self.text):
                if match[0] == "{":
                    opened.append(match.start())
                elif match[0] == "}" and opened:
                    self.ends[opened.pop()] = match.end()
        return self.ends

    def _look(self, start: int) -> int:
        depth = 0
        for match in ESCAPED_OR_BRACE.finditer(self.text, start, start + self.longest):
            depth += (match[0] == "{") - (match[0] == "}")
            if depth == 0 and match[0] == "}":
                return match.end()
        return -1
