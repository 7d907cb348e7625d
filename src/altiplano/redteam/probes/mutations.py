"""Spellings that a reader still understands and a filter of words may not: seeded, one text to one text."""

from collections.abc import Callable

import numpy as np

LEET = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "5"})

Mutation = Callable[[str, np.random.Generator], str]


def change_case(text: str, random: np.random.Generator) -> str:
    """Every letter large or small by chance."""
    large = random.random(len(text)) < 0.5
    return "".join(letter.upper() if up else letter.lower() for letter, up in zip(text, large, strict=True))


def leetspeak(text: str, random: np.random.Generator) -> str:
    """Digits for every second of the letters that look like one."""
    chosen = random.random(len(text)) < 0.5
    return "".join(letter.translate(LEET) if one else letter for letter, one in zip(text, chosen, strict=True))


def space_out(text: str, random: np.random.Generator) -> str:
    """A space between all letters of one word in four."""
    return " ".join(" ".join(word) if random.random() < 0.25 else word for word in text.split(" "))


def swap_letters(text: str, random: np.random.Generator) -> str:
    """Two letters inside one word in four change places."""

    def swapped(word: str) -> str:
        if len(word) < 4 or random.random() >= 0.25:
            return word
        at = int(random.integers(1, len(word) - 2))
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    return " ".join(swapped(word) for word in text.split(" "))


MUTATIONS: tuple[Mutation, ...] = (change_case, leetspeak, space_out, swap_letters)
