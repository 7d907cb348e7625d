"""Every layout that fits, fastest first; ties within the model's error, and which of them to take.

Whether a layout can run: on our trainer, which ``train --layout`` asks, and on the stack that is planned for.

The search prints only what this accepts, and ``plan --layout`` accepts nothing else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, product

from altiplano.errors import DoesNotFit, InputError
from altiplano.planning.case import Case, Parallelism, RecomputeMode, layout_of
from altiplano.planning.memory import GIB, Memory, capacity, fullest
from altiplano.planning.model_size import Shape
from altiplano.planning.published.runs import known_runs
from altiplano.planning.stacks import Chip, Stack
from altiplano.planning.step_time.step_time import step_time
from altiplano.recipe.layout import COMPILE, Layout, check_sizes

TIE = 0.04
"""Layouts of one stack whose step times are so close are not told apart: twice the median error on published runs."""
TIGHT = 0.90
"""Of the memory that can be filled: predicted peaks are within 6 % of published ones, and one of a run that was not
in our file was 14 % higher."""
HEAD_CHUNKS = 8
"""More pieces of the head save little: then other things are larger than one of them."""
VIRTUAL = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)


@dataclass(frozen=True)
class Choice:
    """A layout that fits. ``published``: where a run of this model on it was published; "": nowhere. ``tight``: it
    fills more of the memory than the model's error allows to be sure of."""

    case: Case
    seconds: float
    memory: Memory
    published: str
    tight: bool

    @property
    def effort(self) -> tuple[bool, bool, int, int, int]:
        """Best first among equals: a measured layout, room to spare, fewer kinds of parallelism, and less of them."""
        parallelism = self.case.parallelism
        kinds = (
            (parallelism.tp > 1)
            + 2 * (parallelism.pp > 1)
            + 2 * (parallelism.cp > 1)
            + (parallelism.recompute != "none")
            + (parallelism.head_chunks > 1)
        )
        return not self.published, self.tight, kinds, parallelism.pp * parallelism.cp, parallelism.tp


@dataclass(frozen=True)
class Search:
    """All layouts that fit, fastest first, and how many were tried."""

    choices: list[Choice]
    tried: int

    @property
    def ties(self) -> list[Choice]:
        """The fastest and those that the model cannot tell from it, best first."""
        close = [choice for choice in self.choices if choice.seconds <= (1 + TIE) * self.choices[0].seconds]
        return sorted(close, key=lambda choice: (choice.effort, choice.seconds))

    @property
    def best(self) -> Choice:
        return self.ties[0]


def search(
    case: Case, devices: int, chip: Chip, stack: Stack, name: str = "the cluster", batches: Sequence[int] = ()
) -> Search:
    """All layouts of ``case``'s model over ``devices`` that take its batch, and ``batches`` of a ramp's sizes.

    Raises InputError when there is none, DoesNotFit when none fits.
    """
    choices, tried, least = [], 0, float("inf")
    room = capacity(chip)
    known = measured(case.shape, stack.name, chip.name, case.precision)
    for candidate in candidates(case, devices, chip, stack, batches):
        tried += 1
        memory = fullest(candidate, stack)
        least = min(least, memory.total)
        if memory.total > room:
            continue
        parallelism = candidate.parallelism
        where = known.get((parallelism.tp, parallelism.pp, parallelism.cp, parallelism.virtual, candidate.sequence), "")
        seconds, tight = step_time(candidate, chip, stack).total, memory.total > TIGHT * room
        choices.append(Choice(candidate, seconds, memory, where, tight))
    if not tried:
        near = neighbours(case, devices, chip, stack, batches)
        few = min(batches, default=case.sequences)
        rows = f"{case.sequences:,}" if few == case.sequences else f"batches of {few:,} to {case.sequences:,}"
        raise InputError(
            f"no layout deals {rows} sequences of {case.sequence:,} tokens and {case.shape.num_hidden_layers} layers "
            f"evenly to all {devices:,} devices of {name}; "
            + (f"{' or '.join(f'{count:,}' for count in near)} devices would do, or" if near else "try")
            + " another batch.tokens"
        )
    if not choices:
        more = enough(case, devices, chip, stack, batches)
        raise DoesNotFit(
            f"nothing fits {devices:,} devices of {name}: {room / GIB:.0f} GiB each, and the least that any of "
            f"{tried:,} layouts needs is {least / GIB:,.0f} GiB; "
            + (f"{more:,} devices or a smaller model would do" if more else "a smaller model would do")
        )
    return Search(sorted(choices, key=lambda choice: choice.seconds), tried)


