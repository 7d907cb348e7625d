"""Seconds of one block's and of the head's work on one device, for one micro-batch: products, attention, the rest.

A matrix product of M × K by K × N runs at a share of the peak that falls for small dimensions and for the last,
unfilled wave of tiles over the multiprocessors; attention at a share that ramps up with the row; norms, activations
and residuals at memory bandwidth.
"""

import math
from dataclasses import dataclass

from altiplano.planning.case import Case
from altiplano.planning.stacks import Chip, Stack, physics
from altiplano.planning.step_time import cpu

TILE = (128, 256)


def product_seconds(chip: Chip, stack: Stack, precision: str, m: float, n: float, k: float) -> float:
    """One product of an m × k by a k × n matrix."""
    if min(m, n, k) <= 0:
        return 0.0
    fixed = physics()
    flops = 2.0 * m * n * k
    waves = math.ceil(m / TILE[0]) * math.ceil(n / TILE[1]) / chip.units if chip.units else 99.0
    filled = 1.0 if waves > 12 else math.sqrt(waves / math.ceil(waves))
    # Narrow products load their tiles too rarely; what half of the full speed needs scales with the chip's speed.
    scale = chip.peak(precision) / 989e12
    ramp = m / (m + fixed["product_half_m"] * scale) * n / (n + fixed["product_half_n"] * scale)
    ramp *= k / (k + fixed["product_half_k"] * scale)
    share = chip.share(precision) * stack.matmul * (stack.matmul_fp8 if precision == "fp8" else 1.0)
    return flops / (chip.peak(precision) * min(0.97, share) * filled * ramp)


@dataclass(frozen=True)
class Work:
    """Forward and backward seconds of products, attention and elementwise work."""

    products: tuple[float, float]
    attention: tuple[float, float]
    elementwise: tuple[float, float]

    @property
    def forward(self) -> float:
        return self.products[0] + self.attention[0] + self.elementwise[0]

    @property
    def backward(self) -> float:
        return self.products[1] + self.attention[1] + self.elementwise[1]


def block_work(case: Case, chip: Chip, stack: Stack) -> Work:
    """One transformer block, without recomputation."""
    if chip.elementwise_bandwidth:
        return Work(
            cpu.block_products(case, chip),
            cpu.attention_seconds(case, chip),
            cpu.elementwise_seconds(case, chip, stack),
        )
    shape, tp, tokens = case.shape, case.parallelism.tp, float(case.tokens)
    up = (2 if shape.gated else 1) * shape.intermediate_size / tp
    matrices = [
        (shape.hidden_size, (shape.query_width + 2 * shape.kv_width) / tp),
        (shape.query_width / tp, shape.hidden_size),
        (shape.hidden_size, up),
        (shape.intermediate_size / tp, shape.hidden_size),
    ]

    def seconds(m: float, n: float, k: float) -> float:
        return product_seconds(chip, stack, case.precision, m, n, k)

    forward = sum(seconds(tokens, n, k) for k, n in matrices)
    backward = sum(seconds(tokens, k, n) + seconds(k, n, tokens) for k, n in matrices)
    casts = _casts(case, stack, matrices)
    rate = chip.memory_bandwidth * physics()["memory_share"]
    size = 4 if case.precision == "fp32" else 2
    traffic = (
        tokens
        * (
            10 * shape.hidden_size
            + (3 if shape.gated else 2) * shape.intermediate_size
            + 4 * (shape.query_width + shape.kv_width)
        )
        * size
        / tp
    )
    traffic *= stack.elementwise
    ew = ((traffic + casts[0]) / rate, (1.7 * traffic + casts[1]) / rate)
    return Work((forward, backward), attention_seconds(case, chip, stack), ew)


def _casts(case: Case, stack: Stack, matrices: list[tuple[float, float]]) -> tuple[float, float]:
    """Bytes that are read and written, forward and backward, to make fp8 of what is multiplied, by kernels that are
    fused (with ``compile``, where they are not written by hand), and more where such kernels miss the bandwidth."""
    if case.precision != "fp8":
        return 0.0, 0.0
    read = stack.casts * sum(case.tokens * k + k * n for k, n in matrices)
    if not stack.rowwise:  # each input and weight once more
        return read, 2 * read
    # By rows for one product and by columns for another: 2 bytes for the largest values, 2 and 1 for the cast.
    return 5 * read, 5 * read + stack.casts * 10 * sum(case.tokens * n for _, n in matrices)


def attention_seconds(case: Case, chip: Chip, stack: Stack) -> tuple[float, float]:
    """Scores and their use: 4 · tokens · keys · width forward, half of it if causal, 2.5 times that backward."""
    shape, tokens = case.shape, float(case.tokens)
    flops = 4 * tokens * case.sequence * shape.query_width / case.parallelism.tp * (0.5 if stack.attention else 1.0)
    peak = chip.peak("fp32" if case.precision == "fp32" else "bf16")
    if not stack.attention:
        passes = (
            10 * tokens * case.sequence * shape.num_attention_heads / case.parallelism.tp
        )  # softmax and dropout on the scores
        traffic = passes / (chip.memory_bandwidth * physics()["memory_share"])
        batched = flops / (peak * physics()["unfused_attention_share"])
        return batched + traffic, 2 * (batched + traffic)
    half = physics()["attention_half_row"]
    # Rows longer than the ramp reach the kernel's full speed; heads narrower than 128 use the tensor cores less.
    ramp = case.sequence / (case.sequence + half) * min(1.0, (shape.head_dim / 128) ** 0.5)
    forward = flops / (peak * chip.kernel(stack.attention) * ramp)
    return forward, 2.5 * forward / physics()["attention_backward"]


def head_work(case: Case, chip: Chip, stack: Stack) -> tuple[float, float]:
    """The last norm, the product with the vocabulary, and the loss. In bf16 even where blocks are fp8."""
    if chip.elementwise_bandwidth:
        return cpu.head_work(case, chip, stack)
    shape, tokens, chunks = case.shape, float(case.tokens), case.parallelism.head_chunks
    words = shape.vocab_size / case.parallelism.tp / chunks
    precision = "bf16" if case.precision == "fp8" else case.precision
    forward = product_seconds(chip, stack, precision, tokens, words, shape.hidden_size)
    backward = product_seconds(chip, stack, precision, tokens, shape.hidden_size, words)
    backward += product_seconds(chip, stack, precision, shape.hidden_size, words, tokens)
    traffic = chip.memory_bandwidth * physics()["memory_share"]
    loss = stack.elementwise * tokens * words * 5 / traffic
    if chunks > 1:  # logits are computed again, and the gradient of hidden states is added up in fp32
        backward += forward + 10 * tokens * shape.hidden_size / traffic
    return chunks * (forward + loss), chunks * (backward + loss)


def recomputed(case: Case, stack: Stack, work: Work, gathers: float) -> float:
    """Seconds that a block's backward pass spends on computing again, ``gathers``: its forward communication."""
    match case.parallelism.recompute:
        case "full":
            return work.forward + gathers
        case "selective":
            again = stack.recomputed_products * work.products[0] + 0.8 * work.elementwise[0]
            return again + stack.recomputed_gathers * gathers
        case "attention":
            return 0.0 if stack.attention else work.attention[0]
        case "norms":
            return 0.7 * work.elementwise[0]
    return 0.0
