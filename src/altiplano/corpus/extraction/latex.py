r"""LaTeX to text: sections and mathematics stay, comments, preamble, bibliography and figures go.

Mathematics is kept as it is written (``$E = mc^2$``, ``\begin{equation}``): a model learns it from nowhere else.
Section titles become Markdown headings; formatting commands leave their argument.
"""

import re
import unicodedata

from altiplano.corpus.extraction.macros import expand_macros
from altiplano.corpus.extraction.scanning import replace_enclosed

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
"""Longer ones nobody writes; one that never closes must not be looked for to the end of the text."""

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
