"""LaTeX macros that only abbreviate: ``\\newcommand{\\R}{\\mathbb{R}}``, with up to nine arguments, are written out.

A macro with an optional argument, and a ``\\def`` with a pattern, stay as they are.
"""

import re

from altiplano.corpus.extraction.scanning import Groups

DEFINITION = re.compile(
    r"\\(?:(?:re|provide)?newcommand|providecommand|DeclareRobustCommand)\*?\s*+\{?\s*+\\([A-Za-z]++)\s*+\}?\s*+(?:\[(\d)\])?\s*+(?=\{)"
    r"|\\def\s*+\\([A-Za-z]++)\s*+(?=\{)"
    r"|\\(DeclareMathOperator)\*?\s*+\{?\s*+\\([A-Za-z]++)\s*+\}?\s*+(?=\{)"
)
USE = re.compile(r"\\([A-Za-z]++)")
MAX_GROUP = 1000
"""Characters between braces, of an argument or a definition."""

MAX_BODY = 200
"""Characters. Longer ones lay out pages."""

ROUNDS = 4
"""Macros may use macros; four levels are enough for people, and a bound for bombs."""

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
    """``source`` with its simple macros written out and their definitions taken away."""
    if not DEFINITION.search(source):
        return source
    macros: dict[str, tuple[int, str]] = {}
    parts, at = [], 0
    groups = Groups(source, MAX_GROUP)
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
    groups = Groups(source, MAX_GROUP)
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
