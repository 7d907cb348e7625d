"""The plan for people: ten lines that a decision needs, then the details."""

import math

from altiplano.planning.cost import storage
from altiplano.planning.edits import Edit
from altiplano.planning.energy import grid
from altiplano.planning.finding import Finding
from altiplano.planning.memory import GIB, capacity
from altiplano.planning.plan import Plan
from altiplano.planning.search import TIGHT
from altiplano.planning.sensitivity import sensitivities
from altiplano.planning.steptime import throughput
from altiplano.recipe.units import human, human_bytes

MONTH = 30.44


def first_screen(plan: Plan, found: list[Finding], edits: list[Edit]) -> str:
    """What to know before anyone spends money, in about ten lines."""
    lines = [
        f"{plan.recipe.name} on {plan.devices:,} × {plan.chip.description} ({plan.stack.name})",
        f"Fits?      {_fits(plan)}",
        f"Speed      {_speed(plan)}",
        f"Time       {_time(plan)}",
        f"Costs      {_costs(plan)}",
    ]
    if not math.isinf(plan.reliability.failure_seconds):
        lines.append(f"Failures   {_failures(plan)}")
    lines += _truth(found, edits)
    if plan.found:
        lines.append(_layouts(plan, str(plan.case.spread)))
    return "\n".join(lines)


def _speed(plan: Plan) -> str:
    rate = throughput(plan.case, plan.chip, plan.seconds)
    return (
        f"{duration(plan.seconds)} a step (± {plan.uncertainty:.0%}), "
        f"{human(rate['tokens_per_second'])} tokens/s, {rate['tflops_per_device']['causal']:.3g} TFLOP/s each; "
        f"MFU {rate['mfu']['causal']:.1%} (attention counted causal; {rate['mfu']['full']:.1%} in full)"
    )


def _time(plan: Plan) -> str:
    error, days = plan.uncertainty, plan.bill(plan.best_ettr).days
    text = f"{span(days)} ({span(days * (1 - error))} to {span(days * (1 + error))}) for {plan.steps:,} steps"
    if math.isinf(plan.reliability.failure_seconds):
        return text
    return f"{text}, with failures and a checkpoint every {plan.best_steps} steps"


def _costs(plan: Plan) -> str:
    bill = plan.bill(plan.best_ettr)
    price = plan.cluster.operation.price_per_device_hour
    money = f", ${human(bill.dollars)} at ${price:.2f} (assumed)" if plan.cluster.device != "cpu" else ""
    return (
        f"{human(bill.device_hours)} device-hours{money}; {energy(bill.kwh_chips)} in the chips, "
        f"{energy(bill.kwh_site)} at the site, {_carbon(bill.kg_site)}"
    )


def _failures(plan: Plan) -> str:
    hours, written = plan.reliability.failure_seconds / 3600, span(plan.bill(plan.ettr).days)
    return (
        f"one in {hours:.3g} h, about {plan.failures:,.0f} in all. Checkpoint every {plan.interval_steps:,} steps: "
        f"{plan.ettr:.0%} of the time goes forward ({written}); every {plan.best_steps} steps: {plan.best_ettr:.1%}; "
        f"with copies in memory, too: {plan.tiered_ettr:.1%}"
    )


def _fits(plan: Plan) -> str:
    room, total = capacity(plan.chip), plan.fullest.total
    most = (
        f"{total / GIB:,.1f} of {room / GIB:.1f} GiB on pipeline rank {plan.fullest.rank}"
        if plan.case.spread.pp > 1
        else (f"{total / GIB:,.2f} of {room / GIB:.1f} GiB")
    )
    if total > room:
        return f"no: {most}"
    return f"{'yes, but hardly' if total > TIGHT * room else 'yes'}: {most}, layout {plan.case.spread}"


def _truth(found: list[Finding], edits: list[Edit]) -> list[str]:
    if not found:
        return ["Stated     nothing that is stated contradicts this plan"]
    counts = {
        verdict: sum(one.verdict == verdict for one in found) for verdict in ("impossible", "inconsistent", "unusual")
    }
    lines = [f"Stated     {', '.join(f'{count} {name}' for name, count in counts.items() if count)}: {found[0].text}"]
    main = next((one for one in found if one.key == "device-hours"), None)
    if main is not None and main is not found[0]:
        lines.append(f"           {main.text}")
    if edits:
        lines.append("Change     " + "; or ".join(f"{{{edit}}}" for edit in edits[:4]))
    return lines


