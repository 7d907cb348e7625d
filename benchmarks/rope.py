"""Rotary embeddings in float32, as the model has them, beside cos and sin rounded to bfloat16.

    python benchmarks/rope.py [--repeats 200] [--size 40M]

Prints the error of attention's scores (q · k / √head_dim of unit normal queries and keys in bfloat16, head_dim 128,
θ = 500,000) beside float64, by the positions of the queries; then the processor time of one layer's rotations forward
and backward, both ways in turns, and what the difference is of a training step. One thread.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import torch
from sizes import SIZES, benchmark_recipe
from torch import Tensor

from altiplano.model.llama import Rotary, rotary_frequencies, rotate
from altiplano.parallel.mesh import start_mesh
from altiplano.parallel.parallelize import parallelize
from altiplano.recipe.layout import Layout
from altiplano.tokens.loader import make_batch
from altiplano.training.loss import token_losses

HEAD, THETA, PAIRS, TOKENS = 128, 500_000.0, 100_000, 1024


def in_bfloat16(x: Tensor, rotary: Rotary) -> Tensor:
    """With tables of bfloat16, in which sin of the first half is not negated."""
    cos, sin = rotary
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


def tables(angles: Tensor, dtype: torch.dtype, negated: bool) -> Rotary:
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
    return torch.cat([cos, cos], dim=-1), torch.cat([-sin if negated else sin, sin], dim=-1)


def score_errors(first: int, last: int) -> list[float]:
    """Root mean square, of bfloat16 and of float32."""
    generator = torch.Generator().manual_seed(0)
    q, k = (torch.randn(PAIRS, HEAD, generator=generator).bfloat16() for _ in range(2))
    frequencies = rotary_frequencies(HEAD, THETA, None, torch.device("cpu"))
    angles = [torch.randint(low, last, (PAIRS, 1), generator=generator) * frequencies for low in (first, 0)]

    def scores(way: Callable[[Tensor, Rotary], Tensor], dtype: torch.dtype, table: torch.dtype) -> Tensor:
        negated = way is rotate
        turned = [way(x.to(dtype), tables(a, table, negated)).double() for x, a in zip((q, k), angles, strict=True)]
        return (turned[0] * turned[1]).sum(-1) / HEAD**0.5

    exact = scores(rotate, torch.float64, torch.float64)
    rounded = scores(in_bfloat16, torch.bfloat16, torch.bfloat16), scores(rotate, torch.bfloat16, torch.float32)
    return [float((one - exact).square().mean().sqrt()) for one in rounded]


def seconds(way: Callable[[Tensor, Rotary], Tensor], x: Tensor, rotary: Rotary) -> float:
    begun = time.process_time()
    output = way(x.detach().requires_grad_(), rotary)
    output.backward(torch.ones_like(output))
    return time.process_time() - begun


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--size", choices=SIZES, default="40M")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for first, last in ((0, 1024), (7168, 8192), (130_048, 131_072)):
        rounded, wide = score_errors(first, last)
        print(f"positions up to {last:,}: bfloat16 {rounded:.2e}, float32 {wide:.2e}, {rounded / wide:.2f} times")
    recipe, mesh = benchmark_recipe(options.size, TOKENS, 1), start_mesh(Layout(), "cpu")
    shape = recipe.model
    heads = shape.num_attention_heads + shape.num_key_value_heads
    x = torch.randn(1, TOKENS, heads, shape.head_dim).bfloat16()
    frequencies = rotary_frequencies(shape.head_dim, THETA, None, x.device)
    angles = torch.arange(TOKENS)[:, None, None] * frequencies
    wide_tables, narrow_tables = tables(angles, torch.float32, True), tables(angles, torch.bfloat16, False)
    times: dict[str, list[float]] = {"bfloat16": [], "float32": []}
    for _ in range(options.repeats):
        times["bfloat16"].append(seconds(in_bfloat16, x, narrow_tables))
        times["float32"].append(seconds(rotate, x, wide_tables))
    model = parallelize(recipe, Layout(), mesh, token_losses(None))
    batch = make_batch(torch.randint(1, shape.vocab_size, (1, TOKENS + 1)).numpy(), 0)
    steps = []
    for _ in range(4):
        begun = time.process_time()
        model.step(batch, 1, TOKENS)
        steps.append(time.process_time() - begun)
    step = statistics.median(steps[1:])
    for which in (min, statistics.median):
        a, b = which(times["bfloat16"]), which(times["float32"])
        share = shape.num_hidden_layers * (b - a) / step
        print(f"{which.__name__}: {a * 1e3:.2f} and {b * 1e3:.2f} ms a layer: {share:+.2%} of a step of {step:.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
