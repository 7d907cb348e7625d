"""Seconds of one block's and the head's work on a processor: what ``kernels`` is for GPUs.

PyTorch runs one operation after the other: a product costs its FLOPs and a call; attention by tiles
(model/cpu_attention.py) its products and the softmax of every score; norms, SiLU, rotations and casts their bytes.
"""

from altiplano.planning.case import Case
from altiplano.planning.stacks import Chip, Stack

TILE_QUERIES = 128
"""Of attention: tiles on the diagonal are computed whole."""
KEPT_ROW = 1024
"""Longer rows compute their softmax twice."""
BACKWARD = 1.7
"""Time of attention's backward pass, of the forward one's; measured on two cores, 256 to 1,024 tokens: 1.6 to 1.8."""


def product_seconds(chip: Chip, precision: str, m: float, n: float, k: float) -> float:
    return 2.0 * m * n * k / (chip.peak(precision) * chip.matmul_share) + chip.call_seconds


def block_products(case: Case, chip: Chip) -> tuple[float, float]:
    """Forward and backward seconds of q, k, v, o, gate, up and down, one by one."""
    shape, tp, tokens = case.shape, case.parallelism.tp, float(case.tokens)
    queries, keys, inner = (width / tp for width in (shape.query_width, shape.kv_width, shape.intermediate_size))
    matrices = [
        (shape.hidden_size, queries),
        (shape.hidden_size, keys),
        (shape.hidden_size, keys),
        (queries, shape.hidden_size),
        (shape.hidden_size, inner),
        (shape.hidden_size, inner),
        (inner, shape.hidden_size),
    ]
    forward = sum(product_seconds(chip, case.precision, tokens, n, k) for k, n in matrices)
    return forward, 2 * forward


def attention_seconds(case: Case, chip: Chip) -> tuple[float, float]:
    shape = case.shape
    scores = case.tokens * (case.sequence + TILE_QUERIES) / 2 * shape.num_attention_heads / case.parallelism.tp
    products = 4 * shape.head_dim / (0.8 * chip.peak(case.precision))
    forward = scores * (chip.score_seconds + products)
    return forward, (BACKWARD if case.sequence <= KEPT_ROW else BACKWARD + 0.5) * forward


def elementwise_seconds(case: Case, chip: Chip, stack: Stack) -> tuple[float, float]:
    shape = case.shape
    size = 4 if case.precision == "fp32" else 2
    read = 10 * shape.hidden_size + 3 * shape.intermediate_size + 4 * (shape.query_width + shape.kv_width)
    forward = stack.elementwise * case.tokens * read * size / case.parallelism.tp / chip.elementwise_bandwidth
    return forward, 1.7 * forward


def head_work(case: Case, chip: Chip, stack: Stack) -> tuple[float, float]:
    shape, tokens, words = case.shape, float(case.tokens), case.shape.vocab_size / case.parallelism.tp
    product = product_seconds(chip, case.precision, tokens, words, shape.hidden_size)
    # The loss widens logits to float32 a few tokens at a time, forward and backward.
    loss = 6 * tokens * words / chip.elementwise_bandwidth
    again = product if case.parallelism.head_chunks > 1 else 0.0
    return product + loss, 2 * product + again + loss
