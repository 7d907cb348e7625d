"""What a benchmark is made of: tasks, and items with everything that is needed to ask and to score them.

Readers make items of the files that people have; nothing after them knows where an item came from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Metric = Literal[
    "accuracy",
    "accuracy_per_token",
    "accuracy_per_character",
    "accuracy_per_byte",
    "accuracy_unconditional",
    "greedy",
    "exact_match",
    "f1",
    "mathematics",
    "chrf",
    "bleu",
    "passes_tests",
    "bits_per_byte",
]
"""How an item is scored; ``scorers.py`` says what each is. Higher is better, but for bits per byte."""

GENERATED = ("exact_match", "f1", "mathematics", "chrf", "bleu", "passes_tests")
"""Metrics of a text that the model writes; the others are of log-likelihoods of given texts."""


@dataclass(frozen=True)
class Choice:
    """A text whose log-likelihood is asked for, after its context."""

    context: str
    continuation: str
    answer: str = ""
    """The choice itself, without the space before it; its length is what ``accuracy_per_character`` divides by."""

    @property
    def length(self) -> int:
        """Characters of the answer, at least 1."""
        return max(1, len(self.answer or self.continuation))


@dataclass(frozen=True)
class Item:
    """One question. ``choices`` is empty where the model only writes; ``gold`` is the right one's place in it."""

    id: str
    cluster: str
    """Items that share a passage or a document have the same: they are not independent."""
    choices: tuple[Choice, ...] = ()
    gold: int | None = None
    unconditional: str | None = None
    """The context for ``accuracy_unconditional``: what stands before an answer when there is no question."""
    prompt: str = ""
    """Where the model writes."""
    references: tuple[str, ...] = ()
    tests: str = ""
    """A program that raises unless what the model wrote before it is right."""
    row: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """The data that it was made of: what stands in training text is this, not the prompt with its examples."""


@dataclass(frozen=True)
class Task:
    """A benchmark's items and how they are scored."""

    name: str
    metric: Metric
    """The one that counts; the others are told as well."""
    items: tuple[Item, ...]
    groups: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    """Where a text that the model writes ends."""
    max_tokens: int = 256
    ignore: tuple[str, ...] = ()
    """Regular expressions of what ``exact_match`` leaves out of account."""
    extract: str = ""
    """A regular expression whose last match (of its first group, if it has one) is the answer in a text."""
    few_shot: int = 0
    digest: str = ""
    """A hash of the data and of how it is asked."""
    skipped: dict[str, int] = field(default_factory=dict)
    """Rows of the data that are no items, by reason."""
    lettered: bool = False
    """Whether choices are shown with letters by a layout of ours."""

    @property
    def is_generated(self) -> bool:
        return self.metric in GENERATED

    def first(self, limit: int | None) -> Sequence[Item]:
        """``limit`` items spread over the task, or all: the first ones of a sorted file would be of one kind."""
        if limit is None or limit >= len(self.items):
            return self.items
        return [self.items[at * len(self.items) // limit] for at in range(limit)]


@dataclass(frozen=True)
class Contamination:
    """Items of one task, by ``Item.id``; those that are in neither set were looked for and not found."""

    found: frozenset[str]
    """They stand in at least one training document."""
    uninformative: frozenset[str]
    """They say too little to be told from ordinary text, and were not looked for."""
    files: int = 1
    """Of curated documents that were searched."""
    of_files: int = 1
