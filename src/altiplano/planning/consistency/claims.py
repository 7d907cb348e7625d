"""What a recipe states, its settings and what ``[disclosure]`` claims; and what published runs were like.

One contradiction: what stated facts imply, beside what is stated.
"""

import math
from dataclasses import dataclass
from typing import Any

from altiplano.planning.plan import Plan
from altiplano.planning.stacks import table
from altiplano.recipe.cluster import Cluster
from altiplano.recipe.schema import Recipe
from altiplano.recipe.units import human

MONTH_HOURS = 730.5
LIMIT = 1.25
"""Facts that differ by more are inconsistent."""


@dataclass(frozen=True)
class Claims:
    """Stated quantities; None: not stated. ``settings`` of the recipe count as stated, too."""

    devices: float | None
    months: float | None
    device_hours: float | None
    more_hours: bool
    """Whether ``device_hours`` is a lower bound, as in "more than 50M"."""
    tokens: float
    parameters: float | None
    batch_tokens: float | None
    sequence: int
    steps: int
    interval_steps: int
    warmup_steps: int
    learning_rate: float

    @property
    def hours(self) -> float | None:
        """Of wall-clock."""
        return None if self.months is None else self.months * MONTH_HOURS

    def agrees_with(self, device_hours: float) -> bool:
        """Within the limit of what is stated, or above a lower bound."""
        if self.device_hours is None:
            return True
        factor = device_hours / self.device_hours
        return factor > 1 / LIMIT and (self.more_hours or factor < LIMIT)

    @property
    def spelled_hours(self) -> str:
        return ("more than " if self.more_hours else "") + human(self.device_hours or 0.0)


def claims_of(recipe: Recipe, cluster: Cluster) -> Claims:
    """A recipe without a disclosure states its settings alone, and the cluster's devices."""
    said, batch = recipe.disclosure, recipe.batch
    return Claims(
        float(said.devices or cluster.devices),
        said.months,
        None if said.device_hours is None else float(said.device_hours),
        said.more_device_hours,
        float(said.tokens or batch.total_tokens),
        None if said.parameters is None else float(said.parameters),
        None if said.batch_tokens is None else float(said.batch_tokens),
        batch.sequence_length,
        batch.steps,
        recipe.checkpoint.interval_steps,
        recipe.optimizer.warmup_steps,
        recipe.optimizer.learning_rate,
    )


def published_twin(parameters: float) -> tuple[str, dict[str, Any]] | None:
    """A published model of the same size, within 2 %."""
    for name, entry in table("practice").items():
        if abs(entry["parameters"] / parameters - 1) < 0.02:
            return name, entry
    return None


def rounded(stated: float, exact: float) -> bool:
    """Whether they are the same to the digits that were given: 405B is 405,853,388,800, and 16M is 16,777,216."""
    digits = f"{stated:.0f}"
    last = 10.0 ** (len(digits) - len(digits.rstrip("0")))
    return abs(exact - stated) < min(last, 0.1 * stated)


def usual(key: str, parameters: float) -> tuple[float, float]:
    """``learning_rate`` or ``batch_tokens`` by a straight line through the logarithms of published ones, and the factor
    within which two thirds of them lie."""
    known = [(math.log(e["parameters"]), math.log(e[key])) for e in table("practice").values() if key in e]
    mean_x, mean_y = (sum(values) / len(known) for values in zip(*known, strict=True))
    parallelism = sum((x - mean_x) ** 2 for x, _ in known)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in known) / parallelism
    rest = [y - mean_y - slope * (x - mean_x) for x, y in known]
    deviation = math.sqrt(sum(value**2 for value in rest) / max(1, len(rest) - 2))
    return math.exp(mean_y + slope * (math.log(parameters) - mean_x)), math.exp(deviation)


VERDICTS = ("impossible", "inconsistent", "unusual", "rounded")


@dataclass(frozen=True)
class Finding:
    """``implied`` against ``stated``, in ``unit``; ``factor`` is how far apart they are, at least 1."""

    key: str
    facts: tuple[str, ...]
    quantity: str
    implied: float
    stated: float | None
    verdict: str
    text: str

    @property
    def factor(self) -> float:
        if not self.stated or self.implied <= 0:
            return 1.0
        return max(self.implied / self.stated, self.stated / self.implied)

    def json(self) -> dict[str, Any]:
        return {**vars(self), "factor": self.factor}


def verdict(factor: float, impossible: bool = False) -> str:
    """ "" for what agrees."""
    return "impossible" if impossible else "inconsistent" if factor > LIMIT else ""


def flops(plan: Plan, tokens: float) -> float:
    """Of the whole training, causal attention."""
    return plan.case.shape.training_flops_per_token(plan.case.sequence) * tokens


def planned_rate(plan: Plan) -> float:
    """FLOP/s of each device while it trains, as planned."""
    return flops(plan, plan.case.batch_tokens) / plan.seconds / plan.devices


def sustained_rate(plan: Plan) -> float:
    """The same over the whole time, with failures and checkpoints as the recipe has them."""
    return planned_rate(plan) * plan.ettr


def same_hardware(plan: Plan) -> bool:
    """Whether stated times are of such hardware as the plan's: a plan for a laptop says nothing about 2,048 GPUs, and
    one for GB200 nothing about the time that H100 took."""
    said, chip = plan.recipe.disclosure, plan.chip.name.split("-")[0].lower()
    if plan.cluster.device == "cpu":
        return said.devices is None or said.devices == plan.cluster.devices
    return not said.hardware or not names_chip(said.hardware) or chip in said.hardware.lower().split()


def names_chip(hardware: str) -> bool:
    """Whether what is stated names a chip that the planner knows."""
    return any(name in hardware.lower().split() for name in table("chips"))
