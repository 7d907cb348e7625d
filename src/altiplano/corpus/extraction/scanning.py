"""Searching for what closes something, in time that grows with the length of the text alone.

A pattern such as ``\\[.*?\\]`` looks through the rest of the text for each opening that nothing closes; a hostile text
of a few kilobytes then takes minutes.
"""

import re
from collections.abc import Callable

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


class Groups:
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
