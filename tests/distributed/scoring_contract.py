"""What is asked of a model over a mesh is what one process answers: every layout, straight from a sharded checkpoint.

    make contract
    cd tests && python -m distributed.scoring_contract [--precision float32 ...] [--ranks 2 4 ...] [--only pp2] [--few]

prints a table of the largest differences: in nats per token held-out documents (evaluate), losses of the calibration
and log-likelihoods of continuations (red team); relative ones of temperatures and of standardised log-probabilities;
how many rows of generated tokens are others; how many exported files have other bytes. Exits with 1 when one is beyond
its bound.
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from small import SMALL, write_tokenized
from torch import Tensor

from altiplano.calibration.calibrate import calibrate
from altiplano.calibration.predictions import predictor
from altiplano.evaluation.evaluate import document_scores, score_shards
from altiplano.evaluation.perplexity import heldout_text
from altiplano.inference.continuations import Continuation
from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LanguageModel, LocalModel
from altiplano.model.llama import Llama
from altiplano.model.weights import assemble
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import Layout, parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.recipe.schema import CalibrationConfig, CheckpointConfig, Recipe
from altiplano.tokens.loader import make_batch
from altiplano.tokens.shards import read_shards
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.training.checkpoints.checkpoint import of_step
from altiplano.training.checkpoints.export import export_weights
from altiplano.training.checkpoints.loading import load_weights
from altiplano.training.checkpoints.saving import PERMANENT, Saver
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import make_optimizer
from altiplano.training.scoring import over_mesh
from distributed.contract import CASES, Case, in_ranks
from distributed.twenty_steps import take

STEP = 7
COLUMNS = ("evaluate", "calibrate", "temperature", "likelihoods", "standardised", "weights", "said", "files")
BOUNDS = dict.fromkeys(COLUMNS, 1e-5) | {"standardised": 1e-4}
"""In float32, in which one process takes every softmax, too. What is standardised is a difference of nearly equal
numbers, divided by a deviation that may be small: its rounding alone is up to 1.2e-5 with tied embeddings."""
FEW = ("dp2", "tp2", "cp2", "pp2")
"""Layouts of ``--few``: each way to split, of a small model."""


def recipe_of(kind: str, precision: str) -> Recipe:
    more = {
        "tied": ["model.tie_word_embeddings=true"],
        "deeper": ["model.num_hidden_layers=10"],
        "few": ["model.num_hidden_layers=2"],
    }.get(kind, [])
    return load_recipe(
        "quickstart",
        [
            *SMALL,
            "model.num_hidden_layers=8",
            "model.num_attention_heads=8",
            "model.num_key_value_heads=4",
            "optimizer.learning_rate=1e-2",
            f"precision.compute={precision}",
            *more,
        ],
    )


@dataclass
class Answers:
    heldout: np.ndarray
    """Nats per token of documents."""
    calibration: np.ndarray
    temperatures: np.ndarray
    likelihoods: np.ndarray
    """Nats per token of continuations."""
    standardised: np.ndarray
    matrices: list[Tensor]
    said: list[list[int]]

    def apart(self, other: "Answers") -> dict[str, float]:
        def most(a: np.ndarray, b: np.ndarray) -> float:
            return float(np.abs(a - b).max())

        return {
            "evaluate": most(self.heldout, other.heldout),
            "calibrate": most(self.calibration, other.calibration),
            "temperature": most(self.temperatures / other.temperatures, np.ones(1)),
            "likelihoods": most(self.likelihoods, other.likelihoods),
            "standardised": float(
                (np.abs(self.standardised - other.standardised) / np.abs(other.standardised).clip(1)).max()
            ),
            "weights": max(float((a - b).abs().max()) for a, b in zip(self.matrices, other.matrices, strict=True)),
            "said": float(sum(a != b for a, b in zip(self.said, other.said, strict=True))),
        }


def ask(served: LanguageModel, tokens: Path) -> Answers:
    random = np.random.default_rng(0)

    def row(most: int) -> tuple[int, ...]:
        return tuple(random.integers(3, 700, int(random.integers(1, most))).tolist())

    sequence = served.context
    scored = score_shards(served.losses, tokens, sequence=sequence, seed=0, rows=served.windows_at_once)
    documents = [one.nll / one.tokens for one in document_scores(scored)]
    found = calibrate(predictor(served), read_shards(tokens, "heldout"), sequence, CalibrationConfig(max_tokens=400), 0)
    asked = [Continuation(row(30), row(15)) for _ in range(20)]
    likelihoods = served.score_continuations(asked)
    scales = served.standardised([np.array(row(sequence)) for _ in range(10)])
    rows = [Row([*row(20)], Sampling(6, temperature, seed=at)) for at, temperature in enumerate([0.0] * 6 + [0.9] * 6)]
    served.generate(rows)
    return Answers(
        np.array(documents),
        np.array(
            [found.before.nll, found.after.nll, found.before.brier, *(g.nll_after for g in found.groups.values())]
        ),
        np.array([found.temperature, found.temperature_low, *(one.temperature for one in found.domains.values())]),
        np.array([one.logprob / one.tokens for one in likelihoods] + [float(bool(one.greedy)) for one in likelihoods]),
        np.concatenate([np.concatenate(one) for one in scales]),
        [served.matrix("embed_tokens"), served.matrix("lm_head")],
        [row.tokens for row in rows],
    )


def save(recipe: Recipe, folder: Path, layout: Layout, tokens: Path) -> None:
    """A checkpoint after ``STEP`` steps, sharded as by ``layout``; a rank's part of the work. A model that has learned
    nothing would have no temperature."""
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    bos = Tokenizer.load(tokens / "tokenizer").bos
    windows = np.concatenate(
        [heldout_text(s, model.sequence, bos, 500).windows for s in read_shards(tokens, "heldout")]
    )
    batch = make_batch(windows[: len(windows) // layout.dp * layout.dp], bos)
    share = layout.share(range(len(batch.tokens)), mesh.rank("dp"))
    for _ in range(STEP):
        model.step(take(batch, share), len(batch.tokens), batch.valid)
        optimizer.step()
        optimizer.zero_grad()
    tensors = {f"model.{name}": value.detach() for name, value in parameters.items()}
    saver = Saver(folder, tensors, CheckpointConfig())
    saver.copy(STEP, {"samples": 0, "tokens": 0, "updates": 0, "layout": str(layout), "data": ""}, PERMANENT)
    saver.start()
    if (problem := saver.finish()) is not None:
        raise problem


def alone(recipe: Recipe, checkpoint: Path, tokens: Path) -> LocalModel:
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in Llama(recipe.model).named_parameters()}
    state = load_weights(checkpoint, shapes, torch.float32)
    tokenizer = Tokenizer.load(tokens / "tokenizer")
    return LocalModel("alone", assemble(recipe.model, state, "it"), tokenizer, recipe.batch.sequence_length)


def export(recipe: Recipe, checkpoint: Path, tokens: Path, folder: Path) -> None:
    export_weights({STEP: checkpoint}, recipe, Tokenizer.load(tokens / "tokenizer"), folder, shard_bytes=100_000)


def other_files(ours: Path, theirs: Path) -> int:
    names = {file.name for folder in (ours, theirs) for file in folder.iterdir()}
    assert len(names) > 5, names
    sides = [{name: (folder / name).read_bytes() for name in names} for folder in (ours, theirs)]
    return sum(sides[0][name] != sides[1][name] for name in names)


def measure(
    cases: list[Case], precision: str, folder: Path
) -> Iterator[tuple[str, dict[str, float], list[str] | None]]:
    """Name, differences and what is beyond its bound of each case; of bfloat16 first what rounding does alone."""
    tokens = folder / "tokens"
    if not tokens.exists():
        write_tokenized(tokens)
    kinds = sorted({_kind(case) for case in cases})
    recipes = {kind: recipe_of(kind, precision) for kind in kinds}
    places = {kind: of_step(folder / precision / kind, STEP) for kind in kinds}
    for kind in kinds:
        saved_by = parse_layout("tp2" if kind == "few" else "dp2.tp2")
        in_ranks(saved_by.world_size, partial(save, recipes[kind], places[kind].parent, saved_by, tokens))

        def reference(kind: str = kind) -> None:
            torch.set_num_threads(1)
            answers = ask(alone(recipes[kind], places[kind], tokens), tokens)
            torch.save(answers, folder / f"{kind}.pt")
            export(recipes[kind], places[kind], tokens, folder / precision / f"{kind}-alone")

        in_ranks(1, reference)
    plain = {kind: torch.load(folder / f"{kind}.pt", weights_only=False) for kind in kinds}
    own: dict[str, dict[str, float]] = {}
    for ranks in sorted({case.ranks for case in cases}):
        together = [case for case in cases if case.ranks == ranks]

        def work(together: list[Case] = together, ranks: int = ranks) -> None:
            for number, case in enumerate(together):
                kind = _kind(case)
                tokenizer = Tokenizer.load(tokens / "tokenizer")
                with over_mesh(recipes[kind], parse_layout(case.layout), "cpu", [places[kind]], tokenizer) as served:
                    if served is not None:
                        torch.save(ask(served, tokens), folder / f"{ranks}.{number}.pt")
                export(recipes[kind], places[kind], tokens, folder / precision / f"{ranks}.{number}")

        in_ranks(ranks, work)
        for number, case in enumerate(together):
            ours = torch.load(folder / f"{ranks}.{number}.pt", weights_only=False)
            found = ours.apart(plain[_kind(case)])
            found["files"] = other_files(
                folder / precision / f"{ranks}.{number}", folder / precision / f"{_kind(case)}-alone"
            )
            if precision == "bfloat16":
                own.setdefault(_kind(case), found)  # of one rank: what rounding does
                beyond = [name for name in COLUMNS[:5] if found[name] > 4 * own[_kind(case)][name]]
                yield case.name, found, beyond + ["files"] * (found["files"] > 0)
            else:
                yield case.name, found, [name for name in COLUMNS if not found[name] <= BOUNDS[name]]


def _kind(case: Case) -> str:
    return case.kind if case.kind in ("tied", "deeper", "few") else "regular"


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    precisions = ["float32", "bfloat16"]
    options.add_argument("--precision", nargs="+", default=precisions, choices=precisions)
    options.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 4, 8], choices=[1, 2, 4, 8])
    options.add_argument("--only", default="", metavar="TEXT", help="layouts that are spelt with TEXT")
    options.add_argument("--few", action="store_true", help="each way to split, of a small model")
    chosen = options.parse_args()
    cases = [case for case in CASES if case.ranks in chosen.ranks and chosen.only in case.name]
    cases = [*{(case.layout, _kind(case)): case for case in cases}.values()]
    if chosen.few:
        cases = [Case(layout, "few") for layout in FEW]
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    warnings.filterwarnings("ignore", category=UserWarning)
    failures = []
    for precision in chosen.precision:
        if precision == "bfloat16":
            one_rank = [Case("dp1", kind) for kind in sorted({_kind(case) for case in cases})]
            cases = [*dict.fromkeys(one_rank + cases)]
        print(f"\n{precision:32s}" + "".join(f"{column:>14s}" for column in COLUMNS))
        with tempfile.TemporaryDirectory() as name:
            for case, found, beyond in measure(cases, precision, Path(name)):
                cells = "".join(f"{found[c]:13.1e}{'!' if c in (beyond or ()) else ' '}" for c in COLUMNS)
                print(f"{case:32s}{cells}", flush=True)
                failures += [f"{precision} {case}: {', '.join(beyond)}"] if beyond else []
    print("\n".join(["", f"{len(failures)} missed", *failures]))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
