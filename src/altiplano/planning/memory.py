"""Bytes on a device, by what they are for, of every pipeline rank.

Activations are what autograd keeps with fused attention (Dao et al. 2022) and activations split along the sequence
(Korthikanti et al. 2022), counted for gated and grouped-query blocks; a test compares with published peaks.
"""

from dataclasses import dataclass

from altiplano.planning.case import Case, Chunk, RecomputeMode
from altiplano.planning.stacks import Chip, Stack

GIB = 2**30
WORKSPACE = 0.5 * GIB
"""cuBLAS workspaces, small buffers (assumed; published peaks less what is counted leave 0.2 to 1 GiB)."""
KINDS = ("weights", "gradients", "optimizer", "gathered", "norms", "attention", "mlp", "logits", "buffers")


@dataclass(frozen=True)
class Memory:
    """Bytes by kind on one pipeline rank, and in total."""

    rank: int
    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())

    @property
    def state(self) -> float:
        return sum(self.parts[kind] for kind in ("weights", "gradients", "optimizer"))


def chunk_parameters(case: Case, chunk: Chunk) -> float:
    """Parameters of one pipeline stage on each tensor-parallel rank: matrices split, vectors whole."""
    shape, tp = case.shape, case.parallelism.tp
    matrices = chunk.layers * shape.layer_matrices + chunk.first * shape.embedding
    matrices += (chunk.last and not (chunk.first and shape.tied)) * shape.embedding
    vectors = chunk.layers * shape.layer_vectors + chunk.first * shape.positions * shape.hidden_size
    return matrices / tp + vectors + chunk.last * shape.hidden_size * (2 if shape.biased else 1)


def rank_parameters(case: Case, rank: int) -> float:
    return sum(chunk_parameters(case, chunk) for chunk in case.rank_chunks(rank))


def kept_per_token(case: Case, stack: Stack, recompute: RecomputeMode | None = None) -> dict[str, float]:
    """Bytes that one block keeps for the backward pass, for each token of a context-parallel rank; with the layout's
    recomputation, or another."""
    shape, parallelism = case.shape, case.parallelism
    recompute = recompute or parallelism.recompute
    size = 4 if case.precision == "fp32" else 2
    tp = parallelism.tp
    gathered = 1 if stack.regathers else tp
    norm_inputs, norm_outputs = 2 * shape.hidden_size / tp, 2 * shape.hidden_size * gathered / tp
    rows = parallelism.cp if stack.accumulates_unsharded else 1  # ours keeps the whole row's keys and values
    heads = (2 * shape.query_width + 2 * shape.kv_width * rows) / tp
    statistics = 4 * shape.num_attention_heads / tp
    scores = 0.0 if stack.attention else 5 * shape.num_attention_heads * case.sequence / tp
    products = (2 if shape.gated else 1) * shape.intermediate_size / tp
    activation = (stack.mlp_kept - 2 if shape.gated else 1) * shape.intermediate_size / tp
    block_input = size * shape.hidden_size / tp
    if recompute == "full":
        return {"norms": block_input, "attention": 0.0, "mlp": 0.0}
    if recompute == "selective":
        if stack.selective_keeps == "qkv":
            return {"norms": block_input, "attention": size * (shape.query_width + 2 * shape.kv_width) / tp, "mlp": 0.0}
        heads = 2 * (shape.query_width + shape.kv_width) / tp  # the row's keys and values are gathered again
        kept = {"norms": size * norm_inputs, "attention": size * heads + statistics, "mlp": size * products}
        if stack.selective_keeps == "half":
            half = (shape.query_width + 2 * shape.kv_width + shape.hidden_size) / tp + products
            kept |= {"attention": size * shape.query_width / tp + statistics, "mlp": size * half / 2}
        return kept
    if recompute == "norms":
        return {"norms": size * norm_inputs, "attention": size * heads + statistics + scores, "mlp": size * products}
    if recompute == "attention":
        scores = 0.0
    # Megatron keeps what fp8 products read as fp8.
    read = 1.0 if case.precision == "fp8" and stack.regathers else size
    return {
        "norms": size * norm_inputs + read * norm_outputs,
        "attention": size * heads + statistics + scores,
        "mlp": size * products + read * activation,
    }


