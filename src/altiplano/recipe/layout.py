"""How a model is spread over devices. A layout never changes the mathematics, so it is never part of a recipe."""

import re
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from altiplano.errors import InputError
from altiplano.recipe.schema import Recipe
from altiplano.recipe.section import Section

Schedule = Literal["1f1b", "gpipe"]
# Larger micro-batches gain nothing on a CPU (measured on two cores) and cost memory everywhere.
MICRO_BATCH_TOKENS = 8192
SPELLING = 'such as "dp2.tp2.pp2" or "dp4.mb2": dp, tp, pp, mb (sequences per micro-batch), each with a number'


class Layout(Section):
    """Data × tensor × pipeline parallel sizes, and how a rank's share of the batch is cut into micro-batches."""

    dp: int = Field(1, gt=0)
    tp: int = Field(1, gt=0)
    pp: int = Field(1, gt=0)
    micro_batch: int = Field(0, ge=0, description="sequences; 0: as many as fill the pipeline, up to 8,192 tokens")
    schedule: Schedule = "1f1b"
    recompute: Literal["none", "full"] = "none"

    @property
    def world_size(self) -> int:
        return self.dp * self.tp * self.pp

    def __str__(self) -> str:
        return f"dp{self.dp}.tp{self.tp}.pp{self.pp}" + (f".mb{self.micro_batch}" if self.micro_batch else "")

    def share(self, samples: range, rank: int) -> range:
        """The samples of a batch that data-parallel rank ``rank`` takes."""
        rows = len(samples) // self.dp
        return samples[rank * rows : (rank + 1) * rows]

    def micro_batch_size(self, sequences: int, sequence_length: int) -> int:
        """Sequences per micro-batch of a global batch; at least ``pp`` micro-batches fill the pipeline."""
        if self.micro_batch:
            return self.micro_batch
        rows = sequences // self.dp
        largest = max(1, min(rows, MICRO_BATCH_TOKENS // sequence_length))
        return next(size for size in range(largest, 0, -1) if rows % size == 0 and rows // size >= self.pp)

    @model_validator(mode="after")
    def _known_combination(self) -> Self:
        if self.schedule == "gpipe" and self.pp == 1:
            raise ValueError("schedule = gpipe needs pp > 1")
        return self


def parse_layout(text: str) -> Layout:
    """``"dp2.tp2.pp2"`` → Layout. Raises InputError for another spelling."""
    sizes: dict[str, int] = {}
    for part in text.split("."):
        match = re.fullmatch(r"(dp|tp|pp|mb)([1-9][0-9]{0,5})", part)
        if match is None or match[1] in sizes:
            raise InputError(f"--layout {text}: {part!r} is not a part of a layout {SPELLING}")
        sizes[match[1]] = int(match[2])
    return Layout(dp=sizes.get("dp", 1), tp=sizes.get("tp", 1), pp=sizes.get("pp", 1), micro_batch=sizes.get("mb", 0))


def pipeline_slots(layers: int, stages: int) -> list[range]:
    """Layers of each pipeline stage, embedding and head counted as one slot each.

    126 layers + 2 = 128 slots divide over 16 stages: 7, 8 × 14, 7. Stages that come out uneven differ by one slot.
    """
    slots = layers + 2
    edges = [round(stage * slots / stages) for stage in range(stages + 1)]
    return [range(max(0, start - 1), min(layers, end - 1)) for start, end in pairwise(edges)]


def check_layout(layout: Layout, recipe: Recipe) -> None:
    """Raise InputError, naming the key and a size that would do, when ``layout`` cannot run ``recipe``."""
    model = recipe.model
    name = f"layout {layout}"
    for what, size in (("kv_heads", model.kv_heads), ("ffn_width", model.ffn_width), ("vocabulary", model.vocabulary)):
        if size % layout.tp:
            raise InputError(f"{name}: tp = {layout.tp} does not divide model.{what} = {size:,}")
    if recipe.batch.sequence_length % layout.tp:
        raise InputError(
            f"{name}: tp = {layout.tp} does not divide batch.sequence_length = {recipe.batch.sequence_length:,} "
            "(activations between layers are split along the sequence)"
        )
    if layout.pp > model.layers:
        raise InputError(f"{name}: pp = {layout.pp} is more than model.layers = {model.layers}")
    if (layout.pp > 1 or layout.tp > 1) and model.tied_embeddings:
        raise InputError(f"{name}: model.tied_embeddings needs tp = 1 and pp = 1, as embedding and head share a weight")
    if any(len(layers) == 0 for layers in pipeline_slots(model.layers, layout.pp)):
        raise InputError(f"{name}: pp = {layout.pp} leaves a stage without layers (model.layers = {model.layers})")
    for sequences in recipe.batch.sizes:
        if sequences % layout.dp:
            raise InputError(f"{name}: dp = {layout.dp} does not divide the batch of {sequences:,} sequences")
        rows = sequences // layout.dp
        if layout.micro_batch and rows % layout.micro_batch:
            raise InputError(
                f"{name}: mb = {layout.micro_batch} does not divide the {rows:,} sequences of each data-parallel rank"
            )
        micro_batches = rows // (layout.micro_batch or 1)
        if micro_batches < layout.pp:
            raise InputError(
                f"{name}: {micro_batches} micro-batches cannot fill pp = {layout.pp} pipeline stages; "
                f"{layout.dp * layout.pp * (layout.micro_batch or 1):,} sequences per batch would"
            )
