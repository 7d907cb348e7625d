"""One training step to predict: a model's shape, its batch, and how they are parallelized."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from altiplano.planning.model_size import Shape
from altiplano.recipe.layout import Layout, partition_layers

RecomputeMode = Literal["none", "norms", "attention", "selective", "full"]
"""What blocks forget: nothing; norm and activation outputs; attention's scores; all but matrix products and attention
(half of the matrix products, too, for torchtitan); all but their input."""
Sharding = Literal["none", "zero1", "zero2", "zero3"]


@dataclass(frozen=True)
class Parallelism:
    """``dp`` × ``cp`` ranks shard what ``sharding`` says, over ``shards`` of them (0: all); the rest are copies."""

    dp: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1
    virtual: int = 1
    micro_batch: int = 1
    schedule: str = "1f1b"
    recompute: RecomputeMode = "none"
    sharding: Sharding = "zero1"
    gradient_bytes: int = 4
    shards: int = 0
    head_chunks: int = 1
    async_tp: bool = False

    @property
    def devices(self) -> int:
        return self.dp * self.tp * self.pp * self.cp

    @property
    def shard_count(self) -> int:
        return self.shards or self.dp * self.cp

    @property
    def copies(self) -> int:
        """Of the shards."""
        return self.dp * self.cp // self.shard_count

    @property
    def stages(self) -> int:
        return self.pp * self.virtual

    def __str__(self) -> str:
        parts = [f"dp{self.dp}.tp{self.tp}.pp{self.pp}"] + [f"cp{self.cp}"] * (self.cp > 1)
        if self.virtual > 1:
            parts.append("zbv" if self.schedule == "zbv" else f"v{self.virtual}")
        parts += [f"rep{self.copies}"] * (self.copies > 1) + [f"mb{self.micro_batch}"]
        parts += [f"hc{self.head_chunks}"] * (self.head_chunks > 1)
        parts += [f"recompute-{self.recompute}"] * (self.recompute != "none")
        return ".".join(parts + ["compile", "async-tp"] * self.async_tp)


@dataclass(frozen=True)
class Chunk:
    """One pipeline stage: how many layers, and whether the embedding or the head is in it."""

    layers: int
    first: bool
    last: bool


@dataclass(frozen=True)
class Case:
    """``sequences`` of ``sequence`` tokens in a global batch. ``precision`` of matrix products: bf16, fp8 or fp32."""

    shape: Shape
    sequence: int
    sequences: int
    parallelism: Parallelism
    precision: str = "bf16"
    slots: bool = False
    """Embedding and head count as a slot each when layers are dealt to stages, even where layers divide."""
    filled: int = 0
    """Micro-batches that each rank computes, with those that only fill a pipeline up; 0: as many as the batch has."""

    @cached_property
    def micro_batches(self) -> int:
        return self.filled or math.ceil(self.sequences / (self.parallelism.dp * self.parallelism.micro_batch))

    @cached_property
    def tokens(self) -> int:
        """Per micro-batch on one context-parallel rank."""
        return self.sequence * self.parallelism.micro_batch // self.parallelism.cp

    @property
    def batch_tokens(self) -> int:
        return self.sequence * self.sequences

    @cached_property
    def chunks(self) -> list[Chunk]:
        """Every pipeline stage, in order."""
        count, layers = self.parallelism.stages, self.shape.num_hidden_layers
        if layers % count == 0 and not self.slots:
            held = [layers // count] * count
        else:
            held = [len(stage) for stage in partition_layers(layers, count)]
        return [Chunk(size, stage == 0, stage == count - 1) for stage, size in enumerate(held)]

    def rank_chunks(self, rank: int) -> list[Chunk]:
        """What pipeline rank ``rank`` holds, in the order of the pipeline."""
        pp = self.parallelism.pp
        if self.parallelism.schedule == "zbv":
            return [self.chunks[rank], self.chunks[2 * pp - 1 - rank]]
        return [self.chunks[rank + turn * pp] for turn in range(self.parallelism.virtual)]


def parallelism_of(layout: Layout, sequences: int, sequence: int) -> tuple[Parallelism, int]:
    """A trainer's layout as the planner has it, and how many micro-batches each rank computes."""
    count, size = layout.micro_batches(sequences, sequence)
    parallelism = Parallelism(
        layout.dp,
        layout.tp,
        layout.pp,
        layout.cp,
        layout.stages_per_rank,
        size,
        layout.schedule,
        layout.recompute,
        shards=layout.dp // layout.replicas * layout.cp,
        head_chunks=layout.head_chunks,
        async_tp=layout.async_tp,
    )
    return parallelism, count


def layout_of(parallelism: Parallelism) -> Layout:
    """As the trainer spells it. Raises ValueError for what it has no spelling of."""
    return Layout.model_validate(
        {
            "dp": parallelism.dp,
            "tp": parallelism.tp,
            "pp": parallelism.pp,
            "cp": parallelism.cp,
            "replicas": parallelism.copies,
            "micro_batch": parallelism.micro_batch,
            "schedule": parallelism.schedule,
            "virtual": parallelism.virtual if parallelism.virtual > 1 else 0,
            "recompute": parallelism.recompute,
            "head_chunks": parallelism.head_chunks,
            "compile": parallelism.async_tp,
            "async_tp": parallelism.async_tp,
        }
    )


def with_parallelism(case: Case, **changes: object) -> Case:
    return replace(case, parallelism=replace(case.parallelism, **changes), filled=0)  # type: ignore[arg-type]
