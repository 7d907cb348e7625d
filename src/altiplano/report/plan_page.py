"""From a plan to one HTML file that asks nothing of any other place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from altiplano.formatting import energy, estimate, span
from altiplano.planning.consistency.advice import advice
from altiplano.planning.consistency.contradictions import contradictions
from altiplano.planning.consistency.edits import smallest_edits
from altiplano.planning.consistency.practice import published
from altiplano.planning.cost import storage
from altiplano.planning.memory import GIB, capacity
from altiplano.planning.output.phases import phases_notes, phases_table
from altiplano.planning.output.plans import Column
from altiplano.planning.plan import Plan
from altiplano.planning.reliability import ettr
from altiplano.planning.step_time.matmul import block_work
from altiplano.planning.step_time.network import tensor_seconds
from altiplano.planning.step_time.step_time import step_time, throughput
from altiplano.recipe.units import human, human_bytes
from altiplano.report.charts.figure import Figure, figure
from altiplano.report.charts.lines import Curve, line_chart
from altiplano.report.charts.plan_charts import Part, Point, point_chart, stacked_chart, timeline_chart, waterfall_chart
from altiplano.report.frame import render_page
from altiplano.report.run_page import Headline
from altiplano.storage import write_text

COLOURS = {"weights": 0, "gradients": 1, "optimizer": 2, "gathered": 6, "norms": 3, "attention": 4, "mlp": 5}
REST = "logits, buffers"


def write_page(plan: Plan, path: Path, phases: Sequence[Column] = ()) -> None:
    """Write the page of a plan, and of the recipe's phases after it, to ``path``."""
    write_text(path, render(plan, phases))


def render(plan: Plan, phases: Sequence[Column] = ()) -> str:
    found = contradictions(plan)
    return render_page(
        "plan.html.j2",
        kind="plan",
        name=plan.recipe.name,
        subtitle=f"{plan.devices:,} × {plan.chip.description}, {plan.stack.name}: {plan.stack.description}",
        headlines=headlines(plan),
        found=found,
        edits=smallest_edits(plan),
        phases=phases_table(plan, phases) if phases else [],
        phases_notes=phases_notes(plan, phases),
        memory_figures=[*memory_figure(plan), *frontier_figure(plan)],
        speed_figures=[*waterfall_figure(plan), *timeline_figure(plan)],
        time_figures=[*interval_figure(plan), *devices_figure(plan)],
        layouts=layout_rows(plan),
        storage=storage_rows(plan),
        advice=advice(plan),
    )


def headlines(plan: Plan) -> list[Headline]:
    bill, best = plan.bill(plan.ettr), plan.bill(plan.best_ettr)
    rate = throughput(plan.case, plan.chip, plan.seconds)
    found = contradictions(plan)
    worst = found[0].verdict if found else ""
    room = capacity(plan.chip)
    return [
        Headline(
            "fits",
            "yes" if plan.fits else "no",
            f"{plan.fullest.total / GIB:.1f} of {room / GIB:.1f} GiB",
            "good" if plan.fits else "bad",
        ),
        Headline(
            "time",
            span(bill.days),
            f"as the recipe is written; {span(best.days)} with a checkpoint every {plan.best_steps:,} steps",
        ),
        Headline(
            "device-hours",
            human(bill.device_hours),
            (f"published: {human(run.device_hours)}; " if (run := published(plan)) else "")
            + f"${human(bill.dollars)} at ${plan.cluster.operation.price_per_device_hour:.2f}",
        ),
        Headline(
            "step",
            estimate(plan.seconds),
            f"± {plan.uncertainty:.0%} in a short benchmark; {human(rate['tokens_per_second'])} tokens/s",
        ),
        Headline("MFU", f"{rate['mfu']['causal']:.1%}", f"{rate['mfu']['full']:.1%} with attention counted in full"),
        Headline(
            "energy", energy(bill.kwh_site), f"{energy(bill.kwh_chips)} in the chips; {bill.kg_site / 1e3:,.0f} t CO2"
        ),
        Headline(
            "productive time",
            f"{plan.ettr:.1%}",
            f"with a checkpoint every {plan.interval_steps:,} steps; every {plan.best_steps:,}: {plan.best_ettr:.1%}",
        ),
        Headline(
            "cannot be true",
            str(sum(one.verdict in ("impossible", "inconsistent") for one in found)),
            f"of what is stated; worst: {worst}" if found else "nothing that is stated",
            "bad" if worst == "impossible" else "",
        ),
    ]


def memory_figure(plan: Plan) -> list[Figure]:
    shown = plan.memory if len(plan.memory) <= 16 else [*plan.memory[:12], *plan.memory[-4:]]
    rows = []
    for one in shown:
        parts = [Part(kind, one.parts[kind] / GIB, colour) for kind, colour in COLOURS.items()]
        parts.append(Part(REST, (one.parts["logits"] + one.parts["buffers"]) / GIB, 7))
        rows.append((f"rank {one.rank}", [part for part in parts if part.value > 0.004 * one.total / GIB]))
    return figure(
        "Memory of each pipeline rank", "GiB", stacked_chart("Memory", rows, capacity(plan.chip) / GIB, "GiB")
    )