def neighbours(case: Case, devices: int, chip: Chip, stack: Stack, batches: Sequence[int]) -> list[int]:
    """The nearest numbers of devices below and above on which some layout takes the batch and fits."""
    step = chip.node if devices > chip.node else 1  # whole nodes
    below, above = (devices - 1) // step * step, devices // step * step + step
    ranges = (range(below, 0, -step), range(above, 2 * above + 1, step))
    found = []
    for counts in ranges:
        dealt = (count for count in counts if next(candidates(case, count, chip, stack, batches), None))
        # The nearest few: where none of them fits, those further below do not, either.
        found += [count for count in islice(dealt, 3) if fits(case, count, chip, stack, batches)][:1]
    return found


def enough(case: Case, devices: int, chip: Chip, stack: Stack, batches: Sequence[int]) -> int:
    """The least power of two times ``devices`` that fits; 0: none up to 1,024 times."""
    counts = (devices * 2**power for power in range(1, 11))
    return next((count for count in counts if fits(case, count, chip, stack, batches)), 0)


def fits(case: Case, devices: int, chip: Chip, stack: Stack, batches: Sequence[int]) -> bool:
    room = capacity(chip)
    return any(fullest(one, stack).total <= room for one in candidates(case, devices, chip, stack, batches))


def candidates(case: Case, devices: int, chip: Chip, stack: Stack, batches: Sequence[int] = ()) -> Iterator[Case]:
    """Every layout that is tried, and can run; whether it fits is another question."""
    shape, kinds = case.shape, stack.parallelism
    tensors = [tp for tp in (1, 2, 4, 8) if tp <= chip.domain] if "tp" in kinds else [1]
    pipelines = [pp for pp in range(1, min(devices, shape.num_hidden_layers, 64) + 1) if devices % pp == 0]
    contexts = [cp for cp in (1, 2, 4, 8, 16) if cp == 1 or case.sequence // cp >= 2048] if "cp" in kinds else [1]
    for tp, pp, cp in product(tensors, pipelines if "pp" in kinds else [1], contexts):
        if devices % (tp * pp * cp):
            continue
        dp = devices // (tp * pp * cp)
        for micro_batch in (1, 2, 4):
            if case.sequences % (dp * micro_batch) or (micro_batch > 1 and case.sequence * micro_batch > 32768):
                continue
            for virtual in VIRTUAL if pp > 1 else (1,):
                if pp * virtual > shape.num_hidden_layers or (
                    virtual > 1 and case.sequences // (dp * micro_batch) % pp
                ):
                    continue
                # Ours deals layers out unevenly where it must; with several stages a rank that is never the best.
                if stack.slots and virtual > 1 and (shape.num_hidden_layers + 2) % (pp * virtual):
                    continue
                schedule = "1f1b" if virtual == 1 else "interleaved"
                parallelism = Parallelism(
                    dp, tp, pp, cp, virtual, micro_batch, schedule, "none", stack.sharding, stack.gradient_bytes
                )
                one = replace(case, filled=0, slots=stack.slots, parallelism=parallelism)
                for recompute, shards, chunks in _memory_choices(parallelism, chip, stack):
                    chosen = replace(parallelism, recompute=recompute, shards=shards, head_chunks=chunks)
                    laid = replace(one, parallelism=chosen)
                    if _runs(laid, stack, batches or (case.sequences,)):
                        yield laid


def _runs(case: Case, stack: Stack, batches: Sequence[int]) -> bool:
    try:
        check_runnable(layout_of(case.parallelism), case, stack, batches)
    except (InputError, ValueError):
        return False
    return True


def _memory_choices(parallelism: Parallelism, chip: Chip, stack: Stack) -> Iterator[tuple[RecomputeMode, int, int]]:
    """Recomputation, over how many ranks is sharded (0: all), and pieces of the head. With a pipeline the head's rank
    holds the fewest micro-batches, so that others are fuller."""
    ranks = parallelism.dp * parallelism.cp
    hybrid = stack.sharding == "zero3" and chip.node < ranks and parallelism.pp == 1 and ranks % chip.node == 0
    pieces = (1, HEAD_CHUNKS) if stack.head_in_pieces and parallelism.pp == 1 else (1,)
    return product(stack.recomputes, (0, chip.node) if hybrid else (0,), pieces)


@cache
def measured(shape: Shape, stack: str, chip: str, precision: str) -> dict[tuple[int, int, int, int, int], str]:
    """Where layouts of this very model were published, by tp, pp, cp, virtual stages and sequence."""
    found: dict[tuple[int, int, int, int, int], str] = {}
    for run in known_runs():
        same = (run.case.shape, run.stack.name, run.chip.name, run.case.precision) == (shape, stack, chip, precision)
        if same and run.split != "recalled":
            parallelism = run.case.parallelism
            found.setdefault(
                (parallelism.tp, parallelism.pp, parallelism.cp, parallelism.virtual, run.case.sequence), run.source
            )
    return found


KINDS = {"tp": "tensor parallelism", "pp": "pipelines", "cp": "context parallelism"}


def check_runnable(layout: Layout, case: Case, stack: Stack, batches: Sequence[int]) -> None:
    """Raises InputError, with the reason, when ``layout`` cannot train ``case``'s model; ``batches``: their sizes."""
    check_sizes(layout, case.shape, case.sequence, batches)
    if layout.compile and stack.name == "altiplano-cpu":
        raise InputError(COMPILE.format(layout=layout))
    for kind, words in KINDS.items():
        if getattr(layout, kind) > 1 and kind not in stack.parallelism:
            raise InputError(f"layout {layout}: {stack.name} has no {words}; {kind} = 1 would do, or another --stack")
    if layout.recompute not in stack.recomputes:
        raise InputError(
            f"layout {layout}: {stack.name} has no recompute = {layout.recompute}; it has {', '.join(stack.recomputes)}"
        )
    if layout.async_tp and not stack.async_tp_exposed:
        raise InputError(
            f"layout {layout}: {stack.name} has no asynchronous tensor parallelism; leave async-tp out, or another "
            "--stack"
        )
    if layout.head_chunks > 1 and not stack.head_in_pieces:
        raise InputError(
            f"layout {layout}: {stack.name} has no head in pieces; head_chunks = 1 would do, or another --stack"
        )
    if layout.schedule not in stack.schedules:
        raise InputError(
            f"layout {layout}: {stack.name} has no schedule = {layout.schedule}; it has {', '.join(stack.schedules)}"
        )
    if stack.slots:  # these deal layers out unevenly, and fill up with rows that predict nothing
        return
    layers, stages = case.shape.num_hidden_layers, layout.stages
    if (layers + 2) % stages and layers % stages:
        raise InputError(
            f"layout {layout}: {stack.name} needs as many layers on every pipeline stage: {stages} stages divide "
            f"neither model.num_hidden_layers = {layers} nor, with embedding and head, {layers + 2}"
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
                f"layout {layout}: {stack.name} interleaves stages only of micro-batches in multiples of "
                f"pp = {layout.pp}, not of {count:,}"
            )
