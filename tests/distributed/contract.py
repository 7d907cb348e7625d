"""A layout never changes the mathematics: every layout against one plain process, twenty optimizer steps.

    python tests/distributed/contract.py [--precision float64 ...] [--ranks 2 4 ...] [--json FILE]

prints a table of the largest relative differences in losses, gradient norms, every parameter's gradient at the first
step, every parameter after the last, and losses per token of an evaluation; exits with 1 when one is beyond its bound.
The reference is written out plainly here: it shares the model, not one line of altiplano.parallel.
"""

import argparse
import json
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("OMP_NUM_THREADS", "1")
warnings.filterwarnings("ignore", category=UserWarning)

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.tensor import DTensor

from altiplano.model.init import initial_value
from altiplano.model.llama import Llama
from altiplano.parallel.local import fork_ranks
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.spread import parameters_by_name, spread_model
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import Recipe
from altiplano.tokens.loader import IGNORED, Batch, make_batch
from altiplano.training.clip import clip_gradient
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import learning_rate, make_optimizer

STEPS, SEQUENCE, BOS = 20, 32, 511
MODEL = [
    "model.layers=4",
    "model.width=64",
    "model.heads=8",
    "model.kv_heads=4",
    "model.ffn_width=96",
    "model.vocabulary=544",
    f"batch.sequence_length={SEQUENCE}",
    f"batch.tokens={8 * SEQUENCE}",
    f"batch.total_tokens={STEPS * 8 * SEQUENCE}",
    "optimizer.warmup_steps=2",
    "optimizer.learning_rate=1e-3",
]
REGULAR = [8] * STEPS
# Fewer rows than ranks, odd numbers, short last micro-batches, and growth, as a batch ramp would have it.
RAGGED = [1, 5, 3, 7, 2, 8, 6, 1, 4, 9, 11, 3, 5, 13, 2, 8, 7, 10, 6, 8]


@dataclass(frozen=True)
class Case:
    layout: str
    kind: str = "regular"
    """regular, ragged or tied: which batches and which model."""

    @property
    def name(self) -> str:
        return self.layout + ("" if self.kind == "regular" else f" {self.kind}")


CASES = [
    Case("dp1"),
    Case("mb3", "ragged"),
    Case("recompute-full"),
    Case("recompute-selective"),
    # Each dimension alone.
    Case("dp2"),
    Case("tp2"),
    Case("cp2"),
    Case("pp2"),
    Case("pp2.gpipe"),
    Case("pp2.interleaved"),
    Case("pp2.zbv"),
    Case("dp2.rep2"),
    Case("dp2", "tied"),
    Case("tp2", "tied"),
    Case("cp2", "tied"),
    Case("dp2.mb2", "ragged"),
    Case("cp2.mb2", "ragged"),
    Case("pp2.mb1", "ragged"),
    Case("pp2.interleaved", "ragged"),
    Case("pp2.zbv.mb2", "ragged"),
    Case("tp2.recompute-selective"),
    # Pairs, and sizes of four.
    Case("dp4"),
    Case("dp4.rep2"),
    Case("tp4"),
    Case("cp4"),
    Case("pp4"),
    Case("dp2.tp2"),
    Case("dp2.cp2"),
    Case("dp2.pp2"),
    Case("cp2.tp2"),
    Case("cp2.pp2"),
    Case("tp2.pp2"),
    Case("dp2.pp2.zbv"),
    Case("dp2.pp2.interleaved"),
    Case("cp2.pp2.zbv"),
    Case("tp2.pp2.zbv.recompute-full"),
    Case("dp2.tp2.recompute-selective"),
    Case("dp2.pp2.recompute-selective"),
    Case("dp2.tp2", "tied"),
    Case("dp4", "ragged"),
    Case("dp2.cp2.mb1", "ragged"),
    Case("dp2.pp2.mb1", "ragged"),
    # Three dimensions.
    Case("dp2.tp2.pp2"),
    Case("dp2.cp2.tp2"),
    Case("cp2.tp2.pp2.interleaved"),
    Case("dp2.tp2.pp2.zbv"),
    Case("dp4.rep2.pp2.interleaved"),
    Case("dp2.rep2.cp2.tp2", "ragged"),
    Case("dp2.cp2.pp2.recompute-full", "ragged"),
]


