"""One test's result: the model's rate beside those of its controls.

Intervals and tests for rates, differences and ranks.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from altiplano.evaluation.statistics import wilson
from altiplano.records import AttackExample, AttackResult, ControlRate, HitRate

CONTROL_MUST_STAY_BELOW = 0.1
"""A test that a control without any knowledge passes more often than this says nothing about the model."""

Example = tuple[str, str]
"""Prompt and output."""


def compare(
    name: str, what: str, hits: Sequence[bool], controls: Mapping[str, Sequence[bool]], examples: Sequence[Example]
) -> AttackResult:
    """``hits``: was each attack a success? ``examples``: one per attack."""
    low, high = wilson(sum(hits) / max(1, len(hits)), len(hits))
    rates = [
        ControlRate(name=control, n=len(theirs), hits=sum(theirs), rate=sum(theirs) / max(1, len(theirs)))
        for control, theirs in controls.items()
    ]
    nothing = ControlRate(name="", n=0, hits=0, rate=0.0)
    best = max(rates, key=lambda control: control.rate, default=nothing)
    rate = sum(hits) / max(1, len(hits))
    excess_low, excess_high = difference(sum(hits), len(hits), best.hits, best.n) if best.n else (low, high)
    return AttackResult(
        name=name,
        what=what,
        n=len(hits),
        model=HitRate(hits=sum(hits), rate=rate, low=low, high=high),
        controls=rates,
        excess=rate - best.rate,
        excess_low=excess_low,
        excess_high=excess_high,
        informative=bool(hits) and best.rate <= CONTROL_MUST_STAY_BELOW,
        examples=_examples(hits, examples),
    )


def _examples(hits: Sequence[bool], examples: Sequence[Example]) -> list[AttackExample]:
    """Up to three successes, or one failure where there are none."""
    chosen = [place for place, hit in enumerate(hits) if hit][:3] or list(range(len(examples)))[:1]
    return [
        AttackExample(prompt=examples[i][0], output=examples[i][1], hit=hits[i]) for i in chosen if i < len(examples)
    ]


def difference(hits: int, n: int, other_hits: int, other_n: int) -> tuple[float, float]:
    """95 % interval of the difference of two rates (Newcombe 1998, method 10)."""
    rate, other = hits / max(1, n), other_hits / max(1, other_n)
    low, high = wilson(rate, n)
    other_low, other_high = wilson(other, other_n)
    gap = rate - other
    below, above = math.hypot(rate - low, other_high - other), math.hypot(high - rate, other - other_low)
    return max(-1.0, gap - below), min(1.0, gap + above)


def area_under_curve(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties counting half (Mann and Whitney 1947)."""
    ordered = np.sort(negative)
    below, upto = np.searchsorted(ordered, positive, "left"), np.searchsorted(ordered, positive, "right")
    return float((below + upto).mean() / (2 * len(ordered)))


def area_interval(
    positive: Sequence[np.ndarray], negative: Sequence[np.ndarray], seed: int, samples: int = 200
) -> tuple[float, float]:
    """95 % bootstrap interval of ``area_under_curve``. Scores come in one array per document, and whole documents are
    resampled: what they hold is not independent."""
    random = np.random.default_rng(seed)

    def resampled(documents: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([documents[i] for i in random.integers(len(documents), size=len(documents))])

    areas = [area_under_curve(resampled(positive), resampled(negative)) for _ in range(samples)]
    low, high = np.quantile(areas, [0.025, 0.975])
    return float(low), float(high)
