"""The choices of benchmark items as arrays, and which items of different tasks are the same question.

An answer temperature must be judged on questions that it was not fitted on. Task names do not tell: the same data set
may be asked in several ways (ranked and lettered, with other examples, with permuted choices). So items that have a
question or a set of choices in common belong to one cluster, in whatever task they are; clusters are never divided
between fit and judgement.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.scorers import comparable

METRICS = {
    "sum": "accuracy",
    "per_token": "accuracy_per_token",
    "per_character": "accuracy_per_character",
    "per_byte": "accuracy_per_byte",
    "unconditional": "accuracy_unconditional",
}
"""What each normalisation of a choice's log-likelihood is called where accuracies are told."""

LETTERED = re.compile(r"^\W*([A-Z])\W+(?=\w)")
"""The letter before a choice in a prompt, in any usual layout: "A. ", "(A) ", "- A: "."""

TWICE = 2


@dataclass(frozen=True)
class Choices:
    """n items of one or more tasks, with at most k choices each."""

    scores: Tensor
    """Normalised log-likelihoods [n, k], float64; -inf where an item has no such choice."""
    gold: Tensor
    """Place of the right choice [n]."""
    task: np.ndarray
    """Name of each item's task [n]."""
    cluster: np.ndarray
    """Number of each item's cluster [n], the same in all tasks: items of one cluster are not independent."""

    def __len__(self) -> int:
        return len(self.gold)

    @property
    def clusters(self) -> int:
        return len(np.unique(self.cluster))

    @property
    def tasks(self) -> list[str]:
        return sorted(set(self.task.tolist()))

    def of(self, chosen: np.ndarray) -> "Choices":
        """The items where ``chosen`` [n] is true."""
        mask = torch.from_numpy(chosen)
        return Choices(self.scores[mask], self.gold[mask], self.task[chosen], self.cluster[chosen])

    def of_tasks(self, names: Iterable[str]) -> "Choices":
        return self.of(np.isin(self.task, list(names)))

    def without(self, other: "Choices") -> "Choices":
        """The items whose cluster ``other`` has no item of."""
        return self.of(~np.isin(self.cluster, other.cluster))


def usable(tasks: Mapping[str, Sequence[Answer]]) -> tuple[dict[str, list[Answer]], dict[str, int]]:
    """The items that ask for one of several choices, by task, and how many were left out, by reason."""
    kept: dict[str, list[Answer]] = {}
    left_out: Counter[str] = Counter()
    for name, answers in tasks.items():
        for answer in answers:
            if answer.gold is None or len(answer.logprobs) < 2:
                left_out["not a choice between several answers"] += 1
            elif not np.isfinite([*answer.logprobs, *answer.unconditional]).all():
                left_out["a choice whose log-likelihood is not finite"] += 1
            else:
                kept.setdefault(name, []).append(answer)
    return kept, dict(left_out)


def by_normalisation(tasks: Mapping[str, Sequence[Answer]]) -> dict[str, Choices]:
    """Of items as ``usable`` returns them, by every normalisation that all of them have."""
    rows = [(name, answer) for name in sorted(tasks) for answer in tasks[name]]
    clusters = clusters_of(rows)
    has_unconditional = all(answer.unconditional for _, answer in rows)
    names = [name for name in METRICS if name != "unconditional" or has_unconditional]
    return {name: _choices(rows, clusters, name) for name in names}


def _choices(rows: Sequence[tuple[str, Answer]], clusters: np.ndarray, normalisation: str) -> Choices:
    scores = np.full((len(rows), max(len(answer.logprobs) for _, answer in rows)), -np.inf)
    for place, (_, answer) in enumerate(rows):
        scores[place, : len(answer.logprobs)] = comparable(answer)[METRICS[normalisation]]
    return Choices(
        torch.from_numpy(scores),
        torch.tensor([answer.gold for _, answer in rows]),
        np.array([name for name, _ in rows]),
        clusters,
    )


def clusters_of(rows: Sequence[tuple[str, Answer]]) -> np.ndarray:
    """The cluster [n] of each (task, answer): by passage within a task, by question or choices between tasks.

    A line or a set of choices that more than two clusters of one task have (instructions, worked examples, yes and no)
    identifies nothing; that two have is a question that is there twice.
    """
    own = [(task, answer.cluster) for task, answer in rows]
    marks = [_marks(answer) for _, answer in rows]
    holders: dict[tuple[str, str], set[str]] = defaultdict(set)
    for (task, cluster), found in zip(own, marks, strict=True):
        for mark in found:
            holders[task, mark].add(cluster)
    joined: dict[tuple[str, str], tuple[str, str]] = {}

    def root(of: tuple[str, str]) -> tuple[str, str]:
        while (above := joined.get(of, of)) != of:
            of = above
        return of

    first: dict[str, tuple[str, str]] = {}
    for (task, cluster), found in zip(own, marks, strict=True):
        for mark in found:
            if len(holders[task, mark]) <= TWICE:
                here, there = root((task, cluster)), root(first.setdefault(mark, (task, cluster)))
                joined[here] = there
    roots = [root(one) for one in own]
    number = {one: place for place, one in enumerate(dict.fromkeys(roots))}
    return np.array([number[one] for one in roots])


def _marks(answer: Answer) -> set[str]:
    """What the same question has in common however it is asked: lines of the last part of its prompt, after all
    worked examples; and its choices, in any order, from the prompt where only letters are to be said."""
    lines = answer.prompt.split("\n")
    offered = [_plain(choice) for choice in answer.choices]
    if all(len(choice) == 1 for choice in offered):
        lettered = [_plain(LETTERED.sub("", line)) for line in lines if LETTERED.match(line)]
        offered = lettered[-len(offered) :]
    last = [_plain(line) for line in answer.prompt.rstrip().split("\n\n")[-1].split("\n")]
    return {line for line in last if line} | {"choices: " + " | ".join(sorted(offered))}


def _plain(text: str) -> str:
    """Letters and digits, in lower case, one space between words."""
    return " ".join(re.findall(r"\w+", text.lower()))
