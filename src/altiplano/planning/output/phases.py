"""The phases of a recipe, each planned as the training that it is, and what all trainings take together."""

from collections.abc import Callable, Sequence
from typing import Any

from altiplano.errors import InputError
from altiplano.formatting import estimate, span, wrapped
from altiplano.planning.memory import capacity
from altiplano.planning.output.plan_json import describe
from altiplano.planning.output.plans import Column
from altiplano.planning.plan import Plan, make_plan
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.layout import parse_layout
from altiplano.recipe.schema import Recipe
from altiplano.recipe.trainings import layout_of, trainings
from altiplano.recipe.units import human, human_bytes


def plan_phases(recipe: Recipe, cluster: Cluster, layout: str | None, stack: str, precision: str) -> list[Column]:
    """One for each phase, as training has it with ``layout``: by its own one in the cluster file, else by ``layout``.
    None and auto: by the best one. Of a phase that cannot be, the reason."""
    given = None if layout in (None, "auto") else parse_layout(layout or "")
    found = []
    for training in trainings(recipe)[1:]:
        try:
            chosen = None if given is None else layout_of(training, cluster, given)
            plan = make_plan(training.recipe, cluster, chosen, stack, precision=precision)
        except InputError as error:
            found.append(Column(training.phase, recipe.name, None, str(error)))
        else:
            found.append(Column(training.phase, recipe.name, plan))
    return found


def phases_table(main: Plan, phases: Sequence[Column]) -> list[list[str]]:
    """Of all trainings, the first row being the head."""
    cells: dict[str, Callable[[Plan], str]] = {
        "tokens": lambda plan: human(plan.recipe.batch.total_tokens - plan.recipe.batch.from_tokens),
        "sequence": lambda plan: f"{plan.recipe.batch.sequence_length:,}",
        "layout": lambda plan: str(plan.case.parallelism),
        "memory": lambda plan: human_bytes(plan.fullest.total) + ("" if plan.fits else ", NO"),
        "step": lambda plan: estimate(plan.seconds),
        "steps": lambda plan: f"{plan.steps:,}",
        "time": lambda plan: span(plan.bill(plan.ettr).days),
        "device-hours": lambda plan: f"{plan.bill(plan.ettr).device_hours:,.0f}",
    }
    rows = [["", *cells]]
    for name, plan in [("main", main), *((one.name, one.plan) for one in phases)]:
        rows.append([name, *("-" if plan is None else cell(plan) for cell in cells.values())])
    return rows


def phases_notes(main: Plan, phases: Sequence[Column]) -> list[tuple[str, str]]:
    """Why a phase cannot be, and what all take together."""
    notes = [(one.name, one.reason) for one in phases if one.reason]
    total = totals(main, phases)
    if total is not None:
        summed = f"{span(total['days'])}, {human(total['device_hours'])} device-hours, with failures as written"
        notes.append(("together", summed))
    return notes


def phases_text(main: Plan, phases: Sequence[Column]) -> str:
    """A table of all trainings, and their sums where all can be."""
    rows = phases_table(main, phases)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([f"{row[0]:<{widths[0]}}", *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    lines.append(f"memory of {human_bytes(capacity(main.chip))}")
    notes = [wrapped(text, f"{name}: ", 2) for name, text in phases_notes(main, phases)]
    return "\n".join(["Phases", *lines, *notes])


def totals(main: Plan, phases: Sequence[Column]) -> dict[str, float] | None:
    """Days, device-hours and dollars of all trainings as the recipe is written; None where one cannot be."""
    plans = [main, *(one.plan for one in phases)]
    bills = [plan.bill(plan.ettr) for plan in plans if plan is not None]
    if len(bills) < len(plans):
        return None
    return {
        "days": sum(bill.days for bill in bills),
        "device_hours": sum(bill.device_hours for bill in bills),
        "dollars": sum(bill.dollars for bill in bills),
    }


def phases_json(main: Plan, phases: Sequence[Column]) -> dict[str, Any]:
    """What ``--json`` adds to the plan of the main training."""
    return {
        "phases": [
            {"phase": one.name} | (describe(one.plan) if one.plan is not None else {"refused": one.reason})
            for one in phases
        ],
        "together": totals(main, phases),
    }
