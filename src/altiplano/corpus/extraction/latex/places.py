"""Where what follows a command ends: its options and arguments, a length, a file's name, a formula, a condition."""

import re

from altiplano.corpus.extraction.latex.lexing import Ahead, BraceGroups

OPTION = re.compile(r"\s*+\[((?:[^\[\]{}]|\{[^{}]{0,300}\}|\[[^\[\]]{0,100}\]){0,500}+)\]")
SPACES = re.compile(r"[ \t]*+(?:\n[ \t]*+(?!\n))?+")
NUMBER_OR_LENGTH = re.compile(
    r"\s{0,3}(?:by)?=?\s{0,3}[+-]?\d*+\.?\d*+(?:\\(?:text|line|column|paper)(?:width|height)|\\[hv]size|\\baselineskip|"
    r"\s{0,3}(?:true)?\s?(?:pt|pc|in|bp|cm|mm|dd|cc|sp|ex|em|mu)(?![a-z])|(?![a-z]))"
    r"(?:\s{0,3}(?:plus|minus)\s{0,3}[+-]?\d*+\.?\d*+\s?(?:pt|in|cm|mm|ex|em|mu|fill?l?))*"
)
FILE_NAME = re.compile(r"[ \t]*+[A-Za-z0-9_./-]*+")
NAME = re.compile(r"\\(?:[A-Za-z@]++|.)", re.DOTALL)
ROUND = re.compile(r"\([a-z]{1,8}\)")
CONDITION = re.compile(r"\\(if(?!f\b)[a-zA-Z]*|fi|else)(?![a-zA-Z])")
INLINE = re.compile(r"\$(?:[^$\\\n]++|\n(?![ \t]*+\n)|\\.)++\$", re.DOTALL)
IN_MATH = re.compile(r"\\.|[{}$]|\n[ \t]*+\n", re.DOTALL)
MAX_MATH = 20_000
"""Characters of one formula."""

MAX_GROUP = 20_000
"""Characters of one argument."""


class Places:
    """Every method is given a place in the text and gives the one to go on from."""

    def __init__(self, source: str):
        self.source = source
        self.groups = BraceGroups(source, MAX_GROUP)
        self.ahead = Ahead(source)
        self.conditions = True
        self.looking = 4 * len(source)
        """Characters that may still be looked through for the ends of formulas that hold others."""

    def after_space(self, at: int) -> int:
        """Behind spaces and one line end."""
        match = SPACES.match(self.source, at)
        return match.end() if match else at

    def after_options(self, at: int) -> int:
        while option := OPTION.match(self.source, at):
            at = option.end()
        return at

    def after_arguments(self, at: int, count: int) -> int:
        """Behind ``count`` arguments and the options around them."""
        source = self.source
        if source[at : at + 1] == "(" and (round_brackets := ROUND.match(source, at)):
            at = round_brackets.end()
        while True:
            at = self.after_options(at)
            if not count:
                return at
            begin = self.after_space(at)
            if source[begin : begin + 1] == "{":
                end = self.groups.end(begin)
                if end < 0:
                    return at
            elif source[begin : begin + 1] == "\\" and (name := NAME.match(source, begin)):
                end = name.end()
            else:
                return at
            at, count = end, count - 1

    def after_length(self, at: int) -> int:
        if self.source[at : at + 1] == "{":
            return self.after_arguments(at, 1)
        match = NUMBER_OR_LENGTH.match(self.source, at)
        return match.end() if match else at

    def after_file_name(self, at: int) -> int:
        if self.source[at : at + 1] == "{":
            return self.after_arguments(at, 1)
        match = FILE_NAME.match(self.source, at)
        return match.end() if match else at

    def after_hidden(self, at: int) -> int:
        r"""``\iffalse … \fi`` is a comment."""
        depth = 1
        for match in CONDITION.finditer(self.source, at) if self.conditions else ():
            if match[1] == "else" and depth == 1:
                return match.end()
            depth += 0 if match[1] == "else" else -1 if match[1] == "fi" else 1
            if depth == 0:
                return match.end()
        self.conditions = False  # not once more to the end of the text
        return at

    def after_formula(self, at: int) -> int:
        """Behind the inline formula that begins at ``at``; 0 when nothing closes it within its paragraph."""
        match = INLINE.match(self.source, at, at + MAX_MATH)
        if match is None:
            return 0
        if match[0].count("{") == match[0].count("}"):
            return match.end()
        # x_{\text{a $b$}}: a dollar between braces ends nothing
        return self._after_formulas_inside(at) or match.end()

    def of_closing(self, closing: str, at: int) -> int:
        """The place of the ``closing`` of a formula that begins at ``at``; -1 when there is none near enough."""
        found = self.ahead.find(closing, at)
        return found if found <= at + MAX_MATH else -1

    def _after_formulas_inside(self, at: int) -> int:
        """Behind the dollar outside of all braces; 0 when there is none before the next paragraph."""
        depth = 0
        for match in IN_MATH.finditer(self.source, at + 1, at + MAX_MATH) if self.looking > 0 else ():
            sign = match[0]
            depth += (sign == "{") - (sign == "}")
            if (sign == "$" and not depth) or depth < 0 or sign[0] == "\n":
                self.looking -= match.end() - at
                return match.end() if sign == "$" else 0
        self.looking -= MAX_MATH
        return 0
