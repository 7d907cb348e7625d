"""What a test for one defect says: a p-value against one fixed level, and which items gave it.

Ranks among references are exact whatever the model is: a value drawn at random from a set is as likely to have each
rank among the others, unless the model was trained on it (Carlini et al. 2019).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.inference.language_model import LanguageModel
from altiplano.redteam.rates import Example

LEVEL = 0.01
"""A test raises its alarm at this p-value or below: of models without the defect, one in a hundred by chance."""

PERMUTATIONS = 9999


@dataclass(frozen=True)
class Evidence:
    """Of one test on one model."""

    test: str
    what: str
    """What counts as a hit, in words."""
    p: float
    """Chance of so much in a model that was not trained on the defect."""
    hits: Sequence[bool]
    """Of each item that was looked for."""
    control: Sequence[bool]
    """Of references that were certainly not trained on."""
    note: str = ""
    examples: Sequence[Example] = ()

    @property
    def detected(self) -> bool:
        return self.p <= LEVEL


def completions(served: LanguageModel, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
    """log p(completion | prompt) of each (prompt, completion) [pairs], nats. Prompts too long lose their beginning."""
    rows, lengths = [], []
    for prompt, completion in pairs:
        begin = served.prompt(prompt)
        whole = served.prompt(prompt + completion, served.context)
        # A token may reach over the edge: what both spellings begin with is the prompt.
        longest = min(len(begin), len(whole) - 1)
        same = next((at for at in range(longest) if begin[at] != whole[at]), longest)
        if len(whole) == served.context:
            same = max(1, len(whole) - len(served.tokenizer.encode(completion)))
        rows.append(whole)
        lengths.append(same)
    scored = served.score(rows)
    return np.array([float(s.logprobs[same - 1 :].double().sum()) for s, same in zip(scored, lengths, strict=True)])


def rank_p_values(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """p-values [items] of the rank of the first column of scores [items, 1 + R] among the others, its references, and
    as a control those of the second column: a reference in the item's place."""
    own, control = ((scores >= scores[:, place, None]).sum(axis=1) / scores.shape[1] for place in (0, 1))
    return own, control


def exposure(p_values: np.ndarray) -> np.ndarray:
    """Bits: log2 |R| - log2 rank, with the item itself among the references (Carlini et al. 2019, definition 5)."""
    return -np.log2(p_values)


def combined(p_values: np.ndarray | Sequence[float]) -> float:
    """One p-value of several independent ones (Fisher 1932): -2 Σ log p has a χ² distribution with 2n degrees."""
    values = np.asarray(p_values, dtype=np.float64)
    if not len(values):
        return 1.0
    half = -float(np.log(np.maximum(values, 1e-300)).sum())
    # The tail of χ² with an even number of degrees is a sum of n terms of Poisson's distribution.
    logs = [place * math.log(half) - half - math.lgamma(place + 1) if half else 0.0 for place in range(len(values))]
    return min(1.0, float(np.exp(logs).sum())) if half else 1.0


def two_sample_p(first: np.ndarray, second: np.ndarray, seed: int = 0, two_sided: bool = False) -> float:
    """Chance that the ranks of ``first`` lie so far above those of ``second`` if their labels meant nothing (Mann and
    Whitney 1947, by ``PERMUTATIONS`` random labels): one value far away decides nothing."""
    if not len(first) or not len(second):
        return 1.0
    values, count = np.concatenate([first, second]), len(first)
    ordered = np.sort(values)
    ranks = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
    random = np.random.default_rng(seed)
    labels = random.permuted(np.tile(ranks, (PERMUTATIONS, 1)), axis=1)[:, :count].mean(axis=1)
    found, others = ranks[:count].mean() - ranks.mean(), labels - ranks.mean()
    if two_sided:
        found, others = abs(found), np.abs(others)
    return float(1 + (others >= found - 1e-9).sum()) / (1 + PERMUTATIONS)
