"""Calibration errors and selective prediction of n items, with 95 % intervals over clusters.

Binned calibration errors are biased upwards: of few items even a calibrated model has some. So an interval is moved to
have the measured value where the resampled ones have their mean, and ``floor`` is the mean error that the same
confidences would show if they were right (consistency resampling, Bröcker and Smith 2007).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.calibration.answers.choices import Choices
from altiplano.calibration.answers.temperature import WEIGHTS_AT_ONCE
from altiplano.calibration.predictions import Judged
from altiplano.records import AnswerScores, Interval, RiskAtCoverage

Measures = dict[str, np.ndarray]
CURVE_POINTS = 100


@dataclass(frozen=True)
class Reliability:
    """Of one way to have probabilities. Arrays [n] in float64; of Platt scaling only the likeliest choice is known."""

    confidence: np.ndarray
    correct: np.ndarray
    nll: np.ndarray | None = None
    brier: np.ndarray | None = None

    @staticmethod
    def of(judged: Judged) -> "Reliability":
        arrays = (judged.confidence, judged.correct, judged.nll, judged.brier)
        return Reliability(*(array.double().numpy() for array in arrays))

    @staticmethod
    def joined(parts: Sequence["Reliability"]) -> "Reliability":
        """Of all parts' items."""
        nll = [one.nll for one in parts if one.nll is not None]
        brier = [one.brier for one in parts if one.brier is not None]
        return Reliability(
            np.concatenate([one.confidence for one in parts]),
            np.concatenate([one.correct for one in parts]),
            np.concatenate(nll) if nll else None,
            np.concatenate(brier) if brier else None,
        )


@dataclass(frozen=True)
class Scored:
    """Measured and resampled values; two of the same items and seed are paired."""

    measured: Measures
    resampled: Measures
    floor: float

    def interval(self, name: str) -> Interval | None:
        return _interval(float(self.measured[name][0]), self.resampled[name]) if name in self.measured else None

    def change(self, before: "Scored", name: str) -> Interval:
        """This one minus ``before``, paired."""
        value = float(self.measured[name][0] - before.measured[name][0])
        return _interval(value, self.resampled[name] - before.resampled[name], above_zero=False)

    def record(self) -> AnswerScores:
        values = {name: self.interval(name) for name in self.measured}
        return AnswerScores.model_validate({**values, "ece_floor": self.floor})


def score(one: Reliability, choices: Choices, bins: int, draws: Sequence[np.ndarray], seed: int) -> Scored:
    """``one`` is of the items of ``choices``, ``draws`` are of ``resamples(choices, …)``."""
    measure = _measures(one, choices, bins)
    clusters = choices.clusters
    parts = [measure(weights) for weights in draws]
    resampled = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Scored(measure(np.ones((1, clusters))), resampled, _floor(one.confidence, bins, len(resampled["ece"]), seed))


def risk_coverage(one: Reliability) -> list[RiskAtCoverage]:
    """How often the likeliest choice is wrong when only the most confident share of items is answered."""
    order, ends = _by_confidence(one.confidence)
    wrong = (1 - one.correct[order]).cumsum()
    kept = ends[np.unique(np.linspace(0, len(ends) - 1, min(CURVE_POINTS, len(ends))).round().astype(int))]
    return [RiskAtCoverage(coverage=float((end + 1) / len(order)), risk=float(wrong[end] / (end + 1))) for end in kept]


def _measures(one: Reliability, choices: Choices, bins: int) -> Callable[[np.ndarray], Measures]:
    """A function of weights [samples, clusters] that gives every measure [samples]."""
    _, place = np.unique(choices.cluster, return_inverse=True)
    clusters = int(place.max()) + 1

    def sums(values: np.ndarray) -> np.ndarray:
        return np.bincount(place, values, minlength=clusters)

    def gaps(bin_of: np.ndarray) -> np.ndarray:
        """Σ accuracy − confidence [clusters, bins]."""
        flat = np.bincount(place * bins + bin_of, one.correct - one.confidence, minlength=clusters * bins)
        return flat.reshape(clusters, bins)

    count = sums(np.ones(len(place)))
    means = {
        "accuracy": sums(one.correct),
        "confidence": sums(one.confidence),
        "brier_top": sums((one.confidence - one.correct) ** 2),
    }
    means |= {"nll": sums(one.nll)} if one.nll is not None else {}
    means |= {"brier": sums(one.brier)} if one.brier is not None else {}
    errors = {"ece": gaps(equal_width(one.confidence, bins)), "adaptive_ece": gaps(equal_count(one.confidence, bins))}
    order, ends = _by_confidence(one.confidence)
    wrong = 1 - one.correct[order]

    def measure(weights: np.ndarray) -> Measures:
        items = weights @ count
        found = {name: weights @ values / items for name, values in means.items()}
        found |= {name: np.abs(weights @ values).sum(1) / items for name, values in errors.items()}
        return found | {"aurc": _aurc(weights[:, place[order]], wrong, ends)}

    return measure


def _aurc(weights: np.ndarray, wrong: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Area under the risk–coverage curve (Geifman et al. 2019) [samples]: the mean, over items, of the share of wrong
    answers among those at least as confident. ``weights`` [samples, n] and ``wrong`` [n] from the most confident."""
    covered = weights.cumsum(1)[:, ends]
    risk = (weights * wrong).cumsum(1)[:, ends] / np.maximum(covered, 1e-300)
    return (np.diff(covered, prepend=0.0) * risk).sum(1) / covered[:, -1]


def _by_confidence(confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Items from the most confident, and the places where a run of equal confidences ends: ties have no order."""
    order = np.argsort(-confidence, kind="stable")
    return order, np.flatnonzero(np.diff(confidence[order], append=-1.0))


def equal_width(confidence: np.ndarray, bins: int) -> np.ndarray:
    """Bin [n] of each confidence."""
    return np.minimum((confidence * bins).astype(int), bins - 1)


def equal_count(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The same, with as many items in each bin."""
    found = np.empty(len(confidence), dtype=int)
    for number, part in enumerate(np.array_split(np.argsort(confidence, kind="stable"), bins)):
        found[part] = number
    return found


def _floor(confidence: np.ndarray, bins: int, samples: int, seed: int) -> float:
    """Mean ECE of independent items that are right as often as ``confidence`` says."""
    random = np.random.default_rng(seed)
    within = np.eye(bins)[equal_width(confidence, bins)]
    at_once = max(1, WEIGHTS_AT_ONCE // len(confidence))
    found = []
    for start in range(0, samples, at_once):
        right = random.random((min(at_once, samples - start), len(confidence))) < confidence
        found.append(np.abs((right - confidence) @ within).sum(1) / len(confidence))
    return float(np.concatenate(found).mean())


def _interval(value: float, resampled: np.ndarray, above_zero: bool = True) -> Interval:
    low, high = np.quantile(resampled, [0.025, 0.975]) + value - resampled.mean()
    return Interval(value=value, low=float(max(low, 0.0) if above_zero else low), high=float(high))
