"""The temperature T that minimises the negative log-likelihood of softmax(z / T) (Guo et al. 2017), exactly.

With β = 1/T the mean NLL f(β) = mean(log Σ exp(β z) − β z_y) is convex: f' = mean(E_p[z] − z_y), f'' = mean(Var_p[z]).
So Newton's method finds the minimum in a few passes over the tokens, and each pass needs one chunk of logits at a time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from altiplano.calibration.predictions import Derivatives, Predictions

BETA_LOW, BETA_HIGH = 0.05, 20.0
WARM_START_TOKENS = 4096
LAST_STEP = 1e-4


@dataclass(frozen=True)
class Temperature:
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Minimum:
    """β at the minimum, and the derivatives at ``near``: the place one Newton step before it."""

    beta: float
    near: float
    at: Derivatives


def minimise(predictions: Predictions, beta: float = 1.0) -> Minimum:
    """β of the least NLL, clamped to T from 0.05 to 20."""
    return newton(predictions.derivatives, beta, BETA_LOW, BETA_HIGH)


def newton(derivatives_at: Callable[[float], Derivatives], beta: float, low: float, high: float) -> Minimum:
    """Newton's method from ``beta``, kept inside the bracket [low, high]."""
    while True:
        at = derivatives_at(beta)
        slope, curvature = float(at.first.sum()), float(at.second.sum())
        # f' rises with β, so its sign says on which side the minimum is.
        low, high = (low, beta) if slope > 0 else (beta, high)
        following = beta - slope / curvature if curvature > 0 else np.inf
        if not low < following < high:  # the first steps of Newton's method may overshoot
            following = (low * high) ** 0.5
        # Convergence is quadratic: after a step of 1e-4 the error is of the order of 1e-8.
        if abs(following - beta) <= LAST_STEP * beta:
            return Minimum(following, beta, at)
        beta = following


def fit(predictions: Predictions, seed: int, bootstrap_samples: int) -> tuple[Temperature, Minimum]:
    """T with a 95 % interval over documents. Starts Newton's method from the minimum for a few thousand tokens."""
    first = int(predictions.document[:WARM_START_TOKENS][-1]) + 1
    few = predictions.of_documents([number < first for number in range(predictions.documents)])
    start = minimise(few).beta if first < predictions.documents else 1.0
    minimum = minimise(predictions, start)
    low, high = bootstrap(minimum, seed, bootstrap_samples)
    return Temperature(1 / minimum.beta, 1 / high, 1 / low), minimum


def bootstrap(minimum: Minimum, seed: int, samples: int) -> tuple[float, float]:
    """95 % interval of β over resampled documents, for tokens of a document are not independent.

    Each sample takes one Newton step from near the minimum (Davidson and MacKinnon 1999): no pass over tokens.
    """
    documents = len(minimum.at.first)
    random = np.random.default_rng(seed)
    weights = random.multinomial(documents, np.full(documents, 1 / documents), size=samples)
    slope, curvature = weights @ minimum.at.first.numpy(), weights @ minimum.at.second.numpy()
    betas = np.clip(minimum.near - slope / np.maximum(curvature, 1e-300), BETA_LOW, BETA_HIGH)
    low, high = np.quantile(betas, [0.025, 0.975])
    return float(low), float(high)


def of_each(predictions: Predictions, names: list[str], common: Minimum) -> dict[str, float]:
    """T of the documents of each name alone (``names`` has one per document), from one step off the common minimum."""
    if len(set(names)) == 1:
        return {names[0]: 1 / common.beta}
    found = {}
    for name in sorted(set(names)):
        mine = [other == name for other in names]
        slope, curvature = float(common.at.first[mine].sum()), float(common.at.second[mine].sum())
        start = min(max(common.near - slope / max(curvature, 1e-300), common.near / 4), common.near * 4)
        found[name] = 1 / minimise(predictions.of_documents(mine), start).beta
    return found
