"""How a model is parallelized over devices. A layout never changes the mathematics, so it is never part of a recipe."""

import math
import re
from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Literal, Protocol, Self

from pydantic import Field, model_validator

from altiplano.errors import InputError
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import Section

PipelineSchedule = Literal["1f1b", "interleaved", "zbv", "gpipe"]
Recompute = Literal["none", "selective", "full"]
# Larger micro-batches gain nothing on a CPU (measured on two cores) and cost memory everywhere.
MICRO_BATCH_TOKENS = 8192
SIZES = {
    "dp": "dp", "rep": "replicas", "cp": "cp", "tp": "tp", "pp": "pp", "v": "virtual", "mb": "micro_batch",
    "hc": "head_chunks",
}  # fmt: skip
WORDS: dict[str, dict[str, str | bool]] = {
    "1f1b": {"schedule": "1f1b"},
    "interleaved": {"schedule": "interleaved"},
    "zbv": {"schedule": "zbv"},
    "gpipe": {"schedule": "gpipe"},
    "recompute-selective": {"recompute": "selective"},
    "recompute-full": {"recompute": "full"},
    "compile": {"compile": True},
    "async-tp": {"async_tp": True},
    "flash": {"flash": True},
}
SPELLING = (
    'such as "dp2.tp2.pp2" or "dp8.rep2.cp2.pp2.zbv.mb1". Sizes: dp (data), rep (copies of the weights among dp), '
    "cp (context), tp (tensor), pp (pipeline), v (stages per pipeline rank), mb (sequences per micro-batch), "
    "hc (pieces of the head). "
    f"Words: {', '.join(WORDS)}"
)


