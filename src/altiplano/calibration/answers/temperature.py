"""The answer temperature: T that minimises the NLL of right choices under softmax(score / T) over an item's choices.

Newton's method as for tokens (``calibration/temperature.py``), on a few numbers per item instead of a vocabulary.
Scores may be per character or per byte, so T has no natural size: a T far below 1 only says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.calibration.answers.choices import Choices
from altiplano.calibration.predictions import Derivatives, Judged
from altiplano.calibration.temperature import newton

BOUND = 1e3
"""T is sought up to so many times more and less than the usual distance between an item's best and worst choice."""
WEIGHTS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Fitted:
    temperature: float
    at_bound: bool
    """Whether the NLL falls up to the bound: right choices are as likely as any (T as high as it goes), or are always
    the likeliest (as low as it goes)."""


def fit(choices: Choices, weights: Tensor | None = None) -> Fitted:
    """``weights`` [n] count items several times or not at all. Tasks weigh alike, whatever their number of items."""
    each = task_weights(choices) if weights is None else weights * task_weights(choices)
    top = choices.scores.amax(-1)
    spread = float((top - _finite(choices.scores, top).amin(-1)).median()) or 1.0
    low, high = 1 / (BOUND * spread), BOUND / spread
    found = newton(lambda beta: derivatives(choices, beta, each), 1 / spread, low, high)
    return Fitted(1 / found.beta, not 1.01 * low < found.beta < 0.99 * high)


def task_weights(choices: Choices) -> Tensor:
    """Weights [n] of mean 1 that sum to the same in every task."""
    _, place, count = np.unique(choices.task, return_inverse=True, return_counts=True)
    return torch.from_numpy(len(choices) / len(count) / count[place])


def derivatives(choices: Choices, beta: float, weights: Tensor) -> Derivatives:
    """Of each item's NLL by β = 1/T, times its weight [n]."""
    top = choices.scores.amax(-1, keepdim=True)
    scores = choices.scores - top
    shares = (beta * scores).softmax(-1)
    finite = torch.where(torch.isfinite(scores), scores, 0.0)
    right = scores.gather(-1, choices.gold[:, None])[:, 0]
    mean = (shares * finite).sum(-1)
    square = (shares * finite.square()).sum(-1)
    nll = (beta * scores).logsumexp(-1) - beta * right
    return Derivatives(weights * nll, weights * (mean - right), weights * (square - mean.square()))


def interval(choices: Choices, samples: int, seed: int) -> tuple[float, float]:
    """95 % interval of T: refitted to resampled clusters of each task. Says nothing of tasks that are not there."""
    _, place = np.unique(choices.cluster, return_inverse=True)
    found = [
        fit(choices, torch.from_numpy(weights[place])).temperature
        for chunk in resamples(choices, samples, seed)
        for weights in chunk
    ]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def resamples(choices: Choices, samples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each cluster is drawn [at once, clusters], float64: with replacement, as many of each task as it has.
    A cluster of several tasks counts as one of its first. Clusters are in the order of their numbers."""
    _, first = np.unique(choices.cluster, return_index=True)
    owner = choices.task[first]
    random = np.random.default_rng(seed)
    at_once = max(1, WEIGHTS_AT_ONCE // max(len(first), len(choices)))
    for start in range(0, samples, at_once):
        drawn = np.zeros((min(at_once, samples - start), len(first)))
        for task in np.unique(owner):
            mine = owner == task
            count = int(mine.sum())
            drawn[:, mine] = random.multinomial(count, np.full(count, 1 / count), size=len(drawn))
        yield drawn


def judge(scores: Tensor, gold: Tensor) -> Judged:
    """Choices at softmax(scores) [n, k], judged like tokens."""
    logprobs = scores.log_softmax(-1)
    top, likeliest = logprobs.max(-1)
    nll = -logprobs.gather(-1, gold[:, None])[:, 0]
    brier = logprobs.exp().square().sum(-1) - 2 * (-nll).exp() + 1
    return Judged(top.exp(), likeliest == gold, nll, brier, likeliest)


def _finite(scores: Tensor, instead: Tensor) -> Tensor:
    return torch.where(torch.isfinite(scores), scores, instead[:, None])
