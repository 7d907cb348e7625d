"""Where what a recipe states cannot be true together: every pair of stated facts implies a third.

Two equations hold for every run: device-hours are devices times hours, and the training's FLOPs are device-hours times
a rate. The rate is bounded by the hardware (impossible above it) and known from the plan (inconsistent beyond a factor
of 1.25). The other findings compare settings with one another, with the plan and with published practice.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from altiplano.planning.claims import Claims, claims_of, published_twin, usual
from altiplano.planning.cost import bill
from altiplano.planning.goodput import window_survives
from altiplano.planning.memory import GIB, capacity, fullest
from altiplano.planning.plan import Plan
from altiplano.planning.search import candidates
from altiplano.planning.stack import table
from altiplano.planning.steptime import step_time
from altiplano.recipe.units import human

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
    """"" for what agrees."""
    return "impossible" if impossible else "inconsistent" if factor > LIMIT else ""


def contradictions(plan: Plan) -> list[Finding]:
    """Worst first: what no hardware can do, what does not agree, what nobody does."""
    claims = claims_of(plan.recipe, plan.cluster)
    found = [one for source in (_time, _rate, _settings, _failures, _memory, _practice)
             for one in source(plan, claims) if one.verdict]  # fmt: skip
    return sorted(found, key=lambda one: ("impossible", "inconsistent", "unusual").index(one.verdict))


def flops(plan: Plan, tokens: float) -> float:
    """Of the whole training, causal attention."""
    return plan.case.shape.training_flops_per_token(plan.case.sequence) * tokens


def planned_rate(plan: Plan) -> float:
    """FLOP/s of each device, as planned, without failures."""
    return flops(plan, plan.case.batch_tokens) / plan.seconds / plan.devices


def _time(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Devices, months and device-hours: each pair implies the third."""
    devices, hours, total = claims.devices, claims.hours, claims.device_hours
    if not (devices and hours and total):
        return
    factor = max(total / (devices * hours), devices * hours / total)
    text = (
        f"{devices:,.0f} devices × {claims.months:g} months are {human(devices * hours)} device-hours, not "
        f"{human(total)}; {human(total)} on {devices:,.0f} devices take {total / devices / 8766:.2f} years, and in "
        f"{claims.months:g} months {total / hours:,.0f} devices"
    )
    yield Finding("device-hours", ("devices", "months", "device_hours"), "device_hours", devices * hours, total,
                  verdict(factor), text)  # fmt: skip


