"""Ranks, combined p-values and permutations against enumerations and known distributions."""

import itertools
import math

import numpy as np
import pytest

from altiplano.inference.language_model import LocalModel
from altiplano.redteam.training_data.evidence import combined, completions, exposure, rank_p_values, two_sample_p
from altiplano.redteam.training_data.membership_scores import lowest_mean, membership_scores
from altiplano.redteam.training_data.verbatim import TrainingIndex, repetitions


def test_ranks_and_exposure() -> None:
    scores = np.array([[3.0, 1.0, 2.0, 0.0], [0.0, 3.0, 1.0, 2.0]])
    own, control = rank_p_values(scores)
    assert own.tolist() == [0.25, 1.0] and control.tolist() == [0.75, 0.25]
    assert exposure(own).tolist() == [2.0, 0.0]
    assert rank_p_values(np.zeros((1, 5)))[0].tolist() == [1.0]  # ties tell nothing


def test_combined_is_fisher() -> None:
    assert combined([0.03]) == pytest.approx(0.03)
    product = 0.1 * 0.2
    assert combined([0.1, 0.2]) == pytest.approx(product * (1 - math.log(product)))  # χ² with 4 degrees, by hand
    assert combined([]) == 1.0 and combined([1.0, 1.0]) == 1.0
    uniform = np.random.default_rng(0).random((4000, 5))
    assert np.mean([combined(row) <= 0.05 for row in uniform]) == pytest.approx(0.05, abs=0.012)


def test_two_samples_against_all_labels() -> None:
    first, second = np.array([5.0, 7.0, 2.0]), np.array([1.0, 3.0, 0.0, 4.0])
    values = np.concatenate([first, second])
    ranks = values.argsort().argsort()
    sums = [sum(ranks[list(chosen)]) for chosen in itertools.combinations(range(7), 3)]
    exact = np.mean([one >= sum(ranks[:3]) for one in sums])
    assert two_sample_p(first, second) == pytest.approx(exact, abs=0.01)
    far = np.concatenate([first, [1e9]])
    assert two_sample_p(far, second) == two_sample_p(np.concatenate([first, [8.0]]), second)  # ranks, not values
    assert two_sample_p(second, first) > 0.8 and two_sample_p(np.zeros(0), first) == 1.0


def test_two_samples_keep_their_level() -> None:
    random = np.random.default_rng(1)
    found = [two_sample_p(*random.standard_t(2, (2, 10)), seed=at, two_sided=True) for at in range(400)]
    assert np.mean(np.array(found) <= 0.05) < 0.08


def test_completions_are_sums_of_log_probabilities(ignorant: LocalModel) -> None:
    import torch

    (found,) = completions(ignorant, [("the river", " carries wool")])
    row = ignorant.prompt("the river carries wool")
    begin = len(ignorant.prompt("the river"))
    with torch.inference_mode():
        logs = ignorant.model(torch.tensor([row]))[0].log_softmax(-1)
    wanted = sum(float(logs[at - 1, row[at]]) for at in range(begin, len(row)))
    assert found == pytest.approx(wanted, rel=1e-4)
    longer = " ".join(["the river"] * 200)
    assert np.isfinite(completions(ignorant, [(longer, " carries wool")])).all()


def test_standardised_log_probabilities(ignorant: LocalModel) -> None:
    """Each token's log-probability beside the mean and deviation over the whole vocabulary, summed one by one."""
    import torch

    row = np.array(ignorant.prompt("the cloud sings over the market"))
    ((own, scale),) = ignorant.standardised([row])
    with torch.inference_mode():
        logs = ignorant.model(torch.tensor(row[None]))[0].log_softmax(-1).double().numpy()
    for at in range(1, len(row)):
        chances = np.exp(logs[at - 1])
        mean = sum(p * log for p, log in zip(chances, logs[at - 1], strict=True))
        deviation = math.sqrt(sum(p * (log - mean) ** 2 for p, log in zip(chances, logs[at - 1], strict=True)))
        assert own[at - 1] == pytest.approx(logs[at - 1, row[at]], abs=1e-5)
        assert scale[at - 1] == pytest.approx((logs[at - 1, row[at]] - mean) / deviation, abs=1e-3)
    assert lowest_mean(np.array([5.0, -1.0, 3.0, -2.0, 4.0, 9.0, 9.0, 9.0, 9.0, 9.0])) == -1.5
    scores = membership_scores(ignorant, [row], lambda tokens: -2.0 * (len(tokens) - 1))
    assert scores["reference"] == pytest.approx(scores["loss"] + 2.0)


def test_copies_are_counted_as_a_search_of_every_place_does() -> None:
    random = np.random.default_rng(2)
    piece = random.integers(0, 5, 12)
    tokens = np.concatenate([random.integers(0, 5, 300), piece, random.integers(0, 5, 50), piece, piece])
    rows = np.stack([piece, random.integers(6, 9, 12), tokens[40:52]])
    wanted = [sum((tokens[at : at + 12] == row).all() for at in range(len(tokens) - 11)) for row in rows]
    assert repetitions(tokens, rows).tolist() == wanted and wanted[0] == 3 and wanted[1] == 0
    index = TrainingIndex(tokens)
    assert index.share(piece.tolist()) == 1.0 and index.share(rows[1].tolist()) == 0.0
