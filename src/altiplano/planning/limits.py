"""Settings beside the plan: checkpoints against failures, the duration that follows, memory in three dimensions."""

import math
from collections.abc import Iterator
from dataclasses import replace

from altiplano.planning.claims import Claims
from altiplano.planning.finding import Finding, verdict
from altiplano.planning.goodput import window_survives
from altiplano.planning.memory import GIB, capacity, fullest
from altiplano.planning.plan import Plan
from altiplano.planning.search import candidates
from altiplano.planning.steptime import step_time
from altiplano.planning.wording import span
from altiplano.recipe.units import human


def failures(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """The checkpoint interval beside the time between failures, and what that does to the duration."""
    mean = plan.reliability.failure_seconds
    if math.isinf(mean):
        return
    interval = claims.interval_steps * plan.seconds
    if plan.best_ettr / max(plan.ettr, 1e-9) < 1.05:
        return
    tokens = claims.interval_steps * plan.case.batch_tokens
    text = (
        f"a checkpoint every {claims.interval_steps:,} steps is one in {span(interval / 86400)} ({human(tokens)} "
        f"tokens at stake), and {plan.devices:,} devices run {span(mean / 86400)} between failures: "
        f"{window_survives(interval, plan.reliability):.0%} of the windows end without one, and {plan.ettr:.0%} of the "
        f"time goes forward; {plan.best_steps} steps ({span(plan.best_steps * plan.seconds / 86400)}) make it "
        f"{plan.best_ettr:.1%}"
    )
    yield Finding(
        "checkpoints",
        ("checkpoint.interval_steps", "devices"),
        "interval_steps",
        plan.best_steps,
        claims.interval_steps,
        verdict(plan.best_ettr / max(plan.ettr, 1e-9)) or "unusual",
        text,
    )
    here, best = plan.bill(plan.ettr).days, plan.bill(plan.best_ettr).days
    stated = claims.months * 30.44 if claims.months else None
    yield Finding(
        "duration",
        ("checkpoint.interval_steps", "devices", "tokens"),
        "days",
        here,
        stated,
        verdict(here / best) or "unusual",
        f"with that interval {span(plan.training_seconds / 86400)} of training take {span(here)}; at the best interval "
        f"{span(best)}",
    )


def three_dimensions(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Data, tensor and pipeline parallelism alone, everything kept: does it fit, and is what fits as fast?"""
    stack = replace(plan.stack, recomputes=("none",))
    if plan.found is None or (plan.case.spread.cp == 1 and plan.case.spread.recompute == "none"):
        return
    room, tried = capacity(plan.chip), []
    for case in candidates(plan.case, plan.devices, plan.chip, stack):
        spread = case.spread
        if spread.cp == 1 and spread.pp <= 16:
            tried.append((step_time(case, plan.chip, stack).total, fullest(case, stack).total, str(spread)))
    if not tried:
        return
    fast = min((one for one in tried if one[0] <= plan.seconds), key=lambda one: one[1], default=None)
    fitting = [one for one in tried if one[1] <= room]
    if fast is None or fast[1] <= room or any(one[0] <= (1 + plan.uncertainty) * plan.seconds for one in fitting):
        return
    text = (
        f"data, tensor and pipeline parallelism alone, nothing recomputed: what is as fast as the plan needs at least "
        f"{fast[1] / GIB:.0f} GiB ({fast[2]}) of the {room / GIB:.0f} that can be filled"
    )
    if fitting:
        best = min(fitting)
        text += f"; what fits ({best[2]}, {best[1] / GIB:.1f} GiB) is {best[0] / plan.seconds - 1:.0%} slower than"
    else:
        text += ", and nothing else fits, either, but"
    text += f" a fourth dimension or recomputation ({plan.case.spread}, {plan.fullest.total / GIB:.1f} GiB)"
    yield Finding(
        "memory",
        ("parallelism", "parameters", "hardware"),
        "memory_gib",
        fast[1] / GIB,
        None,
        "unusual" if fitting else "inconsistent",
        text,
    )