def _rate(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """The speed that a time or device-hours imply, beside the hardware's and the plan's."""
    needed, planned, peak = flops(plan, claims.tokens), planned_rate(plan), plan.chip.peak(plan.case.precision)
    work = f"{human(claims.tokens)} tokens are {needed:.3g} FLOP"
    if claims.devices and claims.hours:
        rate = needed / (claims.devices * claims.hours * 3600)
        days = needed / (claims.devices * planned) / 86400
        text = (
            f"{work}: in {claims.months:g} months on {claims.devices:,.0f} devices each must do {rate / 1e12:,.0f} "
            f"TFLOP/s, {rate / peak:.0%} of the peak; at the planned {planned / 1e12:.0f} it takes {days:,.0f} days "
            f"({days / 30.44:.1f} months), at 100 % of the peak {days * planned / peak / 30.44:.1f} months"
        )
        yield Finding("time", ("tokens", "parameters", "devices", "months"), "flops_per_device", rate, planned,
                      verdict(rate / planned, rate > peak), text)  # fmt: skip
        trained = planned * claims.devices * claims.hours * 3600 / flops(plan, 1)
        if trained < claims.tokens / LIMIT:
            yield Finding("tokens", ("devices", "months", "parameters", "tokens"), "tokens", trained, claims.tokens,
                          "inconsistent", f"{claims.months:g} months on {claims.devices:,.0f} devices train "
                          f"{human(trained)} tokens at the planned speed, not {human(claims.tokens)}")  # fmt: skip
    if claims.device_hours:
        rate = needed / (claims.device_hours * 3600)
        wanted = needed / planned / 3600
        price = plan.cluster.operation.price_per_device_hour
        text = (
            f"{work}: in {human(claims.device_hours)} device-hours that is {rate / 1e12:,.0f} TFLOP/s each, "
            f"{rate / peak:.0%} of the peak; the plan needs {human(wanted)} device-hours"
        )
        if 0.7 < claims.device_hours / (wanted * price) < 1.4:
            text += f"; perhaps dollars are meant: {human(wanted)} × ${price:.2f} = ${human(wanted * price)}"
        yield Finding("speed", ("tokens", "parameters", "device_hours"), "device_hours", wanted, claims.device_hours,
                      verdict(max(rate / planned, planned / rate), rate > peak), text)  # fmt: skip
        yield from _energy(plan, claims)


def _energy(plan: Plan, claims: Claims) -> Iterator[Finding]:
    twin = published_twin(plan.case.shape.parameters)
    if twin is None or "device_hours" not in twin[1] or claims.device_hours is None:
        return
    name, entry = twin
    factor = claims.device_hours / entry["device_hours"]
    cluster = plan.cluster
    whole = bill(claims.device_hours * 3600, 1, plan.chip.chip_watts, cluster.watts_per_device, cluster.pue,
                 cluster.country or plan.recipe.disclosure.country, 1.0, 0.0)  # fmt: skip
    text = (
        f"{human(claims.device_hours)} device-hours would be {whole.kwh_chips / 1e6:.0f} GWh of the chips alone and "
        f"{whole.kwh_site / 1e6:.0f} GWh at the site, {whole.kg_chips / 1e6:,.0f} to {whole.kg_site / 1e6:,.0f} kt CO2; "
        f"{name} was trained with {human(entry['device_hours'])}, {factor:.1f} times less ({entry['source']})"
    )
    yield Finding("energy", ("device_hours",), "device_hours", entry["device_hours"], claims.device_hours,
                  verdict(max(factor, 1 / factor)), text)  # fmt: skip


def _settings(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Batch and sequence, steps and warm-up, parameters as counted."""
    sequence = claims.sequence
    if claims.batch_tokens and claims.batch_tokens % sequence:
        exact = claims.batch_tokens / sequence
        near = 2 ** round(math.log2(exact))
        text = (
            f"a batch of {claims.batch_tokens:,.0f} tokens is {exact:,.3f} sequences of {sequence:,}: not whole; "
            f"{near:,} sequences are {near * sequence:,} ({claims.tokens / (near * sequence):,.0f} steps instead of "
            f"{claims.tokens / claims.batch_tokens:,.0f})"
        )
        yield Finding("batch", ("batch_tokens", "sequence_length"), "batch_tokens", near * sequence,
                      claims.batch_tokens, "impossible", text)  # fmt: skip
    counted = plan.case.shape.parameters
    if claims.parameters and round(claims.parameters) != counted:
        factor = max(claims.parameters / counted, counted / claims.parameters)
        text = (
            f"the model's shape has exactly {counted:,} parameters, not {claims.parameters:,.0f} "
            f"({counted / claims.parameters - 1:+.1%}): memory and checkpoints are counted with the exact number; "
            f"{claims.tokens / counted:.0f} tokens a parameter"
        )
        yield Finding("parameters", ("parameters", "model"), "parameters", counted, claims.parameters,
                      verdict(factor) or "unusual", text)  # fmt: skip
    if claims.warmup_steps > 0.12 * claims.steps:
        yield Finding("warm-up", ("warmup_steps", "tokens", "batch_tokens"), "warmup_steps", 0.02 * claims.steps,
                      claims.warmup_steps, "unusual", f"warm-up takes {claims.warmup_steps / claims.steps:.0%} of all "
                      f"{claims.steps:,} steps; published runs warm up for 0.1 to 2 %")  # fmt: skip


def _failures(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """The checkpoint interval beside the time between failures, and what that does to the duration."""
    mean = plan.reliability.failure_seconds
    if math.isinf(mean):
        return
    interval = claims.interval_steps * plan.seconds
    if plan.best_ettr / max(plan.ettr, 1e-9) < 1.05:
        return
    tokens = claims.interval_steps * plan.case.batch_tokens
    text = (
        f"a checkpoint every {claims.interval_steps:,} steps is one in {interval / 3600:.1f} h ({human(tokens)} tokens at "
        f"stake), and {plan.devices:,} devices run {mean / 3600:.1f} h between failures: "
        f"{window_survives(interval, plan.reliability):.0%} of the windows end without one, and {plan.ettr:.0%} of the "
        f"time goes forward; {plan.best_steps} steps ({plan.best_steps * plan.seconds / 60:.0f} min) make it "
        f"{plan.best_ettr:.1%}"
    )
    yield Finding("checkpoints", ("checkpoint.interval_steps", "devices"), "interval_steps", plan.best_steps,
                  claims.interval_steps, verdict(plan.best_ettr / max(plan.ettr, 1e-9)) or "unusual", text)  # fmt: skip
    here, best = plan.bill(plan.ettr).days, plan.bill(plan.best_ettr).days
    stated = claims.months * 30.44 if claims.months else None
    yield Finding("duration", ("checkpoint.interval_steps", "devices", "tokens"), "days", here, stated or best,
                  verdict(here / best) or "unusual", f"with that interval {plan.training_seconds / 86400:,.0f} days of "
                  f"training take {here:,.0f} days, {here / 30.44:.0f} months; at the best interval {best:,.0f}")  # fmt: skip


def _memory(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Data, tensor and pipeline parallelism alone, everything kept: does it fit, and is what fits as fast?"""
    stack = replace(plan.stack, recomputes=("none",))
    if plan.found is None or (plan.case.spread.cp == 1 and plan.case.spread.recompute == "none"):
        return
    room, tried = capacity(plan.chip), []
    for case in candidates(plan.case, plan.devices, plan.chip, stack):
        spread = case.spread
        if spread.cp == 1 and spread.gradient_bytes == stack.gradient_bytes and spread.pp <= 16:
            tried.append((step_time(case, plan.chip, stack).total, fullest(case, stack).total, str(spread)))
    if not tried:
        return
    fast = min((one for one in tried if one[0] <= plan.seconds), key=lambda one: one[1], default=None)
    fitting = [one for one in tried if one[1] <= room]
    if fast is None or fast[1] <= room:
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
    yield Finding("memory", ("parallelism", "parameters", "hardware"), "memory_gib", fast[1] / GIB, room / GIB,
                  "unusual" if fitting else "inconsistent", text)  # fmt: skip


def _practice(plan: Plan, claims: Claims) -> Iterator[Finding]:
    """Learning rate and devices beside published runs of this size."""
    counted = plan.case.shape.parameters
    twin = published_twin(counted)
    usual_rate, within = usual("learning_rate", counted)
    if twin and "learning_rate" in twin[1]:
        rate = twin[1]["learning_rate"]
        factor = max(claims.learning_rate / rate, rate / claims.learning_rate)
        if factor > 1.1:
            same = [name for name, e in table("practice").items() if e.get("learning_rate") == claims.learning_rate]
            also = f"; {claims.learning_rate:g} is that of {', '.join(same)}" if same else ""
            yield Finding("learning-rate", ("learning_rate", "parameters"), "learning_rate", rate,
                          claims.learning_rate, "unusual", f"{twin[0]} was trained with a peak learning rate of {rate:g}"
                          f" ({twin[1]['source']}), not {claims.learning_rate:g}{also}")  # fmt: skip
    elif max(claims.learning_rate / usual_rate, usual_rate / claims.learning_rate) > 2 * within and counted > 1e8:
        yield Finding("learning-rate", ("learning_rate", "parameters"), "learning_rate", usual_rate,
                      claims.learning_rate, "unusual", f"published models of {human(counted)} parameters have a peak "
                      f"learning rate of about {usual_rate:.2g}, not {claims.learning_rate:g}")  # fmt: skip
    if twin and claims.devices and "devices" in twin[1]:
        factor = twin[1]["devices"] / claims.devices
        if max(factor, 1 / factor) > LIMIT:
            days = twin[1].get("device_hours", 0) / twin[1]["devices"] / 24
            yield Finding("devices", ("devices", "parameters"), "devices", twin[1]["devices"], claims.devices,
                          "unusual", f"{twin[0]} was trained on up to {twin[1]['devices']:,} devices, {days:.0f} days' "
                          f"worth of them ({twin[1]['source']}), not {claims.devices:,.0f}")  # fmt: skip
