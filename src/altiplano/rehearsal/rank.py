"""One rehearsed rank: it reads its job from standard input and prints what it measured as JSON."""

import json
import os
import sys
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from altiplano.parallel.parallelize import allocate, compute_type, parameters_by_name, shape_parts
from altiplano.parallel.pipeline import ParallelModel
from altiplano.peak_memory import peak_memory
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.rehearsal.fake_process_group import fake_tensors, join_fake_group, use_gathered_sequences
from altiplano.rehearsal.recorded import Keeper, SentCounter
from altiplano.tokens.loader import Batch
from altiplano.training.checkpoints.loading import training_tensors
from altiplano.training.job import Job
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import clip_gradient, make_optimizer


def rehearse_rank(recipe: Recipe, layout: Layout, pipeline_rank: int) -> dict[str, Any]:
    """One optimizer step of the first rank of pipeline rank ``pipeline_rank``.

    Returns parameters (elements), state_bytes, activation_bytes (peak), collectives as lists of
    kind, group, bytes and count; seconds and process_bytes are the rehearsal's own.
    """
    begun = time.monotonic()
    mesh = join_fake_group(layout, pipeline_rank * layout.world_size // layout.pp)
    parts = shape_parts(recipe, layout, mesh)
    model = ParallelModel(
        parts, layout, mesh, recipe.batch.sequence_length, compute_type(recipe), token_losses(mesh.group("tp"))
    )
    for part in parts:
        use_gathered_sequences(part, layout)
    sent, kept = SentCounter(mesh), Keeper()
    with fake_tensors():
        for part in parts:
            allocate(part, mesh.device)
        parameters = parameters_by_name(parts)
        optimizer = make_optimizer(parameters, recipe.optimizer)
        tensors = training_tensors(parameters, optimizer)
        with sent, kept.watching(parts):
            model.step(_batch(recipe, layout), recipe.batch.sequences, recipe.batch.tokens)
        clip_gradient(parameters.values(), recipe.optimizer.max_grad_norm, mesh)
        gradients = [one.grad for one in parameters.values() if one.grad is not None]
        optimizer.step()
        state = [*tensors.values(), *gradients]
    return {
        "parameters": sum(local(one).numel() for one in parameters.values()),
        "state_bytes": sum(local(one).numel() * one.element_size() for one in state),
        "activation_bytes": kept.peak,
        "collectives": [[*key, times] for key, times in sorted(sent.found.items())],
        "seconds": time.monotonic() - begun,
        "process_bytes": peak_memory(),
    }


def _batch(recipe: Recipe, layout: Layout) -> Batch:
    rows = len(layout.share(range(recipe.batch.sequences), 0))
    whole = torch.zeros(rows, recipe.batch.sequence_length, dtype=torch.int64)
    return Batch(whole, whole.clone(), whole.clone())


def local(tensor: Any) -> Tensor:
    return getattr(tensor, "_local_tensor", tensor)


def _rehearsed(recipe: Recipe, layout: Layout, job: dict[str, Any]) -> dict[str, Any]:
    if job["kind"] == "step":
        return rehearse_rank(recipe, layout, job["rank"])
    if job["kind"] == "start":
        from altiplano.rehearsal.start import rehearse_start

        phases = rehearse_start(recipe, layout, job["rank"], Path(job["tokens"]), Path(job["folder"]))
        return {"phases": phases}
    from altiplano.rehearsal.life import live

    tokens, folder = Path(job["tokens"]), Path(job["folder"])
    with redirect_stdout(sys.stderr):
        lived = live(Job(recipe=recipe, layout=layout, device="cuda", tokens=tokens, folder=folder), job["rank"])
    return vars(lived)  # counters are dictionaries


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    job = json.load(sys.stdin)
    recipe, layout = Recipe.model_validate(job["recipe"]), Layout.model_validate(job["layout"])
    print(json.dumps(_rehearsed(recipe, layout, job)), flush=True)
    os._exit(0)  # an interpreter that shuts down with process groups sometimes aborts