def recipe_of(kind: str, precision: str) -> Recipe:
    tied = ["model.tied_embeddings=true"] * (kind == "tied")
    return load_recipe("quickstart", [*MODEL, *tied, f"precision.compute={precision}"])


def batches(kind: str) -> Iterator[Batch]:
    """Packed documents; in every batch of three rows or more one predicts nothing at all."""
    generator = np.random.default_rng(0)
    for rows in RAGGED if kind == "ragged" else REGULAR:
        windows = generator.integers(0, 500, (rows, SEQUENCE + 1))
        windows[generator.random(windows.shape) < 0.1] = BOS
        if rows > 2:
            windows[1] = BOS
        yield make_batch(windows, BOS)


@dataclass
class Outcome:
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    parameters: dict[str, Tensor] = field(default_factory=dict)
    scores: Tensor | None = None


def plain(kind: str, precision: str) -> Outcome:
    """One process, one model, whole batches, nothing of altiplano.parallel."""
    recipe, dtype = recipe_of(kind, precision), getattr(torch, precision)
    model = Llama(recipe.model)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(initial_value(name, parameter.shape, recipe.model, recipe.seed))
    if precision == "float64":
        model = model.double()
    optimizer = make_optimizer(dict(model.named_parameters()), recipe.optimizer)
    outcome = Outcome()

    def losses(batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16):
            logits = model(batch.tokens, batch.document)
        wide = logits.flatten(0, 1).to(torch.promote_types(logits.dtype, torch.float32))
        return F.cross_entropy(wide, batch.targets.flatten(), ignore_index=IGNORED, reduction="none")

    for step, batch in enumerate(batches(kind)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, recipe.optimizer)
        loss = losses(batch).sum() / max(1, batch.valid)
        loss.backward()
        if step == 0:
            outcome.gradients = {name: p.grad.clone() for name, p in model.named_parameters()}  # type: ignore[union-attr]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        outcome.losses.append(float(loss))
        outcome.norms.append(float(norm))
    outcome.parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        outcome.scores = losses(batch).view_as(batch.targets)
    return outcome