def _layouts(plan: Plan, taken: str) -> str:
    """What was taken, what is as fast within the model's error, and where it was measured."""
    if plan.found is None:
        return f"Layout     {taken}"
    names = [str(choice.case.spread) for choice in plan.found.ties]
    others = [name for name in dict.fromkeys(names) if name != taken]
    tied = f"; as fast within the model's error: {', '.join(others[:3])}" if others else ""
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    where = f"; measured: {plan.found.best.published}" if plan.found.best.published else ""
    return f"Layout     {taken}, of {plan.found.tried:,} tried{tied}{more}{where}"


def details(plan: Plan, found: list[Finding]) -> str:
    """Memory by stage, the step's parts, every contradiction, energy by country, storage."""
    kinds = [kind for kind in plan.memory[0].parts if any(one.parts[kind] > 0.005 * one.total for one in plan.memory)]
    lines = ["", "Memory, GiB by pipeline rank", "rank " + "".join(f"{kind:>11}" for kind in kinds) + "      total"]
    shown = plan.memory if len(plan.memory) <= 6 else [*plan.memory[:3], *plan.memory[-2:]]
    lines += [
        f"{one.rank:>4} " + "".join(f"{one.parts[kind] / GIB:>11.2f}" for kind in kinds) + f"{one.total / GIB:>11.2f}"
        for one in shown
    ]
    lines += ["", "Step time"]
    lines += [
        f"{name:<24} {duration(value):>9} {value / plan.seconds:>7.1%}"
        for name, value in plan.step.parts.items()
        if value > 0.0005 * plan.seconds
    ]
    moves = [f"{what} {change / 2:+.1%}" for what, change in sensitivities(plan.case, plan.chip, plan.stack)[:4]]
    lines += ["", f"A tenth less of it changes step time: {', '.join(moves)}"]
    if found:
        lines += ["", "What is stated, against what it implies"]
        lines += [f"{number:>2}. {one.verdict}: {one.text}" for number, one in enumerate(found, start=1)]
    if plan.cluster.device != "cpu":
        kwh = plan.bill(plan.best_ettr).kwh_site
        places = ", ".join(
            f"{grid(code).name} {kwh * grid(code).grams_per_kwh / 1e9:,.2g} kt"
            for code in ("USA", "FRA", "DEU", "CHN", "WORLD")
        )
        lines += ["", f"CO2 at the site by country: {places}"]
    batch, shape = plan.recipe.batch, plan.case.shape
    sizes = storage(
        shape.parameters,
        batch.total_tokens,
        shape.vocabulary,
        math.ceil(plan.steps / plan.interval_steps),
        plan.recipe.checkpoint.keep,
    )
    lines += [
        "",
        f"Storage: {human_bytes(sizes['checkpoint'])} a checkpoint, {human_bytes(sizes['kept_checkpoints'])} for those "
        f"kept, {human_bytes(sizes['all_checkpoints'])} if all were; {human_bytes(sizes['tokens'])} of tokens",
    ]
    return "\n".join(lines)


def duration(seconds: float) -> str:
    if seconds > 3600:
        return span(seconds / 86400)
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def span(days: float) -> str:
    if days > 48 * MONTH:
        return f"{days / 365.25:,.1f} years"
    if days > 90:
        return f"{days / MONTH:.1f} months"
    if days > 2:
        return f"{days:.1f} days"
    return f"{days * 24:.1f} hours" if days * 24 > 2 else f"{days * 1440:.1f} minutes"


def energy(kwh: float) -> str:
    if kwh >= 1e6:
        return f"{kwh / 1e6:.1f} GWh"
    return f"{kwh / 1e3:.1f} MWh" if kwh >= 1e3 else f"{kwh:.3g} kWh"


def _carbon(kg: float) -> str:
    return f"{kg / 1e6:,.1f} kt CO2" if kg >= 1e6 else f"{kg / 1e3:,.1f} t CO2" if kg >= 1e3 else f"{kg:.3g} kg CO2"
