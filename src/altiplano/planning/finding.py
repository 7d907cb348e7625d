"""One contradiction: what stated facts imply, beside what is stated."""

from dataclasses import dataclass
from typing import Any

from altiplano.planning.claims import LIMIT
from altiplano.planning.plan import Plan
from altiplano.planning.stack import table

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
