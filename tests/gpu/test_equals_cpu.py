"""The trainer's own step on the GPU: the CPU's in float32, bounded in bfloat16, whatever saves memory or time."""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from small import SMALL
from torch import Tensor
from torch.distributed.tensor import DTensor

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import Batch, make_batch
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.job import Job
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import clip_gradient, make_optimizer
from altiplano.training.trainer import prepare

STEPS, BOS = 5, 511
RECIPE = [*SMALL, "model.num_hidden_layers=3", "batch.sequence_length=256", "batch.tokens=2048"]
RECIPE += ["batch.total_tokens=204800", "optimizer.learning_rate=1e-3"]


@dataclass
class Outcome:
    losses: Tensor
    gradients: dict[str, Tensor]
    """Of the first step, before clipping."""
    weights: dict[str, Tensor]


@pytest.fixture(autouse=True)
def no_process_group() -> Iterator[None]:
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


def recipe_of(precision: str, more: list[str] | None = None) -> Recipe:
    return load_recipe("quickstart", [*RECIPE, f"precision.compute={precision}", *(more or [])])


def batches(recipe: Recipe, count: int) -> Iterator[Batch]:
    generator = np.random.default_rng(0)
    for _ in range(count):
        windows = generator.integers(0, 500, (recipe.batch.sequences, recipe.batch.sequence_length + 1))
        windows[generator.random(windows.shape) < 0.02] = BOS
        yield make_batch(windows, BOS)


def local(tensor: Tensor) -> Tensor:
    return (tensor.to_local() if isinstance(tensor, DTensor) else tensor).detach().double().cpu().clone()


def trained(
    precision: str, device: str, layout: str = "dp1", steps: int = STEPS, recipe: Recipe | None = None
) -> Outcome:
    recipe = recipe or recipe_of(precision)
    mesh = start_mesh(parse_layout(layout), device)
    model = parallelize(recipe, parse_layout(layout), mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    losses, gradients = [], {}
    for number, batch in enumerate(batches(recipe, steps)):
        here = batch.to(mesh.device)
        losses.append(float(model.step(here, len(batch.tokens), batch.valid)))
        if not number:
            gradients = {
                name: local(parameter.grad) for name, parameter in parameters.items() if parameter.grad is not None
            }
        clip_gradient(parameters.values(), recipe.optimizer.max_grad_norm, mesh)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    dist.destroy_process_group()
    return Outcome(
        torch.tensor(losses, dtype=torch.float64), gradients, {name: local(value) for name, value in parameters.items()}
    )


def furthest(ours: dict[str, Tensor], reference: dict[str, Tensor]) -> tuple[float, str]:
    """The largest relative error in norm, and whose."""
    assert ours.keys() == reference.keys()
    return max(
        (float((ours[name] - value).norm() / value.norm().clamp(min=1e-30)), name) for name, value in reference.items()
    )


def test_float32_is_that_of_the_cpu() -> None:
    ours, reference = trained("float32", "cuda"), trained("float32", "cpu")
    assert len(ours.gradients) == len(reference.gradients) > 20
    assert (ours.losses - reference.losses).abs().max() < 2e-6 * reference.losses.max()
    assert furthest(ours.gradients, reference.gradients)[0] < 2e-5
    # AdamW divides by the gradient's size, so that a weight with next to no gradient moves by its rounding.
    assert furthest(ours.weights, reference.weights)[0] < 1e-3


def test_float64_is_that_of_the_cpu() -> None:
    ours, reference = trained("float64", "cuda"), trained("float64", "cpu")
    assert (ours.losses - reference.losses).abs().max() < 1e-11
    assert furthest(ours.gradients, reference.gradients)[0] < 1e-11
    assert furthest(ours.weights, reference.weights)[0] < 1e-8


def test_bfloat16_is_close_to_float32() -> None:
    ours, reference = trained("bfloat16", "cuda"), trained("float32", "cpu")
    assert (ours.losses - reference.losses).abs().max() < 5e-3
    # Gradients come through three layers of products of 8 bits each.
    assert furthest(ours.gradients, reference.gradients)[0] < 5e-2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("layout", ["dp1.recompute-full", "dp1.recompute-selective", "dp1.mb2"])
def test_what_saves_memory_changes_nothing(layout: str, precision: str) -> None:
    ours, reference = trained(precision, "cuda", layout, steps=1), trained(precision, "cuda", steps=1)
    close = 2e-6 if precision == "float32" else 1e-2  # a micro-batch's gradient is rounded before it is added
    assert furthest(ours.gradients, reference.gradients)[0] < (close if "mb2" in layout else 1e-6)


@pytest.mark.parametrize("layout", ["dp1.compile", "dp1.compile.recompute-full", "dp1.compile.recompute-selective"])
def test_compiled_blocks_pass_their_check(layout: str) -> None:
    """``ParallelModel.step`` raises TrainingError when compiling changes the gradient of its first micro-batch."""
    ours, reference = trained("bfloat16", "cuda", layout), trained("bfloat16", "cuda")
    assert (ours.losses - reference.losses).abs().max() < 5e-3


def test_compiled_blocks_pass_their_check_at_8k_without_room_for_scores() -> None:
    """One block's scores of 8,192 tokens at 32 heads are 8.6 GB in float32, which uncompiled FlexAttention writes."""
    more = ["model.num_hidden_layers=2", "model.hidden_size=2048", "model.num_attention_heads=32"]
    more += ["model.num_key_value_heads=8", "model.intermediate_size=1024", "batch.sequence_length=8192"]
    more += ["batch.tokens=16384", "batch.total_tokens=163840"]
    torch.cuda.reset_peak_memory_stats()
    outcome = trained("bfloat16", "cuda", "dp1.compile", steps=2, recipe=recipe_of("bfloat16", more))
    assert outcome.losses.isfinite().all()
    assert torch.cuda.max_memory_allocated() < 5 * 2**30


def test_a_step_waits_for_the_device_a_known_number_of_times(tokenized: Path, tmp_path: Path) -> None:
    """Of the trainer's whole step, from the batch on: whatever is added here stops every step of every run."""
    recipe = load_recipe("quickstart", [*SMALL, "precision.compute=bfloat16"])
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cuda", tokens=tokenized, folder=tmp_path)
    trainer = prepare(job, start_mesh(job.layout, "cuda"), Tokenizer.load(tokenized / "tokenizer").bos)
    for _ in range(3):
        trainer.step(trainer.batch())
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            trainer.step(trainer.batch())
    finally:
        torch.cuda.set_sync_debug_mode("default")
    trainer.close()
    waits = Counter(f"{Path(one.filename).name}:{one.lineno}" for one in caught if "synchroniz" in str(one.message))
    print("waits for the device:", dict(waits))
    assert sum(waits.values()) <= WAITS, waits


def test_batches_come_from_pinned_memory(tokenized: Path, tmp_path: Path) -> None:
    recipe = load_recipe("quickstart", SMALL)
    job = Job(recipe=recipe, layout=parse_layout("dp1"), device="cuda", tokens=tokenized, folder=tmp_path)
    trainer = prepare(job, start_mesh(job.layout, "cuda"), Tokenizer.load(tokenized / "tokenizer").bos)
    trainer.batch()
    assert trainer.ready is not None
    assert next(trainer.ready).tokens.is_pinned()
    trainer.close()


WAITS = 8
