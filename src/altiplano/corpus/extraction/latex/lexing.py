r"""What must be known of a LaTeX text before any command is read: where comments, verbatim texts and groups end.

Closing delimiters are searched for in linear time: a pattern such as ``\[.*?\]`` reads the rest of the text for each
opening that nothing closes, so that a hostile text of a few kilobytes takes minutes.
"""

import re
from collections.abc import Callable

VERBATIM = re.compile(
    r"%[^\n]*+(?P<end>\n[ \t]*+(?!\n))?"  # with the line end and what the next line begins with, as TeX reads it
    r"|\\(?:[\\%]"
    r"|verb(?![A-Za-z])\*?(?P<mark>[^\w\s*])(?P<verb>[^\n]{0,1000}?)(?P=mark)"
    r"|(?:lstinline(?:\[[^\]\n]{0,200}\])?|mintinline(?:\[[^\]\n]{0,200}\])?\{[^{}\n]{0,40}\})"
    r"(?:\{(?P<inline>[^{}\n]{0,1000})\}|(?P<mark2>[^\w\s*{])(?P<inline2>[^\n]{0,1000}?)(?P=mark2))"
    r"|(?P<command>url|nolinkurl|path|href)(?![A-Za-z])\s*+\{(?P<address>(?:[^{}\n]|\{[^{}\n]{0,200}\}){0,2000}+)\}"
    r"|begin[ \t]*+\{(?P<environment>(?:[BL]?[vV]erbatim|lstlisting|minted|alltt|comment|filecontents)\*?)\})"
)
CODE_OPTIONS = re.compile(r"[ \t]*+(?:\[[^\]]{0,500}\])?[ \t]*+")
MINTED_LANGUAGE = re.compile(r"\{[^{}\n]{0,40}\}[ \t]*+")
ESCAPED = re.compile(r"\\([%#&_~{}])")


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


def without_comments(source: str, verbatim: Callable[[str, str], str] | None = None) -> str:
    r"""``source`` without comments, where ``%`` begins one: not after a backslash, in addresses and verbatim texts.

    ``verbatim(kind, text)`` writes these: the kind is ``verb``, ``url``, ``href`` or the environment's name. Without it
    they stay as they are.
    """
    if "%" not in source and not (verbatim and VERBATIM.search(source)):
        return source
    ahead = Ahead(source)
    parts, at, start = [], 0, 0
    while match := VERBATIM.search(source, start):
        begin, start = match.span()
        if source[begin] == "%":
            parts.append(source[at:begin])
            at = start
        elif environment := match["environment"]:
            closing = f"\\end{{{environment}}}"
            found = ahead.find(closing, start)
            if found < 0:
                continue
            if verbatim:
                parts += [source[at:begin], verbatim(environment, source[start:found])]
                at = found + len(closing)
            start = found + len(closing)
        elif verbatim and match.lastgroup:
            if match["command"]:
                written = verbatim("href" if match["command"] == "href" else "url", match["address"])
            else:
                written = verbatim("verb", match["verb"] or match["inline"] or match["inline2"] or "")
            parts += [source[at:begin], written]
            at = start
    return "".join([*parts, source[at:]])


def code_of(environment: str, body: str) -> str:
    """The lines of a listing, without the options that follow its ``\\begin``."""
    if not environment.startswith("alltt"):
        body = body[match.end() :] if (match := CODE_OPTIONS.match(body)) else body
    if environment.startswith("minted") and (match := MINTED_LANGUAGE.match(body)):
        body = body[match.end() :]
    return body.strip("\n").rstrip()


def address(written: str) -> str:
    return ESCAPED.sub(r"\1", written)


ESCAPED_OR_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
PLAIN_GROUP = re.compile(r"\{[^{}\\]*+\}")


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
        if match := PLAIN_GROUP.match(self.text, start, start + self.longest):
            return match.end()
        depth = 0
        for match in ESCAPED_OR_BRACE.finditer(self.text, start, start + self.longest):
            depth += (match[0] == "{") - (match[0] == "}")
            if depth == 0 and match[0] == "}":
                return match.end()
        return -1
