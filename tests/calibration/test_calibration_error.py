from itertools import pairwise

import numpy as np
import pytest
import torch

from altiplano.calibration.calibration_error import summary
from altiplano.calibration.predictions import HiddenStates

torch.set_num_threads(1)


def numpy_reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int) -> dict[str, float]:
    """Written from the definitions, apart from the code under test."""
    confidence, guess = probabilities.max(1), probabilities.argmax(1)
    correct = (guess == targets).astype(float)
    edges = np.linspace(0, 1, bins + 1)
    ece = 0.0
    for low, high in pairwise(edges):
        inside = (confidence >= low) & ((confidence < high) | (high == 1))
        if inside.any():
            ece += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    order = np.argsort(confidence, kind="stable")
    adaptive = sum(
        len(part) / len(order) * abs(correct[part].mean() - confidence[part].mean())
        for part in np.array_split(order, bins)
    )
    one_hot = np.eye(probabilities.shape[1])[targets]
    return {
        "nll": -np.log(probabilities[np.arange(len(targets)), targets]).mean(),
        "ece": ece,
        "adaptive_ece": adaptive,
        "brier": ((probabilities - one_hot) ** 2).sum(1).mean(),
        "accuracy": correct.mean(),
        "confidence": confidence.mean(),
    }


@pytest.mark.parametrize(("temperature", "bins"), [(1.0, 15), (2.5, 15), (0.5, 7)])
def test_every_measure_equals_its_definition(temperature: float, bins: int):
    random = torch.Generator().manual_seed(0)
    head, hidden = torch.randn(50, 8, generator=random), torch.randn(4000, 8, generator=random)
    targets = torch.randint(0, 50, (4000,), generator=random)
    targets[::2] = (hidden @ head.T).argmax(-1)[::2]
    predictions = HiddenStates(hidden, targets, torch.zeros(4000, dtype=torch.int64), ["web.en"], head)
    [judged] = predictions.judge([temperature])
    found = summary(judged, bins)
    probabilities = ((hidden @ head.T).double() / temperature).softmax(-1).numpy()
    for name, value in numpy_reliability(probabilities, targets.numpy(), bins).items():
        assert getattr(found, name) == pytest.approx(value, abs=2e-6), name
    assert sum(b.count for b in found.bins) == 4000
    assert [b.low for b in found.bins] == pytest.approx(np.arange(bins) / bins)


def test_labels_drawn_from_the_model_are_reliable():
    random = torch.Generator().manual_seed(0)
    head, hidden = torch.randn(50, 8, generator=random), torch.randn(20000, 8, generator=random)
    targets = torch.multinomial((hidden @ head.T).softmax(-1), 1, generator=random)[:, 0]
    predictions = HiddenStates(hidden, targets, torch.zeros(20000, dtype=torch.int64), ["web.en"], head)
    right, sharp = (summary(judged, 15) for judged in predictions.judge([1.0, 0.4]))
    assert right.ece < 0.02
    assert sharp.ece > 0.05
    assert right.nll < sharp.nll
    assert right.accuracy == sharp.accuracy