def in_flight(case: Case, rank: int) -> list[float]:
    """Micro-batches whose activations a rank holds at the most, for each of its chunks.

    1F1B: as many as stages are to come; interleaved: Megatron's warm-up of 2 (pp - rank - 1) + (virtual - 1) pp
    chunks and one more, in turns of pp (Narayanan et al. 2021, Megatron-LM's schedules.py).
    """
    parallelism, count = case.parallelism, case.micro_batches
    if parallelism.pp == 1:
        return [1.0] * parallelism.virtual
    if parallelism.schedule == "gpipe":
        return [float(count)] * parallelism.virtual
    if parallelism.schedule == "zbv":
        return [float(min(count, parallelism.pp))] * 2
    if parallelism.virtual == 1:
        return [float(min(count, parallelism.pp - rank))]
    total = min(
        2 * (parallelism.pp - rank - 1) + (parallelism.virtual - 1) * parallelism.pp + 1, count * parallelism.virtual
    )
    held, turn = [0.0] * parallelism.virtual, 0
    while total > 0:
        held[turn % parallelism.virtual] += min(parallelism.pp, total)
        total -= parallelism.pp
        turn += 1
    return held


def kept_activations(case: Case, stack: Stack, rank: int) -> float:
    """Bytes that autograd keeps at the most on a rank: its blocks' for the micro-batches in flight, and with the head
    the norm's input and output and, unless they come in pieces, the logits of one. What is only there during a
    backward pass is not in it."""
    size = 4 if case.precision == "fp32" else 2
    shape, tp, chunks = case.shape, case.parallelism.tp, case.rank_chunks(rank)
    layers = sum(count * chunk.layers for count, chunk in zip(in_flight(case, rank), chunks, strict=True))
    kept = layers * sum(kept_per_token(case, stack).values())
    if chunks[-1].last:
        gathered = 1 if stack.regathers else tp
        logits = shape.vocab_size if case.parallelism.head_chunks == 1 else 0
        kept += size * (shape.hidden_size * (1 + gathered) + logits) / tp
    return kept * case.tokens


def received(case: Case, rank: int) -> float:
    """Bytes of PyTorch's pipelines: a buffer for every micro-batch of a step that a stage receives, both ways."""
    size = 4 if case.precision == "fp32" else 2
    ways = (
        sum((not chunk.first) + (not chunk.last) for chunk in case.rank_chunks(rank)) if case.parallelism.pp > 1 else 0
    )
    return ways * case.micro_batches * size * case.tokens * case.shape.hidden_size / case.parallelism.tp


def _rank_memory(case: Case, stack: Stack, rank: int, kept: dict[str, float], block: float) -> Memory:
    """``kept``: bytes that one block keeps for a token; ``block``: bytes that its backward pass needs beside them. Both
    are the same on every rank."""
    shape, parallelism = case.shape, case.parallelism
    size = 4.0 if case.precision == "fp32" else 2.0
    chunks = case.rank_chunks(rank)
    parameters = rank_parameters(case, rank)
    shards = {
        "none": 1,
        "zero1": parallelism.shard_count,
        "zero2": parallelism.shard_count,
        "zero3": parallelism.shard_count,
    }
    over = shards[parallelism.sharding]
    largest = max(shape.layer_matrices, shape.embedding if chunks[0].first or chunks[-1].last else 0) / parallelism.tp
    gathered = 0.0
    if parallelism.sharding == "zero3":
        # Sharded master weights; gathered ones are there for two units at a time, or, with a pipeline, all.
        weights = 4.0 * parameters / over
        gradients, optimizer = 4.0 * parameters / over, (stack.optimizer_bytes - 4) * parameters / over
        if parallelism.pp > 1 or over == 1:
            gathered = (size + 4.0) * parameters
        else:
            gathered = 2 * size * largest + 4.0 * largest
            if stack.accumulates_unsharded and case.micro_batches > 1:
                gathered += 4.0 * parameters
    else:
        weights, optimizer = size * parameters, stack.optimizer_bytes * parameters / over
        gradients = parallelism.gradient_bytes * parameters / (over if parallelism.sharding == "zero2" else 1)
    held = in_flight(case, rank)
    layers = sum(count * chunk.layers for count, chunk in zip(held, chunks, strict=True))
    activations = {kind: each * case.tokens * layers for kind, each in kept.items()}
    logits, buffers = _working(case, stack, block) if chunks[-1].last else (0.0, WORKSPACE + block)
    if stack.receives_ahead:
        buffers += received(case, rank)
    parts = {
        "weights": weights,
        "gradients": gradients,
        "optimizer": optimizer,
        "gathered": gathered,
        **activations,
        "logits": logits,
        "buffers": buffers,
    }
    return Memory(rank, parts)


