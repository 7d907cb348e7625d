"""One contradiction: what stated facts imply, beside what is stated."""

from dataclasses import dataclass
from typing import Any

from altiplano.planning.plan import Plan

LIMIT = 1.25


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
    """FLOP/s of each device, as planned, without failures."""
    return flops(plan, plan.case.batch_tokens) / plan.seconds / plan.devices


def same_hardware(plan: Plan) -> bool:
    """Whether stated times are of such hardware as the plan's: a plan for a laptop says nothing about 2,048 GPUs."""
    stated = plan.recipe.disclosure.devices
    return plan.cluster.device != "cpu" or stated is None or stated == plan.cluster.devices
