"""``altiplano plan``: reading its options, and what it prints."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from altiplano.errors import InputError
from altiplano.formatting import estimate, span, wrapped
from altiplano.planning.consistency.advice import advice
from altiplano.planning.consistency.contradictions import contradictions
from altiplano.planning.consistency.edits import smallest_edits
from altiplano.planning.output.plan_json import describe
from altiplano.planning.output.table import details, first_screen
from altiplano.planning.plan import Plan, make_plan
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.schema import Recipe


@dataclass(frozen=True)
class Column:
    """One plan of several, or why there is none."""

    name: str
    recipe: str
    plan: Plan | None
    reason: str = ""

    @property
    def fits(self) -> bool:
        return self.plan is not None and self.plan.fits


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan, what contradicts it and what would mend that; docs/reference/json-output.md has the keys."""
    return {
        **describe(plan),
        "contradictions": [one.json() for one in contradictions(plan)],
        "edits": [edit.json() for edit in smallest_edits(plan)],
        "advice": advice(plan),
    }


def plan_text(plan: Plan, with_details: bool = True) -> str:
    found = contradictions(plan)
    text = first_screen(plan, found, smallest_edits(plan))
    if not with_details:
        return text
    hints = advice(plan)
    return text + "\n" + details(plan, found) + "\n\nAdvice\n" + "\n".join(wrapped(h["text"], "- ", 2) for h in hints)


def device_counts(text: str, layout: str | None) -> list[int]:
    """``"gpus=1024,4096"`` → both. Raises InputError for another spelling."""
    key, _, values = text.partition("=")
    if key not in ("gpus", "devices") or not all(value.isdigit() and int(value) > 0 for value in values.split(",")):
        raise InputError(f"--what-if {text}: write gpus=1024,4096")
    if layout not in (None, "auto"):
        raise InputError(f"--what-if {text} needs --layout auto, as a layout is of one number of devices")
    return [int(value) for value in values.split(",")]


def side_by_side(columns: list[Column]) -> str:
    """The main figures of several plans, one column each; below, why one is empty."""

    def row(title: str, cell: Callable[[Plan], str], otherwise: str = "-") -> list[str]:
        return [title, *(otherwise if one.plan is None else cell(one.plan) for one in columns)]

    rows = [
        ["", *(one.name for one in columns)],
        row("devices", lambda plan: f"{plan.devices:,}"),
        row("layout", lambda plan: str(plan.case.parallelism)),
        row("fits", lambda plan: "yes" if plan.fits else "NO", "NO"),
        row("step", lambda plan: estimate(plan.seconds)),
        row("time", lambda plan: span(plan.bill(plan.ettr).days)),
        row("device-hours", lambda plan: f"{plan.bill(plan.ettr).device_hours:,.0f}"),
        row("cost", lambda plan: f"${plan.bill(plan.ettr).dollars:,.0f}"),
        row("failures", lambda plan: f"{plan.failures:,.0f}"),
        row("productive time", lambda plan: f"{plan.ettr:.1%}"),
        row("best interval", lambda plan: f"{plan.best_steps:,} steps"),
        row("time with it", lambda plan: span(plan.bill(plan.best_ettr).days)),
    ]
    widths = [max(len(cells[place]) for cells in rows) for place in range(len(columns) + 1)]
    lines = [
        f"{cells[0]:<{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(cells[1:], widths[1:], strict=True))
        for cells in rows
    ]
    return "\n".join(lines + [wrapped(one.reason, f"{one.name}: ", 2) for one in columns if one.reason])


def make_plans(
    recipe: Recipe,
    cluster: Cluster,
    layout: str | None,
    stack: str,
    precision: str,
    question: str | None,
    other: Recipe | None,
) -> list[Column]:
    """The plan, then those of ``--what-if`` or of the other recipe. Raises InputError when the first cannot be; of
    another the reason is kept, so that one impossible number does not hide the possible ones."""
    given = None if layout in (None, "auto") else parse_layout(layout or "")
    counts = device_counts(question, layout) if question else []
    first = make_plan(recipe, cluster, given, stack, precision=precision)
    columns = [Column(f"{first.devices:,}" if question else recipe.name, recipe.name, first)]

    def add(name: str, one: Recipe, devices: int) -> None:
        try:
            columns.append(Column(name, one.name, make_plan(one, cluster, given, stack, devices, precision)))
        except InputError as error:
            columns.append(Column(name, one.name, None, str(error)))

    for count in counts:
        add(f"{count:,}", recipe, count)
    if other is not None:
        add(other.name, other, 0)
    return columns


def print_plans(columns: list[Column], as_json: bool, more: Mapping[str, Any] = MappingProxyType({})) -> None:
    """``more``: what the JSON of the first plan has, too."""
    first = columns[0].plan
    assert first is not None  # make_plans raises instead
    if as_json:
        every: list[dict[str, Any]] = [
            plan_json(one.plan) if one.plan else {"recipe": one.recipe, "column": one.name, "refused": one.reason}
            for one in columns
        ]
        every[0].update(more)
        print(json.dumps(every[0] if len(every) == 1 else every, indent=1, allow_nan=False))
    elif len(columns) > 1:
        print(plan_text(first, with_details=False) + "\n\n" + side_by_side(columns))
    else:
        print(plan_text(first))
