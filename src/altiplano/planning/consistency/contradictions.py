"""Where what a recipe states cannot be true together: every pair of stated facts implies a third.

Two equations hold for every run: device-hours are devices times hours, and the training's FLOPs are device-hours times
a rate. The rate is bounded by the hardware (impossible above it) and known from the plan (inconsistent beyond a factor
of 1.25). The other findings compare settings with one another, with the plan and with published practice.

Settings beside the plan: checkpoints against failures, the duration that follows, memory in three dimensions.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from altiplano.formatting import span
from altiplano.planning.consistency.claims import (
    LIMIT,
    MONTH_HOURS,
    VERDICTS,
    Claims,
    Finding,
    claims_of,
    flops,
    planned_rate,
    rounded,
    same_hardware,
    sustained_rate,
    verdict,
)
from altiplano.planning.consistency.practice import hours, practice
from altiplano.planning.memory import GIB, capacity, fullest
from altiplano.planning.plan import Plan
from altiplano.planning.reliability import window_survives
from altiplano.planning.search import candidates
from altiplano.planning.step_time.step_time import step_time
from altiplano.recipe.units import figure, human


def contradictions(plan: Plan) -> list[Finding]:
    """Worst first: what no hardware can do, what does not agree, what nobody does, what is rounded."""
    claims = claims_of(plan.recipe, plan.cluster)
    found = [
        one
        for source in (_time, _rate, _settings, failures, three_dimensions, practice, hours)
        for one in source(plan, claims)
        if one.verdict
    ]
    return sorted(found, key=lambda one: VERDICTS.index(one.verdict))


def _time(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Devices, months and device-hours: each pair implies the third."""
    devices, hours, total = claims.devices, claims.hours, claims.device_hours
    if not (devices and hours and total):
        return
    text = (
        f"{devices:,.0f} devices × {claims.months:g} months are {human(devices * hours)} device-hours, not "
        f"{claims.spelled_hours}; {human(total)} on {devices:,.0f} devices take {total / devices / 8766:.2f} years, "
        f"and in {claims.months:g} months {total / hours:,.0f} devices"
    )
    yield Finding(
        "device-hours",
        ("devices", "months", "device_hours"),
        "device_hours",
        devices * hours,
        total,
        "" if claims.agrees_with(devices * hours) else "inconsistent",
        text,
    )


