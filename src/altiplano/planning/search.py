"""Every layout that fits, fastest first; ties within the model's error, and which of them to take."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from altiplano.errors import InputError
from altiplano.planning.case import Case, Recompute, Sharding, Spread
from altiplano.planning.memory import GIB, Memory, capacity, fullest
from altiplano.planning.published import published_runs
from altiplano.planning.shape import Shape
from altiplano.planning.stack import Chip, Stack
from altiplano.planning.steptime import step_time
from altiplano.recipe.layout import pipeline_slots

TIE = 0.04
"""Layouts of one stack whose step times are so close are not told apart: twice the median error on published runs."""
TIGHT = 0.95
"""Of the memory that can be filled: predicted peaks are up to 6 % off."""
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
        spread = self.case.spread
        kinds = (spread.tp > 1) + 2 * (spread.pp > 1) + 2 * (spread.cp > 1) + (spread.recompute != "none")
        return not self.published, self.tight, kinds, spread.pp * spread.cp, spread.tp


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


def search(case: Case, devices: int, chip: Chip, stack: Stack, name: str = "the cluster") -> Search:
    """All layouts of ``case``'s model and batch over ``devices``. Raises InputError when none fits."""
    choices, tried, least = [], 0, float("inf")
    room = capacity(chip)
    known = _published(case.shape)
    for candidate in candidates(case, devices, chip, stack):
        tried += 1
        memory = fullest(candidate, stack)
        least = min(least, memory.total)
        if memory.total > room:
            continue
        spread = candidate.spread
        where = known.get((spread.tp, spread.pp, spread.cp, spread.virtual, candidate.sequence), "")
        seconds, tight = step_time(candidate, chip, stack).total, memory.total > TIGHT * room
        choices.append(Choice(candidate, seconds, memory, where, tight))
    if not tried:
        raise InputError(
            f"no layout deals {case.sequences:,} sequences of {case.sequence:,} tokens and {case.shape.layers} layers "
            f"evenly to all {devices} devices of {name}; another batch.tokens or number of devices would"
        )
    if not choices:
        raise InputError(
            f"nothing fits {devices} devices of {name}: {room / GIB:.0f} GiB each, and the least that any of "
            f"{tried:,} layouts needs is {least / GIB:,.0f} GiB; more devices or a smaller model would do"
        )
    return Search(sorted(choices, key=lambda choice: choice.seconds), tried)


def candidates(case: Case, devices: int, chip: Chip, stack: Stack) -> Iterator[Case]:
    shape = case.shape
    splits = [size for size in (shape.kv_heads, shape.ffn_width, shape.vocabulary) if size]
    tensors = [tp for tp in (1, 2, 4, 8) if tp <= chip.domain and not any(size % tp for size in splits)]
    pipelines = [pp for pp in range(1, min(devices, shape.layers) + 1) if devices % pp == 0 and pp <= 64]
    contexts = (1, 2, 4, 8, 16)
    for tp, pp, cp in product(tensors, pipelines, contexts):
        if devices % (tp * pp * cp) or case.sequence % (2 * cp * tp) or (shape.tied and pp > 1 and stack.slots):
            continue
        dp = devices // (tp * pp * cp)
        if cp > 1 and case.sequence // cp < 2048:
            continue
        for micro_batch in (1, 2, 4):
            if case.sequences % (dp * micro_batch) or (micro_batch > 1 and case.sequence * micro_batch > 32768):
                continue
            count = case.sequences // (dp * micro_batch)
            for virtual in VIRTUAL:
                if not _pipeline_works(case, stack, pp, virtual, count):
                    continue
                schedule = "1f1b" if virtual == 1 else "interleaved"
                spread = Spread(
                    dp, tp, pp, cp, virtual, micro_batch, schedule, "none", stack.sharding, stack.gradient_bytes
                )
                for recompute, sharding, gradient_bytes, shards in _memory_choices(spread, chip, stack):
                    yield replace(
                        case,
                        filled=0,
                        slots=stack.slots,
                        spread=replace(
                            spread, recompute=recompute, sharding=sharding, gradient_bytes=gradient_bytes, shards=shards
                        ),
                    )


def _pipeline_works(case: Case, stack: Stack, pp: int, virtual: int, count: int) -> bool:
    if pp == 1:
        return virtual == 1
    stages, layers = pp * virtual, case.shape.layers
    if count < pp or (virtual > 1 and count % pp):
        return False
    even = (layers + 2) % stages == 0 or (layers % stages == 0 and not stack.slots)
    if not stack.slots:
        return even
    # Ours deals layers out unevenly where it must, but no stage goes without.
    return (even or virtual == 1) and layers >= stages and all(pipeline_slots(layers, stages))


def _memory_choices(spread: Spread, chip: Chip, stack: Stack) -> Iterator[tuple[Recompute, Sharding, int, int]]:
    """Recomputation, what is sharded, the gradients' type, and over how many ranks."""
    ranks = spread.dp * spread.cp
    for recompute in stack.recomputes:
        yield recompute, stack.sharding, stack.gradient_bytes, 0
        if stack.sharding == "zero3" and chip.node < ranks and spread.pp == 1 and ranks % chip.node == 0:
            yield recompute, stack.sharding, stack.gradient_bytes, chip.node
        if stack.sharding != "zero3" and stack.gradient_bytes == 2:
            yield recompute, stack.sharding, 4, 0


@cache
def _published(shape: Shape) -> dict[tuple[int, int, int, int, int], str]:
    """Where layouts of this very model were published, by tp, pp, cp, virtual stages and sequence."""
    found: dict[tuple[int, int, int, int, int], str] = {}
    for run in published_runs():
        if run.case.shape == shape and run.split != "recalled":
            spread = run.case.spread
            found.setdefault((spread.tp, spread.pp, spread.cp, spread.virtual, run.case.sequence), run.source)
    return found
