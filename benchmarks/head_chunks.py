"""Peak memory and processor time of training steps whose head and loss come in pieces of the vocabulary.

    python benchmarks/head_chunks.py [--layouts dp1 hc8] [--tokens 2048] [--vocabulary 128256] [--steps 2]

Each layout has a process of its own, on the CPU, with the same weights and the same batch. Prints a line of JSON for
each: peak resident memory of the process, before the first step and after the last, seconds of processor for the last
step, and the loss of each step.
"""

import argparse
import json
import subprocess
import sys
import time
import warnings

import torch

from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize, parameters_by_name
from altiplano.peak_memory import peak_memory
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.load import load_recipe
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses
from altiplano.training.optimizer import make_optimizer


def measure(text: str, tokens: int, vocabulary: int, steps: int, precision: str) -> dict[str, object]:
    warnings.filterwarnings("ignore")
    shape = [
        "model.num_hidden_layers=2",
        "model.hidden_size=128",
        "model.num_attention_heads=2",
        "model.num_key_value_heads=2",
        "model.intermediate_size=384",
        f"model.vocab_size={vocabulary}",
        f"batch.sequence_length={tokens}",
        f"batch.tokens={tokens}",
        f"batch.total_tokens={100 * tokens}",
        f"precision.compute={precision}",
    ]
    recipe, layout = load_recipe("quickstart", shape), parse_layout(text)
    mesh = start_mesh(layout, "cpu")
    model = parallelize(recipe, layout, mesh, token_losses(mesh.group("tp")))
    optimizer = make_optimizer(parameters_by_name(model.parts), recipe.optimizer)
    windows = torch.randint(1, vocabulary, (1, tokens + 1), generator=torch.Generator().manual_seed(0))
    batch, before, losses, seconds = make_batch(windows.numpy(), 0), peak_memory(), [], 0.0
    for _ in range(steps):
        begun = time.process_time()
        losses.append(float(model.step(batch, 1, tokens)))
        seconds = time.process_time() - begun
        optimizer.step()
        optimizer.zero_grad()
    mib = {"before": before / 2**20, "peak": peak_memory() / 2**20}
    return {
        "layout": text,
        "precision": precision,
        "tokens": tokens,
        "vocabulary": vocabulary,
        "mib": {key: round(value) for key, value in mib.items()},
        "processor_seconds": round(seconds, 2),
        "losses": losses,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layouts", nargs="+", default=["dp1", "hc8"])
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--vocabulary", type=int, default=128_256)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()
    sizes = options.tokens, options.vocabulary, options.steps, options.precision
    if len(options.layouts) == 1:
        print(json.dumps(measure(options.layouts[0], *sizes)), flush=True)
        return 0
    for layout in options.layouts:
        names = ["--tokens", "--vocabulary", "--steps", "--precision"]
        given = [word for pair in zip(names, map(str, sizes), strict=True) for word in pair]
        subprocess.run([sys.executable, __file__, "--layouts", layout, *given], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
