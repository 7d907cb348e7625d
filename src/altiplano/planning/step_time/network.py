"""Seconds of communication: within a node over its fast links, beyond it over the network."""

import math

from altiplano.planning.case import Case
from altiplano.planning.stacks import Chip, Stack, physics


def collective(chip: Chip, ranks: int, span: int, size: float) -> float:
    """An all-gather or reduce-scatter of ``size`` bytes in all over ``ranks``, that lie within ``span`` devices.

    A ring moves (ranks - 1) / ranks of them through each device; the latency is a tree's. Across nodes each device
    has its own network card, and what stays within the node goes over the links at the same time.
    """
    if ranks <= 1:
        return 0.0
    fixed = physics()
    moved = size * (ranks - 1) / ranks
    if span <= chip.domain:
        rate = chip.link_bandwidth * fixed["link_share"]
    else:
        # A node's ranks of the group share its cards: each card carries its part of what the node sends.
        here = max(1, min(ranks, chip.domain * ranks // span))
        rate = min(chip.link_bandwidth * fixed["link_share"], here * chip.network_bandwidth * fixed["network_share"])
    return moved / rate + fixed["latency"] * math.log2(ranks)


def tensor_seconds(case: Case, chip: Chip, stack: Stack) -> tuple[float, float]:
    """Exposed, of one block: two gathers and two scatters each way, and two gathers more where inputs were not kept.
    Scales of fp8 for each row: four small reductions forward, ten backward, all waited for."""
    tp = case.parallelism.tp
    scales = 0.0
    if case.precision == "fp8" and stack.rowwise:
        scales = 2 * collective(chip, tp, tp, 8.0 * max(case.tokens, case.shape.hidden_size))  # there and back
    once = collective(chip, tp, tp, case.tokens * case.shape.hidden_size * 2.0)
    share = stack.async_tp_exposed if case.parallelism.async_tp else stack.tp_exposed
    again = 2 * once * min(share, 0.5) if stack.regathers else 0.0
    exposed = 4 * once * share
    return exposed + 4 * scales, exposed + again + 10 * scales


def context_seconds(case: Case, chip: Chip) -> tuple[float, float]:
    """Exposed, of one block: keys and values of the row gathered; twice that backward."""
    parallelism, shape = case.parallelism, case.shape
    size = case.sequence * parallelism.micro_batch * 2 * max(shape.kv_width / parallelism.tp, shape.head_dim) * 2.0
    once = collective(chip, parallelism.cp, parallelism.cp * parallelism.tp, size) * physics()["context_exposed"]
    return once, 2 * once


def pipeline_seconds(case: Case, chip: Chip) -> float:
    """Exposed, of one micro-batch passing a rank: hidden states and their gradients, at each of its stages."""
    parallelism = case.parallelism
    if parallelism.pp == 1:
        return 0.0
    near = parallelism.devices <= chip.domain
    rate = (
        chip.link_bandwidth * physics()["link_share"] if near else chip.network_bandwidth * physics()["network_share"]
    )
    once = case.tokens * case.shape.hidden_size * 2.0 / parallelism.tp / rate + physics()["latency"]
    return 2 * parallelism.virtual * once * physics()["pipeline_exposed"]


def data_seconds(case: Case, chip: Chip, stack: Stack, parameters: float, computing: float, window: float) -> float:
    """Exposed, of a step: gradients reduced and weights gathered.

    ZeRO-1 and 2 hide behind the last backward and first forward pass (``window`` seconds), ZeRO-3 behind all of them
    (``computing``), as it gathers every unit twice and reduces it once for each micro-batch; some of what is hidden
    slows the products that hide it (``data_exposed``).
    """
    parallelism = case.parallelism
    ranks = parallelism.dp * parallelism.cp
    size = 4.0 if case.precision == "fp32" else 2.0
    span = ranks * parallelism.tp
    shards = parallelism.shard_count
    if parallelism.sharding == "zero3":
        gather = collective(chip, shards, shards * parallelism.tp, parameters * size)
        scatter = collective(chip, shards, shards * parallelism.tp, parameters * parallelism.gradient_bytes)
        if parallelism.pp > 1:
            total = gather + scatter
        elif stack.accumulates_unsharded:
            total = 2 * gather * case.micro_batches + scatter
        else:
            total = (2 * gather + scatter) * case.micro_batches
        if shards < ranks:
            copies = ranks // shards
            total += 2 * collective(chip, copies, span, parameters * parallelism.gradient_bytes / shards)
        hidden = 0.9 * (computing if parallelism.pp == 1 else window)
    else:
        scatter = collective(chip, ranks, span, parameters * parallelism.gradient_bytes)
        total = scatter + collective(chip, ranks, span, parameters * size)
        hidden = 0.8 * window
    if not stack.overlaps_data:
        return total
    return max(total - hidden, 0.0) + stack.data_exposed * min(total, hidden)