def spread(case: Case, precision: str) -> Outcome:
    """What this rank knows of the same twenty steps on ``case.layout``."""
    recipe, layout = recipe_of(case.kind, precision), parse_layout(case.layout)
    mesh = start_mesh(layout, "cpu")
    model = spread_model(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    outcome, rank = Outcome(), mesh.rank("dp")
    for step, batch in enumerate(batches(case.kind)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, STEPS, recipe.optimizer)
        rows = len(batch.tokens)
        mine = take(batch, layout.share(range(rows), rank))
        valid = int(mesh.sum(torch.tensor(mine.valid), "dp"))
        loss = mesh.sum(model.step(mine, rows, valid), "dp", "pp")
        if step == 0:
            outcome.gradients = {name: whole(p.grad) for name, p in parameters.items()}  # type: ignore[arg-type]
        norm = clip_gradient(parameters.values(), recipe.optimizer.clip_norm, mesh)
        optimizer.step()
        optimizer.zero_grad()
        outcome.losses.append(float(loss))
        outcome.norms.append(float(norm))
    outcome.parameters = {name: whole(parameter.detach()) for name, parameter in parameters.items()}
    scores = model.score(take(batch, range(rows // layout.dp * rank, rows // layout.dp * (rank + 1))))
    everywhere = torch.zeros(batch.targets.shape, dtype=torch.float64)
    if scores is not None:
        everywhere[rows // layout.dp * rank : rows // layout.dp * (rank + 1)] = scores
    outcome.scores = mesh.sum(everywhere, "dp", "pp")
    return outcome


def take(batch: Batch, rows: range) -> Batch:
    here = slice(rows.start, rows.stop)
    return Batch(batch.tokens[here], batch.targets[here], batch.document[here])


def whole(tensor: Tensor) -> Tensor:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


def in_ranks(count: int, work: Callable[[], None]) -> None:
    def run() -> int:
        work()
        torch.distributed.barrier()
        return 0

    code = fork_ranks(count, run)
    if code:
        sys.exit(f"a rank of {count} failed with {code}")


def compute(cases: list[Case], precision: str, folder: Path) -> dict[Case, Outcome]:
    """Outcomes of all cases of one number of ranks, one after the other in the same processes."""
    ranks = parse_layout(cases[0].layout).world_size

    def work() -> None:
        rank = int(os.environ["RANK"])
        for number, case in enumerate(cases):
            outcome = spread(case, precision)
            # The first rank of every pipeline stage holds whole parameters of its own layers.
            if rank % (ranks // parse_layout(case.layout).pp) == 0:
                torch.save(outcome, folder / f"{number}.{rank}.pt")

    in_ranks(ranks, work)
    outcomes = {}
    for number, case in enumerate(cases):
        parts = [torch.load(file, weights_only=False) for file in sorted(folder.glob(f"{number}.*.pt"))]
        outcomes[case] = parts[0]
        for part in parts[1:]:
            assert (part.losses, part.norms) == (parts[0].losses, parts[0].norms), "ranks disagree"
            assert not part.parameters.keys() & outcomes[case].parameters.keys(), "a parameter is on two stages"
            outcomes[case].gradients |= part.gradients
            outcomes[case].parameters |= part.parameters
    for file in folder.iterdir():
        file.unlink()
    return outcomes


def differences(ours: Outcome, reference: Outcome) -> dict[str, float]:
    """Largest relative differences; of tensors, the norm of the difference over the norm of the reference."""

    def numbers(a: list[float], b: list[float]) -> float:
        return max(abs(x - y) / abs(y) if math.isfinite(x) else math.inf for x, y in zip(a, b, strict=True))

    def tensors(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
        assert a.keys() == b.keys(), a.keys() ^ b.keys()
        return max(float((a[name] - b[name]).norm() / b[name].norm()) for name in b)

    assert ours.scores is not None
    assert reference.scores is not None
    return {
        "loss": numbers(ours.losses, reference.losses),
        "gradient norm": numbers(ours.norms, reference.norms),
        "gradients": tensors(ours.gradients, reference.gradients),
        "parameters": tensors(ours.parameters, reference.parameters),
        "scores": float((ours.scores - reference.scores).norm() / reference.scores.norm()),
    }


COLUMNS = ("loss", "gradient norm", "gradients", "parameters", "scores")
BOUNDS = {
    "float64": dict.fromkeys(COLUMNS, 1e-9),
    "float32": dict.fromkeys(COLUMNS, 1e-5),
    "bfloat16": {"loss": 1e-2, "gradient norm": 1e-1, "gradients": 1e-1, "parameters": 1e-1, "scores": 1e-1},
}


def measure(precision: str, ranks: list[int]) -> Iterator[tuple[Case, dict[str, float]]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kinds = sorted({case.kind for case in CASES})
        in_reference = folder / "reference.pt"

        def reference() -> None:
            torch.save({kind: plain(kind, precision) for kind in kinds}, in_reference)

        def alone() -> int:
            reference()
            return 0

        if fork_ranks(1, alone):
            sys.exit("the reference failed")
        references = torch.load(in_reference, weights_only=False)
        in_reference.unlink()
        for count in ranks:
            cases = [case for case in CASES if parse_layout(case.layout).world_size == count]
            for case, outcome in compute(cases, precision, folder).items():
                yield case, differences(outcome, references[case.kind])


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--precision", nargs="+", default=list(BOUNDS), choices=list(BOUNDS))
    options.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4, 8])
    options.add_argument("--json", type=Path, help="also write the differences here")
    chosen = options.parse_args()
    results: list[dict[str, Any]] = []
    for precision in chosen.precision:
        bounds = BOUNDS[precision]
        print(f"\n{precision:32s}" + "".join(f"{column:>15s}" for column in COLUMNS))
        print(f"{'bound':32s}" + "".join(f"{bounds[column]:15.0e}" for column in COLUMNS))
        for case, found in measure(precision, chosen.ranks):
            missed = [column for column in COLUMNS if not found[column] <= bounds[column]]
            cells = "".join(f"{found[column]:14.1e}{'!' if column in missed else ' '}" for column in COLUMNS)
            print(f"{case.name:32s}{cells}", flush=True)
            results.append({"precision": precision, "case": case.name, "missed": missed, **found})
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    missed = [f"{r['precision']} {r['case']}: {', '.join(r['missed'])}" for r in results if r["missed"]]
    print(f"\n{len(results)} contracts, {len(missed)} missed")
    for line in missed:
        print(f"  {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