def _rate(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """The speed that a time or device-hours imply, beside the hardware's and the plan's, with failures."""
    if not same_hardware(plan):
        return
    needed, planned, peak = flops(plan, claims.tokens), sustained_rate(plan), plan.chip.peak(plan.case.precision)
    work = f"{human(claims.tokens)} tokens are {figure(needed)} FLOP"
    if claims.devices and claims.hours:
        rate = needed / (claims.devices * claims.hours * 3600)
        months = needed / (claims.devices * planned) / 3600 / MONTH_HOURS
        text = (
            f"{work}: in {claims.months:g} months on {claims.devices:,.0f} devices each must do "
            f"{figure(rate / 1e12)} TFLOP/s, {rate / peak:.0%} of the peak; at the planned "
            f"{figure(planned_rate(plan) / 1e12)}, {plan.ettr:.0%} of the time, it takes {months:.1f} months, at 100 % "
            f"of the peak {months * planned / peak:.1f}"
        )
        yield Finding(
            "time",
            ("tokens", "parameters", "devices", "months"),
            "months",
            months,
            claims.months,
            verdict(rate / planned, rate > peak),
            text,
        )
        trained = planned * claims.devices * claims.hours * 3600 / flops(plan, 1)
        if trained < claims.tokens / LIMIT:
            yield Finding(
                "tokens",
                ("devices", "months", "parameters", "tokens"),
                "tokens",
                trained,
                claims.tokens,
                "inconsistent",
                f"{claims.months:g} months on {claims.devices:,.0f} devices train "
                f"{human(trained)} tokens at the planned speed, with failures, not {human(claims.tokens)}",
            )
    if claims.device_hours:
        rate = needed / (claims.device_hours * 3600)
        wanted = needed / planned / 3600
        price = plan.cluster.operation.price_per_device_hour
        text = (
            f"{work}: in {claims.spelled_hours} device-hours that is {figure(rate / 1e12)} TFLOP/s each, "
            f"{rate / peak:.0%} of the peak; the plan, with failures, needs {human(wanted)} device-hours"
        )
        if 0.7 < claims.device_hours / (wanted * price) < 1.4:
            text += f"; perhaps dollars are meant: {human(wanted)} × ${price:.2f} = ${human(wanted * price)}"
        yield Finding(
            "speed",
            ("tokens", "parameters", "device_hours"),
            "device_hours",
            wanted,
            claims.device_hours,
            "" if claims.agrees_with(wanted) else verdict(math.inf, rate > peak and not claims.more_hours),
            text,
        )


def _settings(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Batch and sequence, steps and warm-up, parameters as counted."""
    sequence = claims.sequence
    if claims.batch_tokens and claims.batch_tokens % sequence:
        exact = claims.batch_tokens / sequence
        near = 2 ** round(math.log2(exact))
        round_number = rounded(claims.batch_tokens, near * sequence)
        text = (
            f"a batch of {claims.batch_tokens:,.0f} tokens is {exact:,.3f} sequences of {sequence:,}: "
            f"{'a round number for' if round_number else 'not whole;'} "
            f"{near:,} sequences, which are {near * sequence:,} ({claims.tokens / (near * sequence):,.0f} steps "
            f"instead of {claims.tokens / claims.batch_tokens:,.0f})"
        )
        yield Finding(
            "batch",
            ("batch_tokens", "sequence_length"),
            "batch_tokens",
            near * sequence,
            claims.batch_tokens,
            "rounded" if round_number else "impossible",
            text,
        )
    counted = plan.case.shape.parameters
    if claims.parameters and round(claims.parameters) != counted:
        factor = max(claims.parameters / counted, counted / claims.parameters)
        text = (
            f"the model's shape has exactly {counted:,} parameters, not {claims.parameters:,.0f} "
            f"({counted / claims.parameters - 1:+.1%}): memory and checkpoints are counted with the exact number; "
            f"{claims.tokens / counted:.0f} tokens a parameter"
        )
        yield Finding(
            "parameters",
            ("parameters", "model"),
            "parameters",
            counted,
            claims.parameters,
            "rounded" if rounded(claims.parameters, counted) else verdict(factor) or "unusual",
            text,
        )
    if claims.warmup_steps > 0.12 * claims.steps:
        yield Finding(
            "warm-up",
            ("warmup_steps", "tokens", "batch_tokens"),
            "warmup_steps",
            0.02 * claims.steps,
            claims.warmup_steps,
            "unusual",
            f"warm-up takes {claims.warmup_steps / claims.steps:.0%} of all "
            f"{claims.steps:,} steps; published runs warm up for 0.1 to 2 %",
        )


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
        f"time is productive; {plan.best_steps} steps ({span(plan.best_steps * plan.seconds / 86400)}) make it "
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
    if plan.found is None or (plan.case.parallelism.cp == 1 and plan.case.parallelism.recompute == "none"):
        return
    room, tried = capacity(plan.chip), []
    for case in candidates(plan.case, plan.devices, plan.chip, stack):
        parallelism = case.parallelism
        if parallelism.cp == 1 and parallelism.pp <= 16:
            tried.append((step_time(case, plan.chip, stack).total, fullest(case, stack).total, str(parallelism)))
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
    text += f" a fourth dimension or recomputation ({plan.case.parallelism}, {plan.fullest.total / GIB:.1f} GiB)"
    yield Finding(
        "memory",
        ("parallelism", "parameters", "hardware"),
        "memory_gib",
        fast[1] / GIB,
        None,
        "unusual" if fitting else "inconsistent",
        text,
    )