class Layout(Section):
    """Sizes of the mesh, the pipeline's schedule, and what is computed twice to save memory."""

    dp: int = Field(1, gt=0, description="data-parallel ranks: they share the rows of a batch, and shard the weights")
    replicas: int = Field(
        1, gt=0, description="how many copies of the shards: 1 is fully sharded, more is hybrid (HSDP)"
    )
    cp: int = Field(1, gt=0, description="context-parallel ranks: they share the tokens of a row")
    tp: int = Field(1, gt=0, description="tensor-parallel ranks: they share every matrix")
    pp: int = Field(1, gt=0, description="pipeline-parallel ranks: they share the layers")
    micro_batch: int = Field(0, ge=0, description="sequences; 0: as many as fill the pipeline, up to 8,192 tokens")
    schedule: PipelineSchedule = "1f1b"
    virtual: int = Field(
        0, ge=0, description="pipeline stages per rank; 0: two where the schedule has several, else one"
    )
    recompute: Recompute = "none"
    head_chunks: int = Field(
        1,
        gt=0,
        description="pieces of the vocabulary in which the head's product and the loss are computed, so that one piece "
        "of the logits is there at a time; above 1 the product is computed once more in the backward pass",
    )
    compile: bool = Field(False, description="torch.compile each block (GPU only)")
    async_tp: bool = Field(
        False,
        description="tensor parallelism sends parts of the activations while it multiplies others (GPU, with compile)",
    )
    flash: bool = Field(
        False, description="attention by FlashAttention 4's kernels (Hopper or later, with the package flash-attn-4)"
    )

    @property
    def world_size(self) -> int:
        return self.dp * self.model_parallel

    @property
    def model_parallel(self) -> int:
        """Ranks that work on the same rows together: context, tensor and pipeline ranks."""
        return self.cp * self.tp * self.pp

    def on_ranks(self, ranks: int) -> "Layout":
        """The same over another number of ranks: data-parallel ranks take over one another's shares of every batch, and
        weights stay sharded as they are where that is possible. Raises InputError when they do not fill whole ones."""
        dp, rest = divmod(ranks, self.model_parallel)
        if rest or not dp:
            raise InputError(
                f"layout {self} cannot go on with {ranks:,} ranks: cp × tp × pp = {self.model_parallel:,} of them work "
                "on the same rows together; use nodes for a multiple of that"
            )
        shards = self.dp // self.replicas
        return self.model_copy(update={"dp": dp, "replicas": 1 if dp % shards else dp // shards})

    @property
    def stages_per_rank(self) -> int:
        return self.virtual or (2 if self.schedule in ("interleaved", "zbv") else 1)

    @property
    def stages(self) -> int:
        return self.pp * self.stages_per_rank

    def __str__(self) -> str:
        parts = [f"dp{self.dp}.tp{self.tp}.pp{self.pp}"]
        parts += [f"rep{self.replicas}"] * (self.replicas > 1) + [f"cp{self.cp}"] * (self.cp > 1)
        parts += [self.schedule] * (self.schedule != "1f1b") + [f"v{self.virtual}"] * (self.virtual > 0)
        parts += [f"mb{self.micro_batch}"] * (self.micro_batch > 0)
        parts += [f"hc{self.head_chunks}"] * (self.head_chunks > 1)
        parts += [f"recompute-{self.recompute}"] * (self.recompute != "none") + ["compile"] * self.compile
        parts += ["async-tp"] * self.async_tp + ["flash"] * self.flash
        return ".".join(parts)

    def stage_numbers(self, rank: int) -> list[int]:
        """The pipeline stages of pipeline rank ``rank``, in order: for zbv down one side of a V and up the other."""
        if self.schedule == "zbv":
            return [rank, 2 * self.pp - 1 - rank]
        return [rank + turn * self.pp for turn in range(self.stages_per_rank)]

    def share(self, samples: range, rank: int) -> range:
        """The samples of a batch that data-parallel rank ``rank`` takes; shares differ by one sample at most."""
        edges = [place * len(samples) // self.dp for place in (rank, rank + 1)]
        return samples[edges[0] : edges[1]]

    def micro_batches(self, sequences: int, sequence_length: int) -> tuple[int, int]:
        """Number of micro-batches of a global batch and sequences in each, the same on every rank.

        Without a pipeline the last may be short. A pipeline needs whole ones, enough of them, and for interleaved
        1F1B a multiple of its rounds (Narayanan et al. 2021): ranks fill up with rows that predict nothing, as few as
        possible.
        """
        rows = math.ceil(sequences / self.dp)
        largest = self.micro_batch or max(1, min(rows, MICRO_BATCH_TOKENS // sequence_length))
        if self.pp == 1:
            count = math.ceil(rows / largest)
            return count, self.micro_batch or math.ceil(rows / count)
        sizes = [self.micro_batch] if self.micro_batch else range(largest, 0, -1)
        return min(
            ((self._fillable(math.ceil(rows / size)), size) for size in sizes), key=lambda choice: choice[0] * choice[1]
        )

    def _fillable(self, count: int) -> int:
        """The least number of micro-batches, ``count`` or more, that the schedule takes."""
        count = max(count, self.pp)
        while self.schedule == "interleaved" and count % (count // self.pp):
            count += 1
        return count

    @model_validator(mode="after")
    def _known_combination(self) -> Self:
        if self.dp % self.replicas:
            raise ValueError(
                f"rep = {self.replicas} does not divide dp = {self.dp}; "
                f"dp = {self.replicas * math.ceil(self.dp / self.replicas)} would do"
            )
        if self.schedule != "1f1b" and self.pp == 1:
            raise ValueError(f"schedule = {self.schedule} needs pp > 1")
        if self.virtual > 1 and self.schedule not in ("interleaved", "zbv"):
            raise ValueError(
                f"{self.virtual} stages per rank need schedule = interleaved or zbv; {self.schedule} has one"
            )
        if self.schedule == "zbv" and self.stages_per_rank != 2:
            raise ValueError(f"schedule = zbv has two stages per rank, not {self.virtual}")
        if self.schedule == "interleaved" and self.stages_per_rank == 1:
            raise ValueError("schedule = interleaved needs 2 or more stages per rank; with one it is 1f1b")
        if self.schedule == "zbv" and self.compile:
            # Measured: a compiled block's backward pass cannot be cut in two; made to run, its gradients are wrong.
            raise ValueError(
                "compile does not go with schedule = zbv, whose backward pass is cut in two; use interleaved"
            )
        if self.async_tp and not (self.compile and self.tp > 1):
            raise ValueError("async-tp is a pass of torch.compile over tensor parallelism: it needs compile and tp > 1")
        if self.schedule == "zbv" and self.recompute == "selective":
            # PyTorch: "You are only allowed to backward once on any region computed under selective checkpointing".
            raise ValueError("recompute = selective allows one backward pass, zbv makes two; use recompute = full")
        return self


def parse_layout(text: str) -> Layout:
    """``"dp2.tp2.pp2"`` → Layout. Raises InputError for another spelling or a combination that cannot be."""
    values: dict[str, int | str | bool] = {}
    for part in text.split("."):
        match = re.fullmatch(rf"({'|'.join(SIZES)})([1-9][0-9]{{0,5}})", part)
        given = {SIZES[match[1]]: int(match[2])} if match else WORDS.get(part)
        if given is None or values.keys() & given.keys():
            raise InputError(f"--layout {text}: {part!r} is not a part of a layout {SPELLING}")
        values |= given
    if values.get("virtual", 1) != 1:
        values.setdefault("schedule", "interleaved")
    try:
        return Layout.model_validate(values)
    except ValueError as error:
        reason = str(error).split("Value error, ")[-1].splitlines()[0].partition(" [type=")[0]
        raise InputError(f"--layout {text}: {reason}") from None


@cache
def partition_layers(layers: int, stages: int) -> tuple[range, ...]:
    """Layers of each pipeline stage, embedding and head counted as one slot each.

    126 layers + 2 = 128 slots divide over 16 stages: 7, 8 × 14, 7. Stages that come out uneven differ by one slot.
    """
    slots = layers + 2
    edges = [round(stage * slots / stages) for stage in range(stages + 1)]
    return tuple(range(max(0, start - 1), min(layers, end - 1)) for start, end in pairwise(edges))


COMPILE = "layout {layout}: compile is for GPUs; on a CPU it made training slower; leave it out"


class ModelShape(Protocol):
    """What a layout cuts up: a recipe's model, or a shape that is planned."""

    @property
    def num_hidden_layers(self) -> int: ...
    @property
    def num_key_value_heads(self) -> int: ...
    @property
    def intermediate_size(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def tie_word_embeddings(self) -> bool: ...


def check_layout(layout: Layout, recipe: Recipe, device: str = "") -> None:
    """Raise InputError, naming the key and a size that would do, when ``recipe`` cannot run so on ``device``."""
    check_sizes(layout, recipe.model, recipe.batch.sequence_length, recipe.batch.sizes)
    if layout.compile and device == "cpu":
        raise InputError(COMPILE.format(layout=layout))
    if layout.flash and device == "cpu":
        raise InputError(f"layout {layout}: flash is for GPUs like the H100 or later; leave it out")
    if layout.flash and recipe.precision.compute != "bfloat16":
        raise InputError(
            f'layout {layout}: flash computes in bfloat16, and precision.compute = "{recipe.precision.compute}"; '
            "leave it out"
        )
    if recipe.precision.matmul == "float8-rowwise":
        _check_float8(layout, recipe)


FLOAT8_TILE = 16
"""Of every dimension of a float8 product on a GPU; a CPU refuses the others, too, so that it emulates what can be."""


def _check_float8(layout: Layout, recipe: Recipe) -> None:
    model, tp = recipe.model, layout.tp
    sizes = {
        "model.hidden_size": model.hidden_size,
        "keys on a rank, head_dim × num_key_value_heads / tp": model.num_key_value_heads * model.head_dim // tp,
        "model.intermediate_size / tp": model.intermediate_size // tp,
        "batch.sequence_length / cp": recipe.batch.sequence_length // layout.cp,
    }
    for what, size in sizes.items():
        if size % FLOAT8_TILE:
            raise InputError(
                f'layout {layout}: precision.matmul = "float8-rowwise" needs multiples of {FLOAT8_TILE}, and {what} is '
                f"{size:,}; leave precision.matmul out, or choose another layout"
            )


def check_sizes(layout: Layout, model: ModelShape, sequence_length: int, batches: Sequence[int]) -> None:
    """The same for a model's sizes, rows of ``sequence_length`` tokens and ``batches`` of so many rows."""
    split_by_tp = (
        ("num_key_value_heads", model.num_key_value_heads),
        ("intermediate_size", model.intermediate_size),
        ("vocab_size", model.vocab_size),
    )
    for what, size in split_by_tp:
        if size % layout.tp:
            fits = next(tp for tp in range(layout.tp, 0, -1) if not any(size % tp for _, size in split_by_tp))
            raise InputError(
                f"layout {layout}: tp = {layout.tp} does not divide model.{what} = {size:,}; tp = {fits} would do"
            )
    _check_sequence(layout, sequence_length)
    if layout.pp > 1 and model.tie_word_embeddings:
        raise InputError(
            f"layout {layout}: model.tie_word_embeddings needs pp = 1, as the first and the last stage would share "
            "one weight"
        )
    if not all(partition_layers(model.num_hidden_layers, layout.stages)):
        most = max(
            (
                pp
                for pp in range(1, layout.pp)
                if all(partition_layers(model.num_hidden_layers, pp * layout.stages_per_rank))
            ),
            default=1,
        )
        raise InputError(
            f"layout {layout}: {layout.stages} pipeline stages leave one without layers "
            f"(model.num_hidden_layers = {model.num_hidden_layers}); pp = {most} would do"
            + (f" with {layout.stages_per_rank} stages per rank" if most > 1 and layout.stages_per_rank > 1 else "")
        )
    for sequences in batches:
        _check_batch(layout, sequences)


def _check_batch(layout: Layout, sequences: int) -> None:
    """Shares need not be even, but every rank has a row of every batch, and every pipeline stage something to do."""
    if layout.dp > sequences:
        raise InputError(
            f"layout {layout}: dp = {layout.dp} is more than the {sequences:,} sequences of a batch: ranks would have "
            f"no row; dp = {sequences} would do"
        )
    rows = math.ceil(sequences / layout.dp)
    if layout.micro_batch > rows:
        raise InputError(
            f"layout {layout}: mb = {layout.micro_batch} is more than the {rows:,} sequences of each data-parallel "
            f"rank; mb = {rows} would do"
        )
    micro_batches = math.ceil(rows / (layout.micro_batch or 1))
    if micro_batches < layout.pp:
        raise InputError(
            f"layout {layout}: {micro_batches} micro-batches cannot fill pp = {layout.pp} pipeline stages; "
            f"{layout.dp * layout.pp * (layout.micro_batch or 1):,} sequences per batch would"
        )


def _check_sequence(layout: Layout, length: int) -> None:
    """Context parallelism cuts a row into 2 · cp chunks, two to a rank; sequence parallelism cuts a rank's into tp."""
    unit = math.lcm(2 * layout.cp if layout.cp > 1 else 1, layout.cp * layout.tp)
    if length % unit:
        nearest = unit * max(1, round(length / unit))
        reason = f"cp = {layout.cp} and tp = {layout.tp} need" if layout.cp > 1 else f"tp = {layout.tp} needs"
        raise InputError(
            f"layout {layout}: {reason} batch.sequence_length = {length:,} to be a multiple of {unit:,}, as "
            f"activations are split along the sequence; {nearest:,} would do"
        )
