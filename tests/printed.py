"""Every command that is printed anywhere: documentation, the model card, help, templates, comments, messages."""

import argparse
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from altiplano.cli import parser

ROOT = Path(__file__).parents[1]
PROGRAMS = r"(?:altiplano|make|python|torchrun|curl|pip|lm_eval|vllm|ray)\b(?!-)"
FENCE = re.compile(r"^ *``` ?(\w*)[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


@dataclass(frozen=True)
class Printed:
    """A command as it is printed, and where."""

    text: str
    place: str


@cache
def subcommands() -> dict[str, argparse.ArgumentParser]:
    (choices,) = [one.choices for one in parser()._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(choices)


ACTIONS = ("list", "verify", "convert", "show", "validate", "key", "sign", "correct", "withdraw", "push")
ARGUMENT = re.compile(rf"{'|'.join(ACTIONS)}|[A-Z]{{3,}}|\{{\w+\}}\S*|\"[^\"]*\"|[\w.:-]*/[\w./{{}}-]+|[\w-]+\.toml")
MENTION = re.compile(rf"\baltiplano (?:{'|'.join(subcommands())})\b")


def documented() -> list[Printed]:
    """Of README, documentation and the model card's template. A command outside code is an error there."""
    found = []
    files = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    files += [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "src/altiplano/release/documents/card.md.j2"]
    for file in files:
        place = file.relative_to(ROOT).as_posix()
        text = file.read_text(encoding="utf-8")
        here = []
        for language, block in FENCE.findall(text):
            if language in ("", "sh", "bash", "shell", "console"):
                here += [line.strip().removeprefix("$ ") for line in block.splitlines()]
            else:
                here += MENTION.findall(block)  # in another language: a mention
        here += [" ".join(code.split()) for code in CODE.findall(FENCE.sub("", text))]
        here = [one for one in here if re.match(PROGRAMS, one)]
        mentions = len(MENTION.findall(text))
        assert sum(len(MENTION.findall(one)) for one in here) == mentions, f"{place}: a command outside code"
        found += [Printed(one, place) for one in here]
    return found


def helped() -> list[Printed]:
    """Of ``--help``, of every command."""
    top = parser()
    found = [Printed(one, "altiplano --help") for one in commands_in_prose(top.epilog or "")]
    for name, sub in subcommands().items():
        place = f"altiplano {name} --help"
        lines = [line.strip() for line in (sub.epilog or "").splitlines()]
        found += [Printed(line, place) for line in lines if re.match(PROGRAMS, line)]
        told = " ".join(action.help or "" for action in sub._actions)
        found += [Printed(one, place) for one in commands_in_prose(f"{sub.description} {told}")]
    return found


def advised() -> list[Printed]:
    """Of messages and hints in the source, of templates, and of comments in recipes, cluster files and the Makefile."""
    found = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        if file.relative_to(ROOT / "src/altiplano").parts[0] in ("cli", "cli.py"):
            continue  # that is help
        source = file.read_text(encoding="utf-8")
        for text in strings(ast.parse(source)) if "altiplano " in source else ():
            found += [Printed(one, file.name) for one in commands_in_prose(text)]
    others = [*(ROOT / "src").rglob("*.j2"), *(ROOT / "src").rglob("*.jinja"), *(ROOT / "src").rglob("*.toml")]
    others += [*(ROOT / "recipes").glob("*.toml"), *(ROOT / "clusters").glob("*.toml"), ROOT / "Makefile"]
    for file in sorted(others):
        if file.name != "card.md.j2":
            for line in file.read_text(encoding="utf-8").splitlines():
                found += [Printed(one, file.name) for one in commands_in_prose(line)]
    return found


def strings(tree: ast.AST) -> Iterator[str]:
    """Texts of a module that may be printed, with {name} for what is filled in; not its documentation."""
    documentation, inside = set(), set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                documentation.add(id(statement.value))
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(p.value) if isinstance(p, ast.Constant) else "{value}" for p in node.values]
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation | inside:
            yield node.value


def commands_in_prose(text: str) -> list[str]:
    """Commands in the middle of words: as far as what follows is an argument, as the command's own parser has it."""
    found = []
    for start in MENTION.finditer(text):
        sub = subcommands()[start[0].split()[1]]
        words, rest = start[0].split(), re.findall(r'\s*("[^"]*"|\S+)', text[start.end() :].split("\n", maxsplit=1)[0])
        wants_value = False
        for word in rest:
            option = sub._option_string_actions.get(word)
            if not (wants_value or option or ARGUMENT.fullmatch(word.rstrip(".,;:)"))):
                break
            wants_value = option is not None and option.nargs != 0 and not wants_value
            words.append(word if wants_value else word.rstrip(".,;:)"))
            if word[-1] in ".,;:)":
                break
        found.append(" ".join(words))
    return found
