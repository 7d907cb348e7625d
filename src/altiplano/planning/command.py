"""``altiplano plan``: reading its options, and what it prints."""

import json
from typing import Any

from altiplano.errors import InputError
from altiplano.planning.advice import advice
from altiplano.planning.contradictions import contradictions
from altiplano.planning.describe import describe
from altiplano.planning.edits import smallest_edits
from altiplano.planning.plan import Plan, make_plan
from altiplano.planning.table import details, duration, first_screen, span
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.schema import Recipe


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan, what contradicts it and what would mend that; docs/plan.md has the keys."""
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
    return text + "\n" + details(plan, found) + "\n\nAdvice\n" + "\n".join(f"- {hint['text']}" for hint in hints)


def what_if(text: str, recipe: Recipe, cluster: Cluster, layout: str | None, stack: str, precision: str) -> list[Plan]:
    """``"gpus=1024,4096"`` → a plan for each. Raises InputError for another spelling."""
    key, _, values = text.partition("=")
    if key not in ("gpus", "devices") or not all(value.isdigit() and int(value) > 0 for value in values.split(",")):
        raise InputError(f"--what-if {text}: write gpus=1024,4096")
    if layout not in (None, "auto"):
        raise InputError(f"--what-if {text} needs --layout auto, as a layout is of one number of devices")
    return [make_plan(recipe, cluster, None, stack, int(value), precision) for value in values.split(",")]


def side_by_side(plans: list[Plan], names: list[str]) -> str:
    """The main figures of several plans, one column each."""
    rows = {
        "devices": [f"{plan.devices:,}" for plan in plans],
        "layout": [str(plan.case.spread) for plan in plans],
        "fits": ["yes" if plan.fits else "NO" for plan in plans],
        "step": [duration(plan.seconds) for plan in plans],
        "time": [span(plan.bill(plan.best_ettr).days) for plan in plans],
        "device-hours": [f"{plan.bill(plan.best_ettr).device_hours:,.0f}" for plan in plans],
        "cost": [f"${plan.bill(plan.best_ettr).dollars:,.0f}" for plan in plans],
        "failures": [f"{plan.failures:,.0f}" for plan in plans],
        "goes forward": [f"{plan.best_ettr:.1%}" for plan in plans],
    }
    widths = [max(len(name), *(len(row[number]) for row in rows.values())) for number, name in enumerate(names)]
    lines = [" " * 13 + "  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for title, row in rows.items():
        lines.append(f"{title:<13}" + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
    return "\n".join(lines)


def make_plans(
    recipe: Recipe,
    cluster: Cluster,
    layout: str | None,
    stack: str,
    precision: str,
    question: str | None,
    other: Recipe | None,
) -> tuple[list[Plan], list[str]]:
    """The plan, then those of ``--what-if`` or of the other recipe, and what to call them."""
    given = None if layout in (None, "auto") else parse_layout(layout or "")
    plans, names = [make_plan(recipe, cluster, given, stack, precision=precision)], [recipe.name]
    if question:
        plans += what_if(question, recipe, cluster, layout, stack, precision)
        names = [f"{one.devices:,}" for one in plans]
    if other is not None:
        plans.append(make_plan(other, cluster, given, stack, precision=precision))
        names.append(other.name)
    return plans, names


def print_plans(plans: list[Plan], names: list[str], as_json: bool) -> None:
    if as_json:
        every = [plan_json(one) for one in plans]
        print(json.dumps(every[0] if len(every) == 1 else every, indent=1, allow_nan=False))
    elif len(plans) > 1:
        print(plan_text(plans[0], with_details=False) + "\n\n" + side_by_side(plans, names))
    else:
        print(plan_text(plans[0]))
