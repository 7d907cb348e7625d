"""How far stated probabilities can be trusted: calibration errors and their company, from one pass over tokens."""

import torch

from altiplano.calibration.predictions import Judged
from altiplano.records import ReliabilityBin, ReliabilityCurve


def expected_calibration_error(judged: Judged, bins: int) -> float:
    """Mean |accuracy − confidence| over bins of equal width, weighted by their tokens (Naeini et al. 2015)."""
    return sum(b.count * abs(b.accuracy - b.confidence) for b in diagram(judged, bins)) / len(judged.nll)


def adaptive_calibration_error(judged: Judged, bins: int) -> float:
    """The same over bins of equal count (Nixon et al. 2019), for most tokens have little confidence."""
    order = judged.confidence.argsort(stable=True)
    confidence, correct = judged.confidence[order].double(), judged.correct[order].double()
    parts = zip(confidence.tensor_split(bins), correct.tensor_split(bins), strict=True)
    gaps = [len(c) * abs(float(a.mean() - c.mean())) for c, a in parts if len(c)]
    return sum(gaps) / len(order)


def diagram(judged: Judged, bins: int) -> list[ReliabilityBin]:
    """The reliability diagram: bins of equal width of confidence, empty ones included with zeros."""
    places = (judged.confidence * bins).long().clamp(max=bins - 1)
    count = torch.bincount(places, minlength=bins)
    confidence = torch.bincount(places, judged.confidence.double(), minlength=bins) / count.clamp(min=1)
    accuracy = torch.bincount(places, judged.correct.double(), minlength=bins) / count.clamp(min=1)
    return [
        ReliabilityBin(
            low=place / bins,
            high=(place + 1) / bins,
            count=int(count[place]),
            confidence=float(confidence[place]),
            accuracy=float(accuracy[place]),
        )
        for place in range(bins)
    ]


def summary(judged: Judged, bins: int) -> ReliabilityCurve:
    """What ``calibration.json`` says of one temperature."""
    return ReliabilityCurve(
        nll=float(judged.nll.double().mean()),
        ece=expected_calibration_error(judged, bins),
        adaptive_ece=adaptive_calibration_error(judged, bins),
        brier=float(judged.brier.double().mean()),
        accuracy=float(judged.correct.double().mean()),
        confidence=float(judged.confidence.double().mean()),
        bins=diagram(judged, bins),
    )
