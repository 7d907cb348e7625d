"""Twenty optimizer steps of a small model, twice: written out plainly for one process, and on a layout."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor

from altiplano.model.attention import Packing, document_packing
from altiplano.model.initial_weights import initial_value
from altiplano.model.llama import Llama
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import IGNORED, Batch, make_batch
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import clip_gradient, learning_rate, make_optimizer

STEPS, SEQUENCE, BOS = 20, 32, 511
MODEL = [
    "model.num_hidden_layers=4",
    "model.hidden_size=64",
    "model.num_attention_heads=8",
    "model.num_key_value_heads=4",
    "model.intermediate_size=96",
    "model.vocab_size=544",
    f"batch.sequence_length={SEQUENCE}",
    f"batch.tokens={8 * SEQUENCE}",
    f"batch.total_tokens={STEPS * 8 * SEQUENCE}",
    "optimizer.warmup_steps=2",
    "optimizer.learning_rate=1e-3",
]
ROWS = {
    "regular": [8] * STEPS,
    "tied": [8] * STEPS,
    # Fewer rows than ranks, odd numbers, short last micro-batches, and growth, as a batch ramp would have it.
    "ragged": [1, 5, 3, 7, 2, 8, 6, 1, 4, 9, 11, 3, 5, 13, 2, 8, 7, 10, 6, 8],
}
ROWS["deep"] = ROWS["ragged"]
ROWS["deeper"] = ROWS["regular"]


@dataclass
class Outcome:
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    """Of every parameter at the first step, before clipping."""
    parameters: dict[str, Tensor] = field(default_factory=dict)
    scores: Tensor | None = None
    """Losses per token [rows, sequence] of one batch of seven rows with the last parameters."""


def recipe_of(kind: str, precision: str) -> Recipe:
    """``kind``: which model (tied, deep, deeper or none of them) and which batches (those of ``ROWS``)."""
    more = {
        "tied": ["model.tie_word_embeddings=true"],
        "deep": ["model.num_hidden_layers=8"],
        "deeper": ["model.num_hidden_layers=10"],
    }.get(kind, [])
    return load_recipe("quickstart", [*MODEL, *more, f"precision.compute={precision}"])


def batches(kind: str, steps: int) -> Iterator[Batch]:
    """Packed documents; in every batch of three rows or more one row predicts nothing at all."""
    generator = np.random.default_rng(0)
    for rows in ROWS[kind][:steps]:
        windows = generator.integers(0, 500, (rows, SEQUENCE + 1))
        windows[generator.random(windows.shape) < 0.1] = BOS
        if rows > 2:
            windows[1] = BOS
        yield make_batch(windows, BOS)


def _pack(multiplied: torch.dtype, document: Tensor | None, dtype: torch.dtype) -> Packing:
    return document_packing(document, multiplied)


def plain(kind: str, precision: str, steps: int) -> Outcome:
    """One process, one model, whole batches, PyTorch's own loss and clipping; nothing of altiplano.parallel."""
    recipe, dtype = recipe_of(kind, precision), getattr(torch, precision)
    model = Llama(recipe.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(initial_value(name, parameter.shape, recipe.model, recipe.seed))
    if precision == "float64":
        model = model.double()
    # Under autocast the embedding's outputs are float32, and what attention gets is bfloat16.
    model.pack_documents = partial(_pack, dtype)
    optimizer = make_optimizer(dict(model.named_parameters()), recipe.optimizer)
    outcome = Outcome()

    def losses(batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            logits = model(batch.tokens, batch.document)
        wide = logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(wide, batch.targets.flatten(), ignore_index=IGNORED, reduction="none")

    for step, batch in enumerate(batches(kind, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, recipe.optimizer)
        loss = losses(batch).sum() / batch.valid
        loss.backward()
        if step == 0:
            outcome.gradients = {name: p.grad.clone() for name, p in model.named_parameters()}  # type: ignore[union-attr]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        outcome.losses.append(float(loss))
        outcome.norms.append(float(norm))
    outcome.parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        batch = take(next(batches("regular", 1)), range(7))
        outcome.scores = losses(batch).view_as(batch.targets)
    return outcome


def spread(layout_text: str, kind: str, precision: str, steps: int) -> Outcome:
    """What this rank knows of the same steps on a layout: its own pipeline stages' parameters, whole."""
    recipe, layout = recipe_of(kind, precision), parse_layout(layout_text)
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    outcome, rank = Outcome(), mesh.rank("dp")
    for step, batch in enumerate(batches(kind, steps)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, recipe.optimizer)
        rows = len(batch.tokens)
        mine = take(batch, layout.share(range(rows), rank))
        valid = int(mesh.sum(torch.tensor(mine.valid), "dp"))
        loss = mesh.sum(model.step(mine, rows, valid), "dp", "pp")
        if step == 0:
            outcome.gradients = {name: whole(p.grad) for name, p in parameters.items()}  # type: ignore[arg-type]
        norm = clip_gradient(parameters.values(), recipe.optimizer.max_grad_norm, mesh)
        # AdamW of PyTorch 2.11 would take a rank's part of a gradient for the whole.
        assert not any("Partial" in str(getattr(p.grad, "placements", "")) for p in parameters.values())
        optimizer.step()
        optimizer.zero_grad()
        outcome.losses.append(float(loss))
        outcome.norms.append(float(norm))
    outcome.parameters = {name: whole(parameter.detach()) for name, parameter in parameters.items()}
    batch = take(next(batches("regular", 1)), range(7))
    here = layout.share(range(len(batch.tokens)), rank)
    scores = model.score(take(batch, here))
    everywhere = torch.zeros(batch.targets.shape, dtype=torch.float64)
    if scores is not None:
        everywhere[here.start : here.stop] = scores
    outcome.scores = mesh.sum(everywhere, "dp", "pp")
    return outcome


def take(batch: Batch, rows: range) -> Batch:
    here = slice(rows.start, rows.stop)
    return Batch(batch.tokens[here], batch.targets[here], batch.document[here])


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()