def frontier_figure(plan: Plan) -> list[Figure]:
    if plan.found is None:
        return []
    fast = plan.found.choices[0].seconds
    near = [choice for choice in plan.found.choices if choice.seconds < 1.5 * fast][:400]
    best = plan.found.best
    points = [
        Point(str(choice.case.parallelism), choice.memory.total / GIB, choice.seconds, 2 if choice.published else 7)
        for choice in near
        if choice is not best
    ]
    points.append(Point(str(best.case.parallelism), best.memory.total / GIB, best.seconds, 1, labelled=True))
    chart = point_chart("Layouts that fit", points, "GiB on the fullest device")
    note = (
        f"{len(plan.found.choices):,} of {plan.found.tried:,} layouts fit; green: published runs of this model had it"
    )
    return figure("Layouts", "seconds a step", chart, note)


def waterfall_figure(plan: Plan) -> list[Figure]:
    colours = {"matrix products": 0, "attention": 4, "elementwise": 3, "recomputation": 5, "head and loss": 6}
    large = plan.seconds >= 1
    parts = [
        Part(name, value if large else value * 1000, colours.get(name, 1))
        for name, value in plan.step.parts.items()
        if value > 0.001 * plan.seconds
    ]
    return figure("A step, by what it is spent on", "", waterfall_chart("Step time", parts, "s" if large else "ms"))


def timeline_figure(plan: Plan) -> list[Figure]:
    case = plan.case
    if case.parallelism.pp == 1:
        return []
    work, tensor = block_work(case, plan.chip, plan.stack), tensor_seconds(case, plan.chip, plan.stack)
    layers = case.shape.num_hidden_layers / case.parallelism.pp
    chart = timeline_chart("Pipeline", case, layers * (work.forward + tensor[0]), layers * (work.backward + tensor[1]))
    note = "Blue: forward, green: backward, gaps: waiting. Shown as 1F1B"
    if case.parallelism.virtual > 1:
        note += f"; with {case.parallelism.virtual} stages a rank the gaps are {case.parallelism.virtual} times shorter"
    return figure("The pipeline's first micro-batches", "", chart, note + f". {case.micro_batches} in a step")


def interval_figure(plan: Plan) -> list[Figure]:
    mean = plan.reliability.failure_seconds
    if mean == float("inf"):
        return []
    longest = max(plan.interval_steps * plan.seconds, 4 * plan.best_steps * plan.seconds) * 1.1
    places = [longest * (number / 120) ** 2 for number in range(1, 121)]
    line = Curve("", [place / 3600 for place in places], [100 * ettr(place, plan.reliability) for place in places], 0)
    marks = [
        (plan.best_steps * plan.seconds / 3600, f"best: {plan.best_steps}"),
        (plan.interval_steps * plan.seconds / 3600, f"recipe: {plan.interval_steps:,}"),
    ]
    chart = line_chart("Productive time", [line], x_label="hours of training between checkpoints", marks=marks)
    return figure("Productive time", "%", chart)


def devices_figure(plan: Plan) -> list[Figure]:
    """Days of the same tensor, pipeline and context sizes with fewer and more copies."""
    parallelism, days, hours, counts = plan.case.parallelism, [], [], []
    for power in range(-3, 5):
        dp = int(parallelism.dp * 2.0**power)
        if dp < 1 or plan.case.sequences % (dp * parallelism.micro_batch):
            continue
        case = replace(plan.case, parallelism=replace(parallelism, dp=dp), filled=0)
        if parallelism.pp > 1 and case.micro_batches < parallelism.pp:
            continue
        seconds = step_time(case, plan.chip, plan.stack).total
        counts.append(float(case.parallelism.devices))
        days.append(seconds * plan.steps / 86400)
        hours.append(days[-1] * 24 * case.parallelism.devices)
    if len(counts) < 3:
        return []
    note = ", ".join(
        f"{count:,.0f}: {span(day)}, {human(hour)} device-hours"
        for count, day, hour in zip(counts, days, hours, strict=True)
    )
    chart = line_chart("Days of training", [Curve("", counts, days, 0)], x_label="devices", log=True)
    return figure("Days of training", "without failures", chart, note)


def layout_rows(plan: Plan) -> list[list[str]]:
    if plan.found is None:
        return []
    return [
        [
            str(choice.case.parallelism),
            estimate(choice.seconds),
            f"{choice.memory.total / GIB:.1f} GiB",
            choice.published,
        ]
        for choice in plan.found.ties[:10]
    ]


def storage_rows(plan: Plan) -> list[tuple[str, str]]:
    batch, shape = plan.recipe.batch, plan.case.shape
    sizes = storage(
        shape.parameters,
        batch.total_tokens,
        shape.vocab_size,
        -(-plan.steps // plan.interval_steps),
        plan.recipe.checkpoint.keep,
    )
    names = {
        "checkpoint": "one checkpoint",
        "kept_checkpoints": "permanent checkpoints that are kept",
        "all_checkpoints": "all permanent checkpoints, if none were deleted",
        "tokens": "token files",
    }
    return [(names[key], human_bytes(value)) for key, value in sizes.items()]
