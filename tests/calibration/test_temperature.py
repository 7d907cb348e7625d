import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from altiplano.calibration.predictions import HiddenStates
from altiplano.calibration.temperature import bootstrap, fit, minimise, of_each

torch.set_num_threads(1)
VOCABULARY, WIDTH = 80, 12


def synthetic(documents: int = 60, tokens: int = 50, seed: int = 0) -> HiddenStates:
    """Predictions whose labels are drawn from the model itself: calibrated by construction."""
    random = torch.Generator().manual_seed(seed)
    head = torch.randn(VOCABULARY, WIDTH, generator=random)
    hidden = torch.randn(documents * tokens, WIDTH, generator=random)
    targets = torch.multinomial((hidden @ head.T).softmax(-1), 1, generator=random)[:, 0]
    document = torch.arange(documents).repeat_interleave(tokens)
    return HiddenStates(hidden, targets, document, ["web.en"] * documents, head)


def mean_nll(predictions: HiddenStates, beta: float) -> float:
    logprobs = (beta * (predictions.hidden @ predictions.head.T)).double().log_softmax(-1)
    return float(-logprobs.gather(-1, predictions.targets[:, None]).mean())


def test_a_calibrated_model_keeps_temperature_one():
    predictions = synthetic()
    found = fit(predictions, seed=0, bootstrap_samples=300)[0]
    assert found.low < 1 < found.high
    assert found.high - found.low < 0.2
    assert found.low < found.value < found.high


@pytest.mark.parametrize("sharpening", [0.4, 1.8, 6.0])
def test_sharpened_logits_need_that_temperature(sharpening: float):
    predictions = synthetic(seed=0)
    plain = fit(predictions, seed=0, bootstrap_samples=200)[0]
    sharp = fit(replace(predictions, head=predictions.head * sharpening), seed=0, bootstrap_samples=200)[0]
    assert sharp.value == pytest.approx(sharpening * plain.value, rel=1e-4)
    assert sharp.low < sharpening < sharp.high


def test_derivatives_are_those_of_the_loss():
    predictions = synthetic(documents=5)
    beta, step = 0.8, 1e-3
    at = predictions.derivatives(beta)
    below, here, above = (mean_nll(predictions, b) for b in (beta - step, beta, beta + step))
    count = len(predictions.targets)
    assert float(at.nll.sum()) / count == pytest.approx(here, abs=1e-6)
    assert float(at.first.sum()) / count == pytest.approx((above - below) / (2 * step), abs=1e-5)
    assert float(at.second.sum()) / count == pytest.approx((above - 2 * here + below) / step**2, rel=1e-2)


def test_newton_agrees_with_lbfgs_and_with_brute_force():
    predictions = synthetic(seed=2)
    predictions = replace(predictions, head=predictions.head * 1.9)
    beta = minimise(predictions).beta

    grid = np.linspace(0.3, 0.8, 501)
    brute = grid[np.argmin([mean_nll(predictions, b) for b in grid])]
    assert beta == pytest.approx(brute, abs=0.0011)

    logits = (predictions.hidden @ predictions.head.T).double()
    log_temperature = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=100, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), predictions.targets)
        value.backward()
        return value

    optimizer.step(loss)
    assert 1 / beta == pytest.approx(float(log_temperature.detach().exp()), rel=1e-4)


def test_a_far_start_and_a_hopeless_case_stay_inside_the_bracket():
    predictions = synthetic(documents=4)
    assert minimise(predictions, beta=15.0).beta == pytest.approx(minimise(predictions).beta, rel=1e-6)
    right = replace(predictions, targets=(predictions.hidden @ predictions.head.T).argmax(-1))
    assert minimise(right).beta == pytest.approx(20.0, rel=1e-3)  # never wrong: the sharpest that is allowed


def test_one_newton_step_per_sample_equals_refitting_it():
    predictions = synthetic(documents=40, seed=3)
    minimum = minimise(predictions)
    low, high = bootstrap(minimum, seed=5, samples=60)
    random = np.random.default_rng(5)
    weights = random.multinomial(40, np.full(40, 1 / 40), size=60)
    refitted = []
    for weight in weights:
        rows = torch.cat([torch.nonzero(predictions.document == d)[:, 0].repeat(int(w)) for d, w in enumerate(weight)])
        of = {name: getattr(predictions, name)[rows] for name in ("hidden", "targets", "document")}
        refitted.append(minimise(replace(predictions, **of), minimum.beta).beta)
    assert [low, high] == pytest.approx(np.quantile(refitted, [0.025, 0.975]).tolist(), abs=3e-3)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        predictions = synthetic(documents=40, tokens=10, seed=100 + seed)
        found = fit(predictions, seed=seed, bootstrap_samples=200)[0]
        covered += found.low <= 1 <= found.high
    assert 50 <= covered <= 60  # 57 expected; 50 or fewer has a chance below 0.1 %


def test_each_domain_alone_has_the_temperature_of_a_fit_of_its_own():
    predictions = synthetic(seed=4)
    names = ["web" if number % 3 else "code" for number in range(predictions.documents)]
    common = minimise(predictions)
    found = of_each(predictions, names, common)
    for name in ("web", "code"):
        own = minimise(predictions.of_documents([other == name for other in names]))
        assert found[name] == pytest.approx(1 / own.beta, rel=1e-6)
    assert of_each(predictions, ["web"] * predictions.documents, common) == {"web": 1 / common.beta}


def test_documents_side_by_side_are_not_copied():
    predictions = synthetic(documents=6, tokens=10)
    some = predictions.of_documents([False, True, True, False, False, False])
    assert some.hidden.data_ptr() == predictions.hidden[10:].data_ptr() and len(some.targets) == 20
    apart = predictions.of_documents([True, False, True, False, False, False])
    assert torch.equal(apart.hidden, torch.cat([predictions.hidden[:10], predictions.hidden[20:30]]))
    assert apart.document.tolist() == [0] * 10 + [1] * 10
    assert len(predictions.of_documents([False] * 6).targets) == 0


@pytest.mark.slow
def test_the_vocabulary_of_llama_3_takes_no_memory_of_its_own():
    script = Path(__file__).parents[2] / "benchmarks/temperature_memory.py"
    arguments = [sys.executable, str(script), "--tokens", "512", "--hidden-size", "1024", "--limit-gib", "2"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["peak_gib"] - found["before_gib"] < 0.2 < found["logits_of_all_gib"]
