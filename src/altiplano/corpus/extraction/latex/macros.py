r"""A LaTeX text's own macros written out: ``\newcommand``, ``\def``, ``\let``, operators, delimiters, environments.

As in TeX a definition counts from where it stands, a name is a backslash with all letters that follow, and what a macro
gives is read again. Macros whose arguments end at a pattern (``\def\a#1;{…}``), and commands of sections and the like,
stay as they are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from altiplano.corpus.extraction.latex.lexing import BraceGroups

NAME = r"\\([A-Za-z@]++|[^A-Za-z@])"
OPTIONAL = r"\[((?:[^\[\]{}]|\{[^{}]{0,200}\}|\[[^\[\]{}]{0,100}\]){0,500}+)\]"
COMMAND = re.compile(rf"\*?\s*+(?:\{{\s*+{NAME}\s*+\}}|{NAME})\s*+(?:\[(\d)\])?\s*+(?:{OPTIONAL})?\s*+(?=\{{)")
SPECIFIED = re.compile(
    rf"\s*+(?:\{{\s*+{NAME}\s*+\}}|{NAME})\s*+\{{((?:[^{{}}]|\{{[^{{}}]{{0,200}}\}}){{0,200}}+)\}}\s*+(?=\{{)"
)
SPECIFICATION = re.compile(r"\s*+(?:O\s*+\{([^{}]*+)\}\s*+)?((?:\+?m\s*+)*+)")
DEF = re.compile(rf"\s*+{NAME}((?:#\d)*+)\s*+(?=\{{)")
DELIMITED_DEF = re.compile(r"\s*+\\(?:[A-Za-z@]++|[^A-Za-z@])[^{}\n]{0,200}(?=\{)")
LET = re.compile(rf"\s*+{NAME}\s*+=?\s?(?:{NAME}|\S)")
ENVIRONMENT = re.compile(rf"\*?\s*+\{{\s*+([^{{}}\\\s]{{1,100}})\s*+\}}\s*+(?:\[(\d)\])?\s*+(?:{OPTIONAL})?\s*+(?=\{{)")
DEFINES = re.compile(
    r"\\(?:(?:New|Renew|Provide|Declare)DocumentCommand|(?:re|provide)?newcommand|renewcommand|providecommand|DeclareRobustCommand|[gex]?def|let|DeclareMathOperator|"
    r"DeclarePairedDelimiter|(?:re)?newenvironment)(?![A-Za-z])"
)
USE = re.compile(r"\\(?:([A-Za-z]++)|.)", re.DOTALL)
CSNAME = re.compile(r"\\csname\s{0,9}(end|)([A-Za-z]{1,40})(\*?)\s{0,9}\\endcsname")
BEGUN = re.compile(r"[ \t]*+\{([^{}\\\n]{1,100})\}")
OPTION_USED = re.compile(rf"\s*+{OPTIONAL}")
SPACES = re.compile(r"[ \t]*+\n?[ \t]*+")
ARGUMENT = re.compile("\\\\(?:[A-Za-z]++|.)|\ue000\\d+\ue001|[^\\s{}]", re.DOTALL)  # \ue000: text set aside
NUMBER = re.compile(r"#([1-9])")
ENDS_IN_NAME = re.compile(r"\\([A-Za-z]++)[ \t]*+\Z")

MAX_GROUP = 20_000
"""Characters between braces, of an argument or a definition."""

MAX_BODY = 200
"""Characters of a macro that is written out; longer ones are layout."""

PROSE = re.compile(r"[A-Za-z]{2,20} [a-z]{2,20} [a-z]{2,20}")
MAX_PROSE = 2_000
"""… or sentences."""

MAX_DEPTH = 12
"""Macros within macros: enough for real papers, and a bound on hostile ones."""

GROWTH = 4
"""Times its length that all uses together may take; what would take more stays as it is."""

BOUNDS = ("begin", "end")
DOCUMENT_COMMANDS = tuple(f"{verb}DocumentCommand" for verb in ("New", "Renew", "Provide", "Declare"))
PROTECTED = {
    "part", "chapter", "section", "subsection", "subsubsection", "paragraph", "cite", "ref", "label", "item", "begin",
    "end", "input", "include", "title", "caption", "footnote", "document", "verb", "maketitle", "emph", "textbf", "bf",
    "figure", "table", "tabular", "equation", "align", "itemize", "enumerate", "abstract", "thebibliography",
}  # fmt: skip


@dataclass(frozen=True)
class Macro:
    arity: int
    body: str
    default: str | None = None
    """Of the first argument, where it is optional."""

    starred: bool = False
    """A star after the name changes its size only."""


class TooMuch(Exception):
    """The uses of macros have grown beyond the bound."""


def expand_macros(source: str) -> str:
    """``source`` with its macros written out and their definitions removed."""
    if "\\csname" in source:
        source = CSNAME.sub(_named, source)
    return _Expansion(len(source)).written(source, 0) if DEFINES.search(source) else source


def _named(match: re.Match[str]) -> str:
    r"""``\csname equation*\endcsname`` is what ``\begin{equation*}`` calls."""
    begun, name, star = match[1], match[2], match[3]
    if star or name in PROTECTED:
        return f"\\{'end' if begun else 'begin'}{{{name}{star}}}"
    return f"\\{begun}{name} "


def _ends_in_name(text: str) -> bool:
    """A letter that follows would be one more of the name."""
    return text[-1:].isalpha() and ENDS_IN_NAME.search(text[-100:]) is not None


class _Expansion:
    def __init__(self, length: int):
        self.budget = GROWTH * length + 10_000
        self.macros: dict[str, Macro] = {}
        self.environments: dict[str, tuple[Macro, str]] = {}
        self.constant: dict[str, str] = {}
        """What macros without arguments came to, until another definition."""

        self.defining: dict[str, Callable[[re.Match[str], str, BraceGroups], int]] = {
            **dict.fromkeys(("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand"), self._command),
            **dict.fromkeys(("def", "gdef", "edef", "xdef"), self._def),
            **dict.fromkeys(("newenvironment", "renewenvironment"), self._environment),
            **dict.fromkeys(DOCUMENT_COMMANDS, self._document_command),
            "let": self._let,
            "DeclareMathOperator": self._operator,
            "DeclarePairedDelimiter": self._delimiters,
        }

    def written(self, text: str, depth: int) -> str:
        groups = BraceGroups(text, MAX_GROUP)
        parts: list[str] = []
        at = 0
        macros, defining = self.macros, self.defining
        for match in USE.finditer(text):
            name = match[1]
            if name in macros:
                if match.start() < at:  # inside an argument
                    continue
                start, end = match.span()
                try:
                    used = self._used(macros[name], name, text, end, groups, depth)
                except TooMuch:
                    if depth:
                        raise
                    del macros[name]
                    self.constant.clear()
                    continue
            elif name in defining and not depth:
                if match.start() < at:
                    continue
                start = match.start()
                end = defining[name](match, text, groups)
                used = ("", end) if end > 0 else None
            elif name in BOUNDS and self.environments and match.start() >= at:
                start = match.start()
                used = self._bounds(name, text, match.end(), groups, depth)
            else:
                continue
            if used is not None:
                body, end = used
                if body[:1].isalpha() and _ends_in_name(parts[-1] if parts and at == start else text[at:start]):
                    body = f" {body}"
                if text[end : end + 1].isalpha() and _ends_in_name(body):
                    body += " "
                parts += [text[at:start], body]
                at = end
        return "".join([*parts, text[at:]]) if parts else text

    def _used(
        self, macro: Macro, name: str, text: str, at: int, groups: BraceGroups, depth: int
    ) -> tuple[str, int] | None:
        """What one use comes to and where it ends; None where arguments are missing."""
        if not macro.arity and name in self.constant:
            body = self.constant[name]
            self._pay(body)
            return body, at
        if macro.starred and text[at : at + 1] == "*":
            at += 1
        found = self._filled(macro, text, at, groups)
        if found is None:
            return None
        body, end = found
        taken = end
        while (last := ENDS_IN_NAME.search(body, max(0, len(body) - 100))) and (follows := self.macros.get(last[1])):
            more = self._filled(follows, text, taken, groups) if follows.arity else None
            if more is None or more[1] == taken:
                break
            body, taken = body + text[taken : more[1]], more[1]
        self._pay(body)
        if "\\" in body and depth < MAX_DEPTH:
            body = self.written(body, depth + 1)
        body = body.removesuffix("\\xspace")
        if not macro.arity and taken == at:
            self.constant[name] = body
        return body, taken

    def _pay(self, body: str) -> None:
        self.budget -= len(body) + 10
        if self.budget < 0:
            raise TooMuch

    def _filled(self, macro: Macro, text: str, at: int, groups: BraceGroups) -> tuple[str, int] | None:
        """The macro's body with the arguments that follow, and where they end."""
        if not macro.arity:
            return macro.body, at
        arguments: list[str] = []
        if macro.default is not None:
            option = OPTION_USED.match(text, at)
            arguments.append(option[1] if option else macro.default)
            at = option.end() if option else at
        while len(arguments) < macro.arity:
            spaces = SPACES.match(text, at)
            at = spaces.end() if spaces else at
            if text[at : at + 1] == "{":
                close = groups.end(at)
                if close < 0:
                    groups.find_all()  # what was looked through here may be looked through again
                    return None
                arguments.append(text[at + 1 : close - 1])
                at = close
            elif token := ARGUMENT.match(text, at):
                arguments.append(token[0])
                at = token.end()
            else:
                return None
        length = sum(map(len, arguments)) * macro.body.count("#")
        if length > self.budget:
            raise TooMuch
        return NUMBER.sub(lambda m: arguments[int(m[1]) - 1] if int(m[1]) <= macro.arity else "", macro.body), at

    def _bounds(self, name: str, text: str, at: int, groups: BraceGroups, depth: int) -> tuple[str, int] | None:
        """``\\begin{…}`` or ``\\end{…}`` of an environment that the text defines."""
        begun = BEGUN.match(text, at)
        if begun is None or begun[1] not in self.environments or depth >= MAX_DEPTH:
            return None
        opening, closing = self.environments[begun[1]]
        found = self._filled(opening, text, begun.end(), groups) if name == "begin" else (closing, begun.end())
        if found is None:
            return None
        try:
            self._pay(found[0])
            return f"\n{self.written(found[0], depth + 1)}", found[1]
        except TooMuch:
            if depth:
                raise
            del self.environments[begun[1]]
            return None

    def _set(self, name: str, macro: Macro | None) -> None:
        """A macro that holds itself would have no end."""
        self.constant.clear()
        self.macros.pop(name, None)
        longest = MAX_PROSE if macro and PROSE.search(macro.body) else MAX_BODY
        if macro is None or name in PROTECTED or not name.isalpha() or len(macro.body) > longest:
            return
        if not any(match[1] == name for match in USE.finditer(macro.body)):
            self.macros[name] = macro

    def _command(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = COMMAND.match(text, at.end())
        end = groups.end(head.end()) if head else -1
        if head and end > 0:
            self._set(head[1] or head[2], Macro(int(head[3] or 0), text[head.end() + 1 : end - 1], head[4]))
        return end

    def _document_command(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        r"""``\NewDocumentCommand{\norm}{O{2} m}{…}``; those with stars and other arguments stay as they are."""
        head = SPECIFIED.match(text, at.end())
        end = groups.end(head.end()) if head else -1
        if head and end > 0:
            known = SPECIFICATION.fullmatch(head[3])
            arity = known[2].count("m") + (known[1] is not None) if known else 0
            macro = Macro(arity, text[head.end() + 1 : end - 1], known[1]) if known else None
            self._set(head[1] or head[2], macro)
        return end

    def _def(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = DEF.match(text, at.end())
        if head is None:
            head = DELIMITED_DEF.match(text, at.end())
            return groups.end(head.end()) if head else -1
        end = groups.end(head.end())
        if end > 0:
            self._set(head[1], Macro(head[2].count("#"), text[head.end() + 1 : end - 1]))
        return end

    def _let(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = LET.match(text, at.end())
        if head is None:
            return -1
        if head[2]:
            self._set(head[1], self.macros.get(head[2], Macro(0, f"\\{head[2]}")))
        return head.end()

    def _operator(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = COMMAND.match(text, at.end())
        end = groups.end(head.end()) if head else -1
        if head and end > 0:
            star = "*" if head[0].startswith("*") else ""
            self._set(head[1] or head[2], Macro(0, f"\\operatorname{star}{{{text[head.end() + 1 : end - 1]}}}"))
        return end

    def _delimiters(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = COMMAND.match(text, at.end())
        middle = groups.end(head.end()) if head else -1
        end = groups.end(middle) if middle > 0 else -1
        if head and end > 0:
            left, right = text[head.end() + 1 : middle - 1], text[middle + 1 : end - 1]
            self._set(head[1] or head[2], Macro(2, f"{left} #2 {right}", "", starred=True))
        return end

    def _environment(self, at: re.Match[str], text: str, groups: BraceGroups) -> int:
        head = ENVIRONMENT.match(text, at.end())
        middle = groups.end(head.end()) if head else -1
        if head is None or middle < 0:
            return -1
        spaces = SPACES.match(text, middle)
        second = spaces.end() if spaces else middle
        end = groups.end(second)
        opening, closing = text[head.end() + 1 : middle - 1], text[second + 1 : end - 1]
        name = head[1]
        if end > 0 and name not in PROTECTED and len(opening) + len(closing) <= MAX_BODY:
            self.environments.pop(name, None)
            if f"\\begin{{{name}}}" not in opening:
                self.environments[name] = (Macro(int(head[2] or 0), opening, head[3]), closing)
        return end
