"""The plan for people: what a decision needs first, then the details."""

import math

from altiplano.formatting import carbon, energy, estimate, span, wrapped
from altiplano.planning.consistency.claims import VERDICTS, Finding
from altiplano.planning.consistency.edits import Edit
from altiplano.planning.consistency.practice import Published, published
from altiplano.planning.cost import grid, storage
from altiplano.planning.memory import GIB, capacity
from altiplano.planning.plan import Plan
from altiplano.planning.search import TIGHT, Search
from altiplano.planning.step_time.sensitivity import sensitivities
from altiplano.planning.step_time.step_time import throughput
from altiplano.recipe.units import figure, human, human_bytes


def first_screen(plan: Plan, found: list[Finding], edits: list[Edit]) -> str:
    """What to know before anyone spends money. The recipe as it is written comes first, what would be better after."""
    lines = [
        headline(plan),
        _line("Fits?", _fits(plan)),
        _line("Speed", _speed(plan)),
        _line("Time", _time(plan)),
        _line("Costs", _costs(plan)),
    ]
    if not math.isinf(plan.reliability.failure_seconds):
        lines += [_line("Failures", _failures(plan)), *([_line("Better", better(plan))] if better(plan) else [])]
    if (run := published(plan)) is not None:
        lines.append(_line("Practice", practice_text(plan, run)))
    lines += _truth(found, edits)
    if plan.found:
        lines.append(_line("Layout", _layouts(plan, plan.found, str(plan.case.parallelism))))
    return "\n".join(lines)


def _line(title: str, text: str) -> str:
    return wrapped(text, f"{title:<11}", 11)


def headline(plan: Plan) -> str:
    bill, run = plan.bill(plan.ettr), published(plan)
    text = (
        f"{plan.recipe.name} on {plan.devices:,} × {plan.chip.description} ({plan.stack.name}): {span(bill.days)}, "
        f"{human(bill.device_hours)} device-hours"
    )
    return wrapped(text + (f"; published: {human(run.device_hours)}" if run else ""), indent=11)


def _speed(plan: Plan) -> str:
    rate = throughput(plan.case, plan.chip, plan.seconds)
    measured = " of the peak that was measured" if plan.chip.matmul_share == 1 else ""
    return (
        f"{estimate(plan.seconds)} a step (± {plan.uncertainty:.0%}, {_certainty(plan)}), "
        f"{human(rate['tokens_per_second'])} tokens/s, {figure(rate['tflops_per_device']['causal'])} TFLOP/s each; "
        f"MFU {rate['mfu']['causal']:.1%}{measured} (attention counted causal; {rate['mfu']['full']:.1%} in full)"
    )


def _certainty(plan: Plan) -> str:
    """What the interval is of, and what stands behind it."""
    if plan.cluster.device == "cpu":
        return "of a step"
    if plan.stack.caveat:
        return f"a guess: {plan.stack.caveat}"
    kind = f"{plan.stack.name} on {plan.chip.name} in {plan.case.precision}"
    if not plan.compared:
        return f"a guess: no published run of {kind} to compare with"
    return f"of a step in a short benchmark: {plan.compared} published run{'s' * (plan.compared > 1)} of {kind}"


def _time(plan: Plan) -> str:
    bill = plan.bill(plan.ettr)
    if math.isinf(plan.reliability.failure_seconds):
        return f"{span(bill.days)} for {plan.steps:,} steps"
    return (
        f"{span(bill.days)} as the recipe is written: {plan.steps:,} steps, {span(plan.bill().days)} of training, and "
        f"failures with a checkpoint every {plan.interval_steps:,} steps"
    )


def _costs(plan: Plan) -> str:
    bill = plan.bill(plan.ettr)
    price = plan.cluster.operation.price_per_device_hour
    money = f", ${human(bill.dollars)} at ${price:.2f} (assumed)" if plan.cluster.device != "cpu" else ""
    return (
        f"{human(bill.device_hours)} device-hours{money}; {energy(bill.kwh_chips)} in the chips, "
        f"{energy(bill.kwh_site)} at the site, {carbon(bill.kg_site)} CO2"
    )


def _failures(plan: Plan) -> str:
    return (
        f"one in {span(plan.reliability.failure_seconds / 86400)}, about {plan.failures:,.0f} in all; "
        f"{plan.ettr:.1%} of the time is productive"
    )


