"""The parts of a training step against formulas written down another way."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from altiplano.errors import InputError
from altiplano.model.llama import Llama
from altiplano.planning.model_size import training_flops_per_token
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import OptimizerConfig, Recipe
from altiplano.records import StepMetrics
from altiplano.tokens.loader import IGNORED
from altiplano.training import metrics
from altiplano.training.job import Job
from altiplano.training.loss import token_losses
from altiplano.training.metrics import MetricsWriter, drop_later
from altiplano.training.optimizer import learning_rate, make_optimizer
from altiplano.training.supervisor import fewer_ranks
from altiplano.training.trainer import prepare


def test_learning_rate_of_the_source_recipe() -> None:
    recipe = load_recipe("llama-3.1-405b")
    steps, settings = recipe.batch.steps, recipe.optimizer
    assert learning_rate(0, steps, settings) == pytest.approx(1.5e-4 / 8000)
    assert learning_rate(7999, steps, settings) == pytest.approx(1.5e-4)
    assert learning_rate(8000, steps, settings) == pytest.approx(1.5e-4)
    middle = (8000 + steps - 1) // 2
    assert learning_rate(middle, steps, settings) == pytest.approx((1.5e-4 + 1.5e-6) / 2, rel=1e-4)
    assert learning_rate(steps - 1, steps, settings) == pytest.approx(1.5e-6)
    rates = [learning_rate(step, steps, settings) for step in range(0, steps, 997)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_a_run_of_one_step_has_a_rate() -> None:
    assert learning_rate(0, 1, OptimizerConfig(learning_rate=1.0, warmup_steps=0)) == 1.0


def test_adamw_equals_its_formula_and_decays_matrices_only(small_recipe: Recipe) -> None:
    settings = small_recipe.optimizer
    generator = torch.Generator().manual_seed(0)
    matrix = torch.nn.Parameter(torch.randn(5, 3, generator=generator, dtype=torch.float64))
    vector = torch.nn.Parameter(torch.randn(4, generator=generator, dtype=torch.float64))
    optimizer = make_optimizer({"matrix": matrix, "vector": vector}, settings)
    expected = {}
    for parameter, decay in ((matrix, settings.weight_decay), (vector, 0.0)):
        m = v = torch.zeros_like(parameter)
        w = parameter.detach().clone()
        for t in range(1, 4):
            g = torch.sin(w * t)
            m, v = settings.beta1 * m + (1 - settings.beta1) * g, settings.beta2 * v + (1 - settings.beta2) * g * g
            step = (m / (1 - settings.beta1**t)) / ((v / (1 - settings.beta2**t)).sqrt() + settings.eps)
            w = w * (1 - settings.learning_rate * decay) - settings.learning_rate * step
        expected[parameter] = w
    for t in range(1, 4):
        for parameter in (matrix, vector):
            parameter.grad = torch.sin(parameter.detach() * t)
        optimizer.step()
    for parameter, value in expected.items():
        torch.testing.assert_close(parameter.detach(), value, rtol=1e-12, atol=1e-12)


def test_losses_are_cross_entropy_and_ignore_what_is_not_predicted() -> None:
    logits = torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(0, 11, (2, 5), generator=torch.Generator().manual_seed(1))
    targets[0, 3] = IGNORED
    losses = token_losses(None)(logits.bfloat16(), targets)
    assert losses.dtype == torch.float32
    assert losses[0, 3] == 0
    wide = logits.bfloat16().double()
    expected = -(wide - wide.logsumexp(-1, keepdim=True))[1, 2, targets[1, 2]]
    assert losses[1, 2].item() == pytest.approx(expected.item(), rel=1e-6)


def test_flops_equal_pytorchs_count_of_matrix_products(small_recipe: Recipe) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    shape, sequence = small_recipe.model, 32
    model = Llama(shape)
    tokens = torch.zeros(2, sequence, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(tokens).sum().backward()
    products = sum(count for name, count in counter.get_flop_counts()["Global"].items() if "mm" in str(name))
    attention = 3 * shape.num_hidden_layers * 4 * sequence * shape.hidden_size
    ours = training_flops_per_token(shape, sequence, causal=False) - attention
    assert products == ours * tokens.numel()


def test_flops_conventions_of_the_405b_model() -> None:
    """Both conventions as worked out by hand from the published shape, in TFLOP per token at 8,192."""
    shape = load_recipe("llama-3.1-405b").model
    assert training_flops_per_token(shape, 8192) == pytest.approx(2.5240e12, rel=1e-4)
    assert training_flops_per_token(shape, 8192, causal=False) == pytest.approx(2.6254e12, rel=1e-4)


def test_metrics_drop_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    record = StepMetrics(
        step=1,
        tokens=2,
        loss=math.pi,
        gradient_norm=math.nan,
        learning_rate=0.1,
        seconds=1.0,
        data_seconds=0.0,
        tokens_per_second=2.0,
        mfu=0.5,
        memory_bytes=1,
    )
    for step in range(1, 8):
        record.model_copy(update={"step": step}).append(path)
    with path.open("a") as file:
        file.write('{"step": 8, "lo')  # killed while writing
    drop_later(StepMetrics, path, 6)
    record.model_copy(update={"step": 6}).append(path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert {(line["loss"], line["gradient_norm"]) for line in lines} == {(math.pi, None)}  # JSON has no NaN


def test_steps_that_no_record_tells_of_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics.dist, "get_rank", lambda: 0)
    recipe = SimpleNamespace(name="a", batch=SimpleNamespace(steps=9))
    job: Any = SimpleNamespace(folder=tmp_path, log_to=(), recipe=recipe)
    for step in (1, 2, 3, 6, 7):
        StepMetrics(step=step, tokens=2, loss=1.0, gradient_norm=1.0, learning_rate=0.1).append(
            tmp_path / "metrics.jsonl"
        )
    MetricsWriter(job, 7)
    assert "no record of 2 of the 7 steps before this one (the first is step 4)" in capsys.readouterr().err
    MetricsWriter(job, 3)
    assert capsys.readouterr().err == ""


def test_a_smaller_layout_loses_a_rank_or_a_whole_copy_of_the_weights() -> None:
    smaller = [str(fewer_ranks(parse_layout(text))) for text in ("dp4.tp2", "dp4.rep2.cp2", "dp6.rep3", "pp2")]
    assert smaller == ["dp3.tp2.pp1", "dp2.tp1.pp1.cp2", "dp4.tp1.pp1.rep2", "dp1.tp1.pp2"]
    for text in smaller:
        parse_layout(text)


@pytest.mark.parametrize(("layout", "key"), [("tp2", "tp"), ("hc4", "head_chunks")])
def test_a_loss_of_ones_own_needs_all_logits_of_a_token(layout: str, key: str, small_recipe: Recipe) -> None:
    job = Job(recipe=small_recipe, layout=parse_layout(layout), device="cpu", tokens=Path(), folder=Path())
    mesh: Any = None  # refused before it is asked
    with pytest.raises(InputError, match=f"a loss of your own needs {key} = 1"):
        prepare(job, mesh, bos=1, loss=lambda logits, targets: logits.sum(-1))
