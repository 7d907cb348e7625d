"""The smallest sets of edits that make a recipe's devices, months, device-hours and tokens agree with the plan.

The two equations are products of powers, so in logarithms they are linear: an edit of a few facts either solves them
or cannot. All sets of one fact are tried, then of two, then of three; a set is minimal when none inside it works.
"""

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from altiplano.planning.consistency.claims import LIMIT, MONTH_HOURS, claims_of, flops, same_hardware, sustained_rate
from altiplano.planning.plan import Plan
from altiplano.recipe.units import human

FACTS = ("devices", "months", "device_hours", "tokens")


@dataclass(frozen=True)
class Edit:
    """New values of the facts to change; the others stay."""

    changes: dict[str, float]

    def __str__(self) -> str:
        return ", ".join(f"{name.replace('_', '-')} = {spelled(name, value)}" for name, value in self.changes.items())

    def json(self) -> dict[str, Any]:
        return {"changes": self.changes, "text": str(self)}


def spelled(name: str, value: float) -> str:
    return (
        f"{value:.1f}" if name == "months" else f"{value:,.0f}" if name == "devices" else human(float(f"{value:.3g}"))
    )


def smallest_edits(plan: Plan) -> list[Edit]:
    """Minimal sets of edits, fewest facts first; none when all agrees, or when too little is stated.

    At the planned speed for the planned number of devices, with failures and checkpoints as the recipe has them.
    """
    claims = claims_of(plan.recipe, plan.cluster)
    facts = {
        "devices": claims.devices,
        "months": claims.months,
        "device_hours": claims.device_hours,
        "tokens": claims.tokens,
    }
    stated = {name: float(value) for name, value in facts.items() if value}
    rate = sustained_rate(plan)
    flops_per_token = flops(plan, 1.0)
    if not same_hardware(plan) or consistent(stated, rate, flops_per_token, claims.more_hours):
        return []
    found: list[Edit] = []
    for size in range(1, len(stated) + 1):
        for names in combinations(stated, size):
            if any(set(edit.changes) <= set(names) for edit in found):
                continue
            changed = solved(stated, names, rate, flops_per_token)
            if changed and consistent({**stated, **changed}, rate, flops_per_token, claims.more_hours):
                found.append(Edit({name: whole(name, value) for name, value in changed.items()}))
    return found


def whole(name: str, value: float) -> float:
    """There is no part of a device, hour or token."""
    return round(value, 2) if name == "months" else float(math.ceil(value))


def consistent(facts: dict[str, float], rate: float, flops_per_token: float, more_hours: bool = False) -> bool:
    """Both equations hold within the limit, as far as their facts are stated; ``more_hours``: a lower bound."""
    needed = facts["tokens"] * flops_per_token / (rate * 3600)
    hours = facts.get("device_hours")
    most = math.inf if more_hours else LIMIT
    if "devices" in facts and "months" in facts:
        spent = facts["devices"] * facts["months"] * MONTH_HOURS
        if hours and not 1 / LIMIT < spent / hours < most:
            return False
        return 1 / LIMIT < needed / spent < LIMIT and (not hours or 1 / LIMIT < needed / hours < most)
    return not hours or 1 / LIMIT < needed / hours < most


def solved(stated: dict[str, float], names: tuple[str, ...], rate: float, flops_per_token: float) -> dict[str, float]:
    """Values of ``names`` that solve the equations exactly, the others as stated; {} where they leave no choice."""
    kept = {name: math.log(value) for name, value in stated.items() if name not in names}
    month, work = math.log(MONTH_HOURS), math.log(rate * 3600 / flops_per_token)
    # device_hours = devices · months · month and tokens = device_hours · work, as far as they are known.
    for _ in range(len(FACTS)):
        if "device_hours" not in kept and {"devices", "months"} <= kept.keys():
            kept["device_hours"] = kept["devices"] + kept["months"] + month
        if "device_hours" not in kept and "tokens" in kept:
            kept["device_hours"] = kept["tokens"] - work
        if "tokens" not in kept and "device_hours" in kept:
            kept["tokens"] = kept["device_hours"] + work
        if "months" not in kept and {"device_hours", "devices"} <= kept.keys():
            kept["months"] = kept["device_hours"] - kept["devices"] - month
        if "devices" not in kept and {"device_hours", "months"} <= kept.keys():
            kept["devices"] = kept["device_hours"] - kept["months"] - month
    if any(name not in kept for name in names):
        return {}
    return {name: math.exp(kept[name]) for name in names}
