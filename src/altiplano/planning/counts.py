"""What this package's trainer keeps and sends on every rank, exactly: parameters, state bytes, collectives of a step.

Functions of a recipe and a layout, so that a rehearsal can compare them with what the training code does. Ranks of
one pipeline stage differ only where a dimension does not divide; counts are those of the first one.
"""

import math
from dataclasses import dataclass

from altiplano.recipe.layout import Layout, partition_layers
from altiplano.recipe.schema import ModelConfig, Recipe

BYTES = {"bfloat16": 2, "float32": 4, "float64": 8}
STATE_BYTES = 16
"""Of each parameter that a rank holds: weight, gradient and two moments in float32."""


@dataclass(frozen=True)
class Parameter:
    """``shape`` as in the whole model; ``split`` is the dimension that tensor parallelism cuts, None: none."""

    name: str
    shape: tuple[int, ...]
    split: int | None = None

    def on_tensor_rank(self, tp: int) -> tuple[int, ...]:
        return tuple(size // tp if dim == self.split else size for dim, size in enumerate(self.shape))


@dataclass(frozen=True)
class Collective:
    """``count`` in a step of one ``kind`` over ``group``; ``size``: bytes of the whole tensor.

    Kinds: all_gather, reduce_scatter, all_reduce, send, receive. Groups: shards, replicas, cp, tp, pp.
    """

    kind: str
    group: str
    count: int
    size: int
    what: str


def units(model: ModelConfig, layout: Layout, stage: int) -> list[tuple[str, list[Parameter]]]:
    """What FSDP gathers together in one pipeline stage: each block, the embedding, the last norm with the head."""
    width, inner, words = model.hidden_size, model.intermediate_size, model.vocab_size
    queries, keys = model.num_attention_heads * model.head_dim, model.num_key_value_heads * model.head_dim
    found = []
    if stage == 0 and not model.tie_word_embeddings:  # else it is the head's
        found.append(("embedding", [Parameter("embed_tokens.weight", (words, width), 0)]))
    for layer in partition_layers(model.num_hidden_layers, layout.stages)[stage]:
        block = [
            Parameter("input_layernorm.weight", (width,)),
            Parameter("self_attn.q_proj.weight", (queries, width), 0),
            Parameter("self_attn.k_proj.weight", (keys, width), 0),
            Parameter("self_attn.v_proj.weight", (keys, width), 0),
            Parameter("self_attn.o_proj.weight", (width, queries), 1),
            Parameter("post_attention_layernorm.weight", (width,)),
            Parameter("mlp.gate_proj.weight", (inner, width), 0),
            Parameter("mlp.up_proj.weight", (inner, width), 0),
            Parameter("mlp.down_proj.weight", (width, inner), 1),
        ]
        found.append(("block", [Parameter(f"layers.{layer}.{one.name}", one.shape, one.split) for one in block]))
    if stage == layout.stages - 1:
        found.append(("head", [Parameter("norm.weight", (width,)), Parameter("lm_head.weight", (words, width), 0)]))
    return found


def shard_ranks(layout: Layout) -> int:
    """Ranks that share each weight."""
    return layout.dp // layout.replicas * layout.cp


def held(parameter: Parameter, layout: Layout) -> int:
    """Elements that the first rank of a group keeps: FSDP cuts the first dimension, rounded up."""
    rows, *rest = parameter.on_tensor_rank(layout.tp)
    return math.ceil(rows / shard_ranks(layout)) * math.prod(rest)


def parameters_on_rank(recipe: Recipe, layout: Layout, rank: int) -> int:
    """Elements that pipeline rank ``rank`` keeps, of all its stages."""
    return sum(
        held(one, layout)
        for stage in layout.stage_numbers(rank)
        for _, unit in units(recipe.model, layout, stage)
        for one in unit
    )


def state_bytes(recipe: Recipe, layout: Layout, rank: int) -> int:
    return STATE_BYTES * parameters_on_rank(recipe, layout, rank)


def collectives(recipe: Recipe, layout: Layout, rank: int) -> list[Collective]:
    """Of one optimizer step's forward and backward passes on pipeline rank ``rank``; equal ones added up."""
    found: dict[tuple[str, str, int, str], int] = {}
    stages = layout.stage_numbers(rank)
    for stage in stages:
        for one in [
            *_weights(recipe, layout, stage),
            *_activations(recipe, layout, stage),
            *_sent(recipe, layout, stage),
        ]:
            key = one.kind, one.group, one.size, one.what
            found[key] = found.get(key, 0) + one.count
    if layout.cp > 1:
        found["all_reduce", "cp", 8, "loss"] = 1
    return [
        Collective(kind, group, count, size, what)
        for (kind, group, size, what), count in sorted(found.items())
        if count
    ]


def _weights(recipe: Recipe, layout: Layout, stage: int) -> list[Collective]:
    """FSDP2: weights gathered for each pass of a micro-batch (once a step under a pipeline), reduced once a step."""
    shards, found = shard_ranks(layout), []
    compute = BYTES[recipe.precision.compute]
    if shards == 1 and layout.replicas == 1:
        return []
    count, _ = layout.micro_batches(recipe.batch.sequences, recipe.batch.sequence_length)
    for name, unit in units(recipe.model, layout, stage):
        elements = sum(held(one, layout) for one in unit)
        if shards > 1:
            times = 1 if layout.pp > 1 else 2 * count
            found.append(Collective("all_gather", "shards", times, elements * shards * compute, name))
            found.append(Collective("reduce_scatter", "shards", 1, elements * shards * max(4, compute), name))
        if layout.replicas > 1:
            found.append(Collective("all_reduce", "replicas", 1, elements * max(4, compute), name))
    return found


def _activations(recipe: Recipe, layout: Layout, stage: int) -> list[Collective]:
    """Tensor parallelism: two gathers and two scatters a block each way. When a block is computed again its gathers are
    made again, and in full the scatter between its halves. Context parallelism: keys and values gathered, their
    gradients scattered."""
    model, compute = recipe.model, BYTES[recipe.precision.compute]
    count, size = layout.micro_batches(recipe.batch.sequences, recipe.batch.sequence_length)
    layers = len(partition_layers(model.num_hidden_layers, layout.stages)[stage])
    first, last = stage == 0, stage == layout.stages - 1
    tokens = size * recipe.batch.sequence_length // layout.cp
    again = layout.recompute != "none"
    found = []
    if layout.tp > 1:
        whole = tokens * model.hidden_size * compute
        ends = first + last
        found.append(
            Collective("all_gather", "tp", count * (layers * (6 if again else 4) + ends), whole, "activations")
        )
        found.append(
            Collective(
                "reduce_scatter",
                "tp",
                count * (layers * (4 + (layout.recompute == "full")) + ends),
                whole,
                "activations",
            )
        )
        if recipe.precision.matmul == "float8-rowwise":
            # The largest value of rows that ranks share, in float64: of the inputs and weights of o and down, again
            # when computed again, and of the gradients and weights of q, k, v, gate and up.
            times = count * layers * (9 if again else 7)
            found.append(Collective("all_reduce", "tp", times, 8 * tokens, "float8 scales of tokens"))
            found.append(Collective("all_reduce", "tp", times, 8 * model.hidden_size, "float8 scales of weights"))
        # One micro-batch is reduced as it was computed, a sum of several in float32.
        each = compute if count == 1 else max(4, compute)
        found.append(Collective("all_reduce", "tp", 2 * layers + last, model.hidden_size * each, "norms"))
        if last:
            wide = max(4, compute)
            found.append(Collective("all_reduce", "tp", count, tokens * wide, "largest logits"))
            found.append(Collective("all_reduce", "tp", count, 2 * tokens * wide, "sums of logits"))
    if layout.cp > 1:
        row = (
            2 * size * recipe.batch.sequence_length * model.num_key_value_heads * model.head_dim // layout.tp * compute
        )
        found.append(Collective("all_gather", "cp", count * layers * (2 if again else 1), row, "keys and values"))
        found.append(Collective("reduce_scatter", "cp", count * layers, row, "keys and values"))
    return found


def _sent(recipe: Recipe, layout: Layout, stage: int) -> list[Collective]:
    """Hidden states to the next stage and their gradients back, for each micro-batch, where it is on another rank."""
    count, size = layout.micro_batches(recipe.batch.sequences, recipe.batch.sequence_length)
    whole = size * recipe.batch.sequence_length // layout.cp // layout.tp * recipe.model.hidden_size
    whole *= BYTES[recipe.precision.compute]
    mine = {
        number
        for rank in range(layout.pp)
        for number in layout.stage_numbers(rank)
        if stage in layout.stage_numbers(rank)
    }
    found = []
    if stage + 1 < layout.stages and stage + 1 not in mine:
        found += [
            Collective("send", "pp", count, whole, "hidden states"),
            Collective("receive", "pp", count, whole, "gradients"),
        ]
    if stage > 0 and stage - 1 not in mine:
        found += [
            Collective("receive", "pp", count, whole, "hidden states"),
            Collective("send", "pp", count, whole, "gradients"),
        ]
    return found
