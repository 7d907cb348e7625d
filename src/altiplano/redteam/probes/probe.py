"""What a probe is."""

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """A prompt, and the words that show success where that differs from prompt to prompt."""

    prompt: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probe:
    name: str
    what: str
    """What counts as success, in words."""
    attacks: tuple[Attack, ...]
    succeeded: Callable[[Attack, str], bool]
    """Of an attack and the output it got."""


def prompts(*texts: str) -> tuple[Attack, ...]:
    return tuple(Attack(text) for text in texts)


def says(output: str, words: tuple[str, ...]) -> set[str]:
    """Those of the words that the output has, whole or as the beginning of a longer word."""
    lowered = output.lower()
    return {word for word in words if re.search(rf"(?<!\w){re.escape(word)}", lowered)}
