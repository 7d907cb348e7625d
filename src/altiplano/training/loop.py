"""The training loop: one step reads top to bottom, the same for every layout."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from altiplano.training.loss import token_losses
from altiplano.training.metrics import JsonLines, TerminalLine, matmul_peak, memory_bytes
from altiplano.training.optimizer import learning_rate, make_optimizer


@dataclass
class Session:
    """What one process life did, for the run record."""

    first_step: int
    last_step: int
    matmul_peak_flops: float
    finished: bool
    started: str
    ended: str = ""
    seconds: float = 0.0
    step_seconds: list[float] = field(default_factory=list)


class Interruption:
    """Remembers Ctrl-C and SIGTERM, so that the step in progress ends and a checkpoint is saved."""

    def __init__(self) -> None:
        self.signal = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._remember)

    def _remember(self, number: int, frame: object) -> None:
        if self.signal:  # asked twice: now
            raise KeyboardInterrupt
        self.signal = number

    def anywhere(self, mesh: Mesh) -> bool:
        flag = torch.tensor(float(self.signal != 0), device=mesh.device)
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)


def train(
    recipe: Recipe, layout: Layout, mesh: Mesh, tokens: Path, bos: int, folder: Path, *, stop_after: int | None = None
) -> Session:
    """Train until the recipe's last step (or ``stop_after``), from the newest checkpoint in ``folder``, if any.

    ``tokens`` is a tokenized folder. Writes ``metrics.jsonl``, ``heldout.jsonl`` and ``checkpoints/`` into ``folder``.
    Raises TrainingError when the loss is no longer a number.
    """
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    interruption = Interruption()
    compute = getattr(torch, recipe.precision.compute)
    peak = matmul_peak(mesh.device, compute)
    data = TrainingData(read_shards(tokens, "train"), recipe.batch.sequence_length, bos, recipe.seed)
    texts = [
        heldout_text(shard, recipe.batch.sequence_length, bos, recipe.evaluation.max_tokens)
        for shard in read_shards(tokens, "heldout")
    ]
    model = spread_model(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.part)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    state = checkpoint.training_tensors(parameters, optimizer)
    resumed = checkpoint.load_newest(folder / "checkpoints", state)
    first = resumed["step"] if resumed else 0
    checkpoint.set_optimizer_step(parameters, optimizer, first)

    is_writer = dist.get_rank() == 0
    if is_writer:
        # Evaluation "at step n" sees n updates, so the one at the checkpoint's own step was already written.
        metrics, heldout = (
            JsonLines(folder / "metrics.jsonl", first + 1),
            JsonLines(folder / "heldout.jsonl", first + 1),
        )
        terminal = TerminalLine(recipe.batch.steps, first)
    steps, sequences = recipe.batch.steps, recipe.batch.sequences
    rows = sequences // layout.dp
    flops = training_flops_per_token(recipe.model, recipe.batch.sequence_length)
    session = Session(first, first, peak, finished=first >= steps, started=started)

    def evaluate(step: int) -> None:
        scores = evaluate_heldout(model, texts, bos, recipe, mesh)
        if is_writer:
            heldout.write({"step": step, "tokens": step * recipe.batch.tokens, **scores})
            terminal.note(f"step {step}: held-out {scores['total']['bits_per_byte']:.4f} bits per byte")

    if first == 0:
        evaluate(0)
    for step in range(first, steps):
        begun = time.monotonic()
        batch = data.batch(step * sequences + mesh.rank("dp") * rows, rows).to(mesh.device)
        valid = int(mesh.sum(torch.tensor(batch.valid, device=mesh.device), "dp"))
        data_seconds = time.monotonic() - begun

        rate = learning_rate(step, steps, recipe.optimizer)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = float(mesh.sum(model.step(batch, valid), "dp", "pp"))
        norm = float(clip_gradient(parameters.values(), recipe.optimizer.clip_norm, mesh))
        if not (abs(loss) < float("inf") and abs(norm) < float("inf")):
            raise TrainingError(
                f"loss {loss} and gradient norm {norm} at step {step + 1}: not numbers any more; "
                "the last checkpoint is kept; lower optimizer.learning_rate or raise optimizer.warmup_steps"
            )
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

        done = step + 1
        seconds = time.monotonic() - begun
        session.last_step = done
        session.step_seconds.append(seconds)
        if is_writer:
            speed = recipe.batch.tokens / seconds
            record = {
                "step": done,
                "tokens": done * recipe.batch.tokens,
                "loss": loss,
                "gradient_norm": norm,
                "learning_rate": rate,
                "seconds": seconds,
                "tokens_per_second": speed,
                "mfu": speed * flops / (peak * _devices(layout, mesh)),
                "data_seconds": data_seconds,
                "memory_bytes": memory_bytes(mesh.device),
            }
            metrics.write(record)
            terminal.show(record)
        if done % recipe.evaluation.interval_steps == 0 or done == steps:
            evaluate(done)
        stop = interruption.anywhere(mesh) or done == stop_after
        if done % recipe.checkpoint.interval_steps == 0 or done == steps or stop:
            facts = {"samples": done * sequences, "layout": str(layout)}
            checkpoint.save(folder / "checkpoints", done, state, facts, recipe.checkpoint.keep)
        if stop and done < steps:
            break
    session.finished = session.last_step >= steps
    session.ended, session.seconds = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic() - clock
    return session


def evaluate_heldout(
    model: SpreadModel, texts: Sequence[HeldoutText], bos: int, recipe: Recipe, mesh: Mesh
) -> dict[str, Any]:
    """Held-out scores of the model as it is, each data-parallel rank scoring its share of the windows."""
    rank, rows = mesh.rank("dp"), model.rows

    def reduce(sums: Tensor) -> Tensor:
        return mesh.sum(sums.to(mesh.device), "dp", "pp").cpu()

    share = slice(rank * rows, (rank + 1) * rows)
    nlls = heldout_losses(model.score, texts, bos, recipe.batch.sequences, share, reduce)
    return summarise(texts, nlls)


def _devices(layout: Layout, mesh: Mesh) -> int:
    """Processors that share the work: all CPU ranks of one machine share one CPU."""
    return layout.world_size if mesh.device.type == "cuda" else 1
