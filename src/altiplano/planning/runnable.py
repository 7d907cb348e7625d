"""Whether a layout can run: on our trainer, which ``train --layout`` asks, and on the stack that is planned for.

The search prints only what this accepts, and ``plan --layout`` accepts nothing else.
"""

from collections.abc import Sequence

from altiplano.errors import InputError
from altiplano.planning.case import Case
from altiplano.planning.stack import Stack
from altiplano.recipe.layout import COMPILE, Layout, check_sizes

KINDS = {"tp": "tensor parallelism", "pp": "pipelines", "cp": "context parallelism"}


def check_runnable(layout: Layout, case: Case, stack: Stack, batches: Sequence[int]) -> None:
    """Raises InputError, with the reason, when ``layout`` cannot train ``case``'s model; ``batches``: their sizes."""
    check_sizes(layout, case.shape, case.sequence, batches)
    if layout.compile and stack.name == "altiplano-cpu":
        raise InputError(COMPILE.format(layout=layout))
    name = f"layout {layout}: {stack.name}"
    for kind, words in KINDS.items():
        if getattr(layout, kind) > 1 and kind not in stack.parallelism:
            raise InputError(f"{name} has no {words}; {kind} = 1 would do, or another --stack")
    if layout.recompute not in stack.recomputes:
        raise InputError(f"{name} has no recompute = {layout.recompute}; it has {', '.join(stack.recomputes)}")
    if layout.schedule not in stack.schedules:
        raise InputError(f"{name} has no schedule = {layout.schedule}; it has {', '.join(stack.schedules)}")
    if stack.slots:  # these deal layers out unevenly, and fill up with rows that predict nothing
        return
    layers, stages = case.shape.layers, layout.stages
    if (layers + 2) % stages and layers % stages:
        raise InputError(
            f"{name} needs as many layers on every pipeline stage: {stages} stages divide neither "
            f"model.layers = {layers} nor, with embedding and head, {layers + 2}"
        )
    for sequences in batches:
        each = layout.dp * layout.micro_batches(sequences, case.sequence)[1]
        if sequences % each:
            near = max(1, round(sequences / each)) * each
            raise InputError(
                f"layout {layout}: {sequences:,} sequences of a batch are not divisible by dp × micro-batch = "
                f"{each}; {near:,} sequences, batch.tokens = {near * case.sequence:,}, are"
            )
        count = sequences // each
        if layout.schedule == "interleaved" and count % layout.pp:
            raise InputError(
                f"{name} interleaves stages only of micro-batches in multiples of pp = {layout.pp}, not of {count:,}"
            )