def _block_buffers(case: Case, stack: Stack) -> float:
    """Bytes that a block's backward pass needs beside what was kept for it."""
    shape, parallelism, tokens = case.shape, case.parallelism, case.tokens
    size = 4.0 if case.precision == "fp32" else 2.0
    whole = size * tokens * shape.hidden_size
    sharded = parallelism.sharding == "zero3"  # a unit's gradients are counted as gathered
    fused = (2 if shape.gated else 1) * shape.hidden_size * shape.intermediate_size / parallelism.tp
    block = (0.0 if sharded else size * fused) + size * 3 * shape.intermediate_size * tokens / parallelism.tp
    if parallelism.tp > 1:
        block += (2 if stack.regathers else 4) * whole
    if parallelism.recompute in ("full", "selective"):
        unspread = {"full": 1.0, "selective": 0.5}[parallelism.recompute]
        block += unspread * sum(kept_per_token(case, stack, "none").values()) * tokens
    return block


def _working(case: Case, stack: Stack, block: float) -> tuple[float, float]:
    """Logits and buffers, where the head is, at whichever moment needs more: its backward pass, or a block's."""
    shape, parallelism, tokens = case.shape, case.parallelism, case.tokens
    size = 4.0 if case.precision == "fp32" else 2.0
    whole = size * tokens * shape.hidden_size
    sharded = parallelism.sharding == "zero3"
    each = stack.logit_bytes_split if parallelism.tp > 1 and stack.logit_bytes_split else stack.logit_bytes
    logits = each * tokens * shape.vocab_size / parallelism.tp / parallelism.head_chunks
    if parallelism.head_chunks > 1:
        logits += 4.0 * tokens * shape.hidden_size  # the gradient of hidden states, added up in fp32
    head = (0.0 if sharded else size * shape.embedding / parallelism.tp) + (2 * whole if parallelism.tp > 1 else 0.0)
    return (logits, WORKSPACE + head) if logits + head > block else (0.0, WORKSPACE + block)


def memory(case: Case, stack: Stack) -> list[Memory]:
    """Of every pipeline rank."""
    kept, block = kept_per_token(case, stack), _block_buffers(case, stack)
    return [_rank_memory(case, stack, rank, kept, block) for rank in range(case.parallelism.pp)]


def fullest(case: Case, stack: Stack) -> Memory:
    """The pipeline rank that needs most. Ranks whose stages have the same sizes differ only in micro-batches in flight,
    and the first of them has the most, so the others are not looked at."""
    first: dict[tuple[Chunk, ...], int] = {}
    for rank in range(case.parallelism.pp):
        first.setdefault(tuple(case.rank_chunks(rank)), rank)
    kept, block = kept_per_token(case, stack), _block_buffers(case, stack)
    return max((_rank_memory(case, stack, rank, kept, block) for rank in first.values()), key=lambda one: one.total)


def capacity(chip: Chip) -> float:
    """Bytes that a plan may fill."""
    return (chip.memory_gib - chip.reserve_gib) * GIB