def better(plan: Plan) -> str:
    """What another checkpoint interval would make of it; "" where that is not a hundredth."""
    steps, forward = plan.tiered
    if max(plan.best_ettr, forward) < 1.01 * plan.ettr:
        return ""
    bill = plan.bill(plan.best_ettr)
    text = (
        f"a checkpoint every {plan.best_steps:,} steps: {plan.best_ettr:.1%}, {span(bill.days)}, "
        f"{human(bill.device_hours)} device-hours, ${human(bill.dollars)}"
    )
    if forward > plan.best_ettr:
        text += f"; with copies in memory every {steps:,} steps, too: {forward:.1%}"
    return text


def practice_text(plan: Plan, run: Published) -> str:
    hours = [plan.bill(share).device_hours for share in (plan.ettr, 1.0)]
    lost = f", {human(hours[1])} without failures" if plan.ettr < 1 else ""
    return (
        f"{run.name} took {human(run.device_hours)} {run.hardware} hours for {human(run.tokens)} tokens "
        f"({run.source}), which is {human(run.scaled_hours)} for the recipe's; planned: {human(hours[0])}{lost}"
    )


def _fits(plan: Plan) -> str:
    room, total = capacity(plan.chip), plan.fullest.total
    most = (
        f"{total / GIB:,.1f} of {room / GIB:.1f} GiB on pipeline rank {plan.fullest.rank}"
        if plan.case.parallelism.pp > 1
        else (f"{total / GIB:,.2f} of {room / GIB:.1f} GiB")
    )
    if total > room:
        return f"no: {most}"
    return f"{'yes, but hardly' if total > TIGHT * room else 'yes'}: {most}, layout {plan.case.parallelism}"


def _truth(found: list[Finding], edits: list[Edit]) -> list[str]:
    if not found:
        return [_line("Stated", "nothing that is stated contradicts this plan")]
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in VERDICTS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    lines = [_line("Stated", f"{told}: {found[0].text}")]
    main = next((one for one in found if one.key == "device-hours"), None)
    if main is not None and main is not found[0]:
        lines.append(_line("", main.text))
    if edits:
        lines.append(_line("Change", "; or ".join(f"{{{edit}}}" for edit in edits[:4])))
    return lines


def _layouts(plan: Plan, found: Search, taken: str) -> str:
    """What was taken, what is as fast within the model's error, and where it was measured."""
    others = [str(choice.case.parallelism) for choice in found.ties if str(choice.case.parallelism) != taken]
    tied = f"; as fast within the model's error: {', '.join(others[:3])}" if others else ""
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    where = f"; measured: {found.best.published}" if found.best.published else ""
    return f"{taken}, of {found.tried:,} tried{tied}{more}{where}"


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
        f"{name:<24} {estimate(value):>9} {value / plan.seconds:>7.1%}"
        for name, value in plan.step.parts.items()
        if value > 0.0005 * plan.seconds
    ]
    moves = [f"{what} {change / 2:+.1%}" for what, change in sensitivities(plan.case, plan.chip, plan.stack)[:4]]
    lines += ["", wrapped(f"A tenth less of it changes step time: {', '.join(moves)}")]
    if found:
        lines += ["", "What is stated, against what it implies"]
        lines += [
            wrapped(f"{one.verdict}: {one.text}", f"{number:>2}. ", 4) for number, one in enumerate(found, start=1)
        ]
    if plan.cluster.device != "cpu":
        kwh = plan.bill(plan.ettr).kwh_site
        places = ", ".join(
            f"{grid(code).name} {carbon(kwh * grid(code).grams_per_kwh / 1000)}"
            for code in ("USA", "FRA", "DEU", "CHN", "WORLD")
        )
        lines += ["", wrapped(f"CO2 at the site by country: {places}")]
    batch, shape = plan.recipe.batch, plan.case.shape
    sizes = storage(
        shape.parameters,
        batch.total_tokens,
        shape.vocab_size,
        math.ceil(plan.steps / plan.interval_steps),
        plan.recipe.checkpoint.keep,
    )
    lines += [
        "",
        wrapped(
            f"Storage: {human_bytes(sizes['checkpoint'])} a checkpoint, {human_bytes(sizes['kept_checkpoints'])} for "
            f"those kept, {human_bytes(sizes['all_checkpoints'])} if all were; {human_bytes(sizes['tokens'])} of tokens"
        ),
    ]
    return "\n".join(lines)
