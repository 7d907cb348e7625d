"""How far stated probabilities can be trusted: calibration errors and their company, from one pass over tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from altiplano.calibration.predictions import Predictions
from altiplano.calibration.temperature import LOGITS_AT_ONCE
from altiplano.records import ReliabilityBin, ReliabilityCurve


@dataclass(frozen=True)
class Judged:
    """Of each of n tokens at one temperature: the model's top probability and whether it was right, the loss in nats,
    the Brier score Σ_k (p_k − [k = y])² (Brier 1950), and the token it thought likeliest."""

    confidence: Tensor
    correct: Tensor
    nll: Tensor
    brier: Tensor
    likeliest: Tensor

    def of(self, chosen: Tensor) -> "Judged":
        return Judged(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @staticmethod
    def joined(parts: Sequence["Judged"]) -> "Judged":
        return Judged(*(torch.cat([getattr(one, name) for one in parts]) for name in Judged.__dataclass_fields__))


@torch.inference_mode()
def judge(predictions: Predictions, head: Tensor, temperatures: list[float]) -> list[Judged]:
    """Judge every token at every temperature, making its logits once. Softmax in float32."""
    count = len(predictions.targets)
    # Room for the results is made first: small tensors left between large ones would keep the allocator from using
    # the room of one chunk's logits for the next, and memory would grow by a chunk's logits with every chunk.
    numbers = torch.empty(len(temperatures), 3, count)
    guesses = torch.empty(len(temperatures), count, dtype=torch.int64)
    chunk = max(1, LOGITS_AT_ONCE // len(head))
    for start in range(0, count, chunk):
        place = slice(start, start + chunk)
        logits = predictions.hidden[place] @ head.T
        targets = predictions.targets[place, None]
        for found, guess, temperature in zip(numbers, guesses, temperatures, strict=True):
            logprobs = (logits / temperature).log_softmax(-1)
            top, guess[place] = logprobs.max(-1)
            nll = -logprobs.gather(-1, targets)[:, 0]
            squares = logprobs.exp_().square_().sum(-1)
            found[:, place] = torch.stack([top.exp(), nll, squares - 2 * (-nll).exp() + 1])
    return [
        Judged(confidence, guess == predictions.targets, nll, brier, guess)
        for (confidence, nll, brier), guess in zip(numbers, guesses, strict=True)
    ]


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
