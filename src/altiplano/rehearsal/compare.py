"""What a rehearsed rank measured beside what the planner counts for it."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from altiplano.planning import counts
from altiplano.planning.case import Case
from altiplano.planning.memory import kept_activations
from altiplano.planning.stacks import load_stack
from altiplano.recipe.layout import Layout
from altiplano.recipe.schema import Recipe

STACK = "altiplano"
ACTIVATIONS_WITHIN = 0.10
"""The planner leaves out what is small beside blocks: rotary tables, token numbers, the loss of each token."""


@dataclass(frozen=True)
class ComparedFigure:
    """``within``: how far apart the two may be, relative; 0 is exact."""

    what: str
    planned: int
    measured: int
    within: float = 0.0

    @property
    def agrees(self) -> bool:
        return abs(self.measured - self.planned) <= self.within * self.planned


@dataclass(frozen=True)
class Sent:
    """``size``: bytes of the whole tensor over ``group`` of ``ranks``. ``planned`` and ``measured`` are counts."""

    kind: str
    group: str
    ranks: int
    size: int
    what: str
    planned: int
    measured: int

    @property
    def agrees(self) -> bool:
        return self.planned == self.measured


@dataclass(frozen=True)
class Comparison:
    """Of pipeline rank ``rank``, and of those in ``alike``, which keep and send the same."""

    rank: int
    alike: list[int]
    stages: list[int]
    lines: list[ComparedFigure]
    collectives: list[Sent]
    seconds: float
    process_bytes: int

    @property
    def agrees(self) -> bool:
        return all(one.agrees for one in self.lines) and all(one.agrees for one in self.collectives)


def kinds_of_rank(recipe: Recipe, layout: Layout) -> list[list[int]]:
    """Pipeline ranks that keep and send the same; the first of each has the most micro-batches in flight."""
    kinds: dict[Any, list[int]] = {}
    for rank in range(layout.pp):
        sent = tuple(counts.collectives(recipe, layout, rank))
        kinds.setdefault((counts.parameters_on_rank(recipe, layout, rank), sent), []).append(rank)
    return list(kinds.values())


def compare(recipe: Recipe, layout: Layout, case: Case, alike: list[int], measured: dict[str, Any]) -> Comparison:
    rank = alike[0]
    lines = [
        ComparedFigure("parameters", counts.parameters_on_rank(recipe, layout, rank), measured["parameters"]),
        ComparedFigure("state bytes", counts.state_bytes(recipe, layout, rank), measured["state_bytes"]),
    ]
    kept = round(kept_activations(case, load_stack(STACK), rank))
    lines.append(ComparedFigure("activation peak bytes", kept, measured["activation_bytes"], ACTIVATIONS_WITHIN))
    return Comparison(
        rank,
        alike,
        layout.stage_numbers(rank),
        lines,
        _compare_collectives(recipe, layout, rank, measured["collectives"]),
        measured["seconds"],
        measured["process_bytes"],
    )


def _compare_collectives(recipe: Recipe, layout: Layout, rank: int, measured: list[list[Any]]) -> list[Sent]:
    planned: Counter[tuple[str, str, int]] = Counter()
    names: dict[tuple[str, str, int], str] = {}
    for one in counts.collectives(recipe, layout, rank):
        key = one.kind, one.group, one.size
        planned[key] += one.count
        names[key] = f"{names[key]}, {one.what}" if key in names else one.what
    real = {(kind, group, size): count for kind, group, size, count in measured}
    ranks = {
        "tp": layout.tp,
        "cp": layout.cp,
        "pp": layout.pp,
        "shards": counts.shard_ranks(layout),
        "replicas": layout.replicas,
    }
    return [
        Sent(*key[:2], ranks[key[1]], key[2], names.get(key, "not planned"), planned[key], real.get(key, 0))
        for key in sorted({*planned, *real})
    ]
