"""Loss curves of float8 products beside bfloat16 and float32, on the CPU, which emulates float8's roundings.

    python benchmarks/float8.py [--steps 300] [--seeds 0 1 2]

A Llama of 0.9M parameters reads the bytes of Python's standard library, 1,024 bytes a step: the same batches, initial
weights and learning rates under each precision. Prints a line of JSON for each seed and precision: the mean training
loss in nats a byte of each tenth of the run, and the loss of held-out bytes (files that are not trained on) at the end;
then one for each seed of how far the curves lie apart.
"""

import argparse
import json
import sys
import sysconfig
from pathlib import Path

import numpy as np
import torch

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.recipe.layout import Layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.loader import Batch, make_batch
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import clip_gradient, learning_rate, make_optimizer

ROWS, TOKENS, BOS = 8, 128, 300
PRECISIONS = {
    "float32": ["precision.compute=float32"],
    "bfloat16": [],
    "float8-rowwise": ["precision.matmul=float8-rowwise"],
}


def library_bytes() -> tuple[np.ndarray, np.ndarray]:
    """Of the standard library's files: those to train on, and every twentieth, held out."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    parts = [[f for i, f in enumerate(files) if (i % 20 == 0) is held_out] for held_out in (False, True)]
    trained, held = (np.frombuffer(b"".join(f.read_bytes() for f in some), np.uint8) for some in parts)
    return trained, held


def batch_of(text: np.ndarray, generator: np.random.Generator, rows: int) -> Batch:
    starts = generator.integers(0, len(text) - TOKENS - 1, rows)
    return make_batch(np.stack([text[start : start + TOKENS + 1] for start in starts]).astype(np.int64), BOS)


def curve(precision: str, seed: int, steps: int) -> tuple[list[float], float]:
    """The loss of each training step, and of 64 held-out rows at the end."""
    recipe = load_recipe(
        "quickstart",
        [
            "model.num_hidden_layers=4",
            "model.hidden_size=128",
            "model.num_attention_heads=4",
            "model.num_key_value_heads=2",
            "model.intermediate_size=384",
            "model.vocab_size=528",
            f"batch.sequence_length={TOKENS}",
            f"batch.tokens={ROWS * TOKENS}",
            f"batch.total_tokens={max(steps, 31) * ROWS * TOKENS}",
            "optimizer.learning_rate=2e-3",
            "optimizer.warmup_steps=30",
            f"seed={seed}",
            *PRECISIONS[precision],
        ],
    )
    layout = Layout()
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(None))
    parameters = parameters_by_name(model.parts)
    optimizer = make_optimizer(parameters, recipe.optimizer)
    trained, held = library_bytes()
    generator, losses = np.random.default_rng(seed), []
    for step in range(steps):
        batch = batch_of(trained, generator, ROWS)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, recipe.batch.steps, recipe.optimizer)
        losses.append(float(model.step(batch, ROWS, batch.valid)))
        clip_gradient(parameters.values(), recipe.optimizer.max_grad_norm, mesh)
        optimizer.step()
        optimizer.zero_grad()
    scores = model.score(batch_of(held, np.random.default_rng(0), 64))
    assert scores is not None
    return losses, float(scores.mean())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for seed in options.seeds:
        found = {precision: curve(precision, seed, options.steps) for precision in PRECISIONS}
        for precision, (losses, held) in found.items():
            tenths = [round(float(part.mean()), 4) for part in np.array_split(np.array(losses), 10)]
            line = {"seed": seed, "precision": precision, "tenths": tenths, "held_out": round(held, 4)}
            print(json.dumps(line), flush=True)
        last = {precision: np.array(losses[-options.steps // 10 :]) for precision, (losses, _) in found.items()}
        for a, b in (("float8-rowwise", "bfloat16"), ("bfloat16", "float32")):
            apart = last[a] - last[b]
            print(
                json.dumps(
                    {
                        "seed": seed,
                        "of": f"{a} less {b}",
                        "last_tenth": round(float(apart.mean()), 5),
                        "largest_of_a_step": round(float(np.abs(np.array(found[a][0]) - found[b][0]).max()), 5),
                        "held_out": round(found[a][1] - found[b][1], 5),
                    }
                ),
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
