"""The training loop: one step reads top to bottom, the same for every layout."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from altiplano.errors import TrainingError
from altiplano.evaluation.perplexity import HeldoutText, heldout_losses, heldout_text, summarise
from altiplano.parallel.mesh import Mesh
from altiplano.parallel.pipeline import SpreadModel
from altiplano.parallel.spread import parameters_by_name, spread_model
from altiplano.planning.flops import training_flops_per_token
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import TrainingData
from altiplano.tokens.shards import read_shards
from altiplano.training import checkpoint
from altiplano.training.clip import clip_gradient
from altiplano.training.interruption import Interruption
from altiplano.training.loss import token_losses
from altiplano.training.metrics import JsonLines, TerminalLine, matmul_peak, memory_bytes
from altiplano.training.optimizer import learning_rate, make_optimizer


@dataclass
class Trainer:
    """What one process holds of a training run."""

    recipe: Recipe
    layout: Layout
    mesh: Mesh
    data: TrainingData
    heldout: list[HeldoutText]
    model: SpreadModel
    parameters: dict[str, torch.nn.Parameter]
    optimizer: torch.optim.Optimizer
    tensors: dict[str, Any]
    """Weights and moments by name: what a checkpoint holds."""
    bos: int
    first_step: int = 0

    def step(self, step: int) -> dict[str, float]:
        """Optimizer step number ``step`` (from 0), on every process together; what it measured."""
        recipe, samples = self.recipe, self.recipe.batch.samples(step)
        begun = time.monotonic()
        mine = self.layout.share(samples, self.mesh.rank("dp"))
        batch = self.data.batch(mine.start, len(mine)).to(self.mesh.device)
        valid = int(self.mesh.sum(torch.tensor(batch.valid, device=self.mesh.device), "dp"))
        data_seconds = time.monotonic() - begun

        rate = learning_rate(step, recipe.batch.steps, recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = float(self.mesh.sum(self.model.step(batch, len(samples), valid), "dp", "pp"))
        norm = float(clip_gradient(self.parameters.values(), recipe.optimizer.clip_norm, self.mesh))
        if not (abs(loss) < float("inf") and abs(norm) < float("inf")):
            raise TrainingError(
                f"loss {loss} and gradient norm {norm} at step {step + 1}: not numbers any more; "
                "the last checkpoint is kept; lower optimizer.learning_rate or raise optimizer.warmup_steps"
            )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - begun
        return {
            "step": step + 1,
            "tokens": recipe.batch.tokens_after(step + 1),
            "loss": loss,
            "gradient_norm": norm,
            "learning_rate": rate,
            "seconds": seconds,
            "tokens_per_second": len(samples) * recipe.batch.sequence_length / seconds,
            "data_seconds": data_seconds,
        }

    def evaluate(self, step: int) -> dict[str, Any]:
        """Held-out scores after ``step`` steps; each data-parallel rank scores its share of the windows."""
        rank, rows = self.mesh.rank("dp"), self.model.rows
        share = slice(rank * rows, (rank + 1) * rows)

        def reduce(sums: Tensor) -> Tensor:
            return self.mesh.sum(sums.to(self.mesh.device), "dp", "pp").cpu()

        nlls = heldout_losses(self.model.score, self.heldout, self.bos, self.recipe.batch.sequences, share, reduce)
        return {"step": step, "tokens": self.recipe.batch.tokens_after(step), **summarise(self.heldout, nlls)}

    def save(self, folder: Path, step: int, last: bool) -> None:
        facts = {"samples": self.recipe.batch.samples(step).start, "layout": str(self.layout)}
        checkpoint.save(folder / "checkpoints", step, self.tensors, facts, self.recipe.checkpoint.keep, last=last)


def prepare(recipe: Recipe, layout: Layout, mesh: Mesh, tokens: Path, bos: int, folder: Path) -> Trainer:
    """Data, model and optimizer, as at the start or as in the newest sound checkpoint in ``folder``."""
    data = TrainingData(read_shards(tokens, "train"), recipe.batch.sequence_length, bos, recipe.seed)
    heldout = [
        heldout_text(shard, recipe.batch.sequence_length, bos, recipe.evaluation.max_tokens)
        for shard in read_shards(tokens, "heldout")
    ]
    model = spread_model(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.part)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    tensors = checkpoint.training_tensors(parameters, optimizer)
    resumed = checkpoint.load_newest(folder / "checkpoints", tensors)
    first = int(resumed["step"]) if resumed else 0
    checkpoint.set_optimizer_step(parameters, optimizer, first)
    return Trainer(recipe, layout, mesh, data, heldout, model, parameters, optimizer, tensors, bos, first)


def train(
    recipe: Recipe, layout: Layout, mesh: Mesh, tokens: Path, bos: int, folder: Path, *, stop_after: int | None = None
) -> dict[str, Any]:
    """Train to the recipe's last step (or ``stop_after``) from the newest checkpoint in ``folder``, if there is one.

    ``tokens`` is a tokenized folder. Writes ``metrics.jsonl``, ``heldout.jsonl`` and ``checkpoints/`` into ``folder``;
    returns what this session did. Raises TrainingError when the loss is no longer a number.
    """
    interruption = Interruption()
    peak = full_speed(mesh, getattr(torch, recipe.precision.compute))
    trainer = prepare(recipe, layout, mesh, tokens, bos, folder)
    first, steps = trainer.first_step, recipe.batch.steps
    end = min(steps, stop_after or steps)
    flops = training_flops_per_token(recipe.model, recipe.batch.sequence_length)
    observe, observe_heldout = _observers(folder, steps, first)

    if first == 0:
        observe_heldout(trainer.evaluate(0))
    done = first
    while done < end:
        measured = trainer.step(done)
        done += 1
        measured["mfu"] = measured["tokens_per_second"] * flops / peak
        measured["memory_bytes"] = memory_bytes(mesh.device)
        observe(measured)
        if done % recipe.evaluation.interval_steps == 0 or done == steps:
            observe_heldout(trainer.evaluate(done))
        interrupted = interruption.anywhere(mesh)
        if done % recipe.checkpoint.interval_steps == 0 or done == end or interrupted:
            trainer.save(folder, done, last=done == end or interrupted)
        if interrupted:
            break
    interruption.restore()
    return {"first_step": first, "last_step": done, "finished": done >= steps, "matmul_peak_flops": peak}


def full_speed(mesh: Mesh, dtype: torch.dtype) -> float:
    """FLOP/s of all devices together. Ranks on a CPU share it, so the first measures it alone, with every core."""
    if mesh.device.type == "cuda":
        return matmul_peak(mesh.device, dtype) * dist.get_world_size()
    peak = torch.zeros(1, dtype=torch.float64)
    if dist.get_rank() == 0:
        threads = torch.get_num_threads()
        torch.set_num_threads(os.cpu_count() or 1)
        peak[0] = matmul_peak(mesh.device, dtype)
        torch.set_num_threads(threads)
    dist.broadcast(peak, src=0)
    return float(peak)


def _observers(
    folder: Path, steps: int, first: int
) -> tuple[Callable[[dict[str, Any]], None], Callable[[dict[str, Any]], None]]:
    """Writers of metrics and of held-out scores; only the first process writes."""
    if dist.get_rank() != 0:
        return (lambda record: None), (lambda record: None)
    # Scores of step n are of the model after n steps, so those of the checkpoint's own step are already there.
    metrics = JsonLines(folder / "metrics.jsonl", first + 1)
    heldout = JsonLines(folder / "heldout.jsonl", first + 1 if first else 0)
    terminal = TerminalLine(steps, first)

    def observe(record: dict[str, Any]) -> None:
        metrics.write(record)
        terminal.show(record)

    def observe_heldout(record: dict[str, Any]) -> None:
        heldout.write(record)
        terminal.note(f"step {record['step']}: held-out {record['total']['bits_per_byte']:.4f} bits per byte")

    return observe, observe_heldout
