"""Seconds of an optimizer step, by what they are spent on."""

import math
from dataclasses import dataclass
from typing import Any

from altiplano.planning.case import Case
from altiplano.planning.memory import rank_parameters
from altiplano.planning.stacks import Chip, Stack, physics
from altiplano.planning.step_time.matmul import Work, block_work, head_work, recomputed
from altiplano.planning.step_time.network import context_seconds, data_seconds, pipeline_seconds, tensor_seconds

BUCKETS = (
    "matrix products",
    "attention",
    "elementwise",
    "recomputation",
    "head and loss",
    "tensor communication",
    "context communication",
    "pipeline communication",
    "pipeline bubble",
    "data communication",
    "optimizer",
    "overhead",
)


@dataclass(frozen=True)
class StepTime:
    """Seconds by bucket, of the slowest pipeline rank; they add up to ``total``."""

    parts: dict[str, float]

    @property
    def total(self) -> float:
        return sum(self.parts.values())


def step_time(case: Case, chip: Chip, stack: Stack) -> StepTime:
    """Predicted seconds of one optimizer step."""
    parallelism, count = case.parallelism, case.micro_batches
    work = block_work(case, chip, stack)
    tensor, context = tensor_seconds(case, chip, stack), context_seconds(case, chip)
    head = sum(head_work(case, chip, stack))
    again = recomputed(case, stack, work, tensor[0] + context[0])
    block = work.forward + work.backward + sum(tensor) + sum(context) + again
    # The slowest rank decides.
    rank = max(range(parallelism.pp), key=lambda r: sum(c.layers * block + c.last * head for c in case.rank_chunks(r)))
    chunks = case.rank_chunks(rank)
    layers, heads = sum(chunk.layers for chunk in chunks), sum(chunk.last for chunk in chunks)
    passing = pipeline_seconds(case, chip)
    one = layers * block + heads * head
    bubble = _bubble(case, one + passing, layers, work)
    computing = count * (one + passing) + bubble
    window = one / parallelism.virtual * min(parallelism.pp, count) if parallelism.pp > 1 else one
    parameters = max(rank_parameters(case, r) for r in (0, parallelism.pp - 1))
    data = data_seconds(case, chip, stack, parameters, computing, window)
    state = parameters / (parallelism.shard_count if parallelism.sharding != "none" else 1)
    optimizer = state * 34 / (chip.memory_bandwidth * physics()["memory_share"])
    parts = {
        "matrix products": count * layers * sum(work.products),
        "attention": count * layers * sum(work.attention),
        "elementwise": count * layers * sum(work.elementwise),
        "recomputation": count * layers * again,
        "head and loss": count * heads * head,
        "tensor communication": count * layers * sum(tensor),
        "context communication": count * layers * sum(context),
        "pipeline communication": count * passing,
        "pipeline bubble": bubble,
        "data communication": data,
        "optimizer": optimizer,
    }
    # All ranks wait for the slowest; sustained runs lose some more to what a short benchmark does not see.
    known = sum(parts.values()) + physics()["step_seconds"]
    jitter = 1 + physics()["jitter"] * max(0.0, math.log2(parallelism.devices / 8))
    parts["overhead"] = known * jitter / stack.fleet - sum(parts.values())
    return StepTime(parts)


def _bubble(case: Case, one: float, layers: int, work: Work) -> float:
    """Idle seconds of a pipeline rank in a step (Narayanan et al. 2021; zero-bubble: Qi et al. 2024)."""
    parallelism = case.parallelism
    if parallelism.pp == 1:
        return 0.0
    if parallelism.schedule == "zbv":
        weights = layers * work.products[1] / 2  # gradients of weights, which fill the bubble
        return max(0.0, (parallelism.pp - 1) * (one - 3 * weights))
    return (parallelism.pp - 1) * one / parallelism.virtual


def throughput(case: Case, chip: Chip, seconds: float) -> dict[str, Any]:
    """Tokens per second, and model FLOP utilisation under both conventions for attention."""
    rate = case.batch_tokens / seconds / case.parallelism.devices
    peak = chip.peak(case.precision)
    flops = {name: case.shape.training_flops_per_token(case.sequence, name == "causal") for name in ("causal", "full")}
    return {
        "tokens_per_second": rate * case.parallelism.devices,
        "tokens_per_second_per_device": rate,
        "tflops_per_device": {name: rate * each / 1e12 for name, each in flops.items()},
        "mfu": {name: rate * each / peak for name, each in flops.items()},
    }
