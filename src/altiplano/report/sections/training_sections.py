"""Training as curves: loss, held-out bits per byte, learning rate, gradient, speed."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from altiplano.formatting import duration, percent
from altiplano.recipe.units import human
from altiplano.records import Incident, StepMetrics
from altiplano.records.run_records import Records
from altiplano.report.charts.bars import Bar, bar_chart
from altiplano.report.charts.figure import Figure, curves, figure
from altiplano.report.charts.lines import Curve, smoothed

# More words than this over a chart would lie on one another.
MOST_WORDS = 6
BUCKETS = {
    "init": "starting",
    "data": "waiting for data",
    "compute": "computing",
    "save": "saving",
    "validation": "held-out scores",
    "lost": "lost to faults",
    "restart": "starting again",
}


def training_figures(records: Records, other: Records | None = None) -> list[Figure]:
    """``other``: a run to compare with."""
    metrics = records.metrics
    steps = [float(line.step) for line in metrics]
    marks = restarts(records)
    loss = [line.loss for line in metrics]
    span = max(2, len(loss) // 60)
    lines = [Curve("loss", steps, loss, 0, faint=True), Curve("smoothed", steps, smoothed(loss, span), 0)]
    if other is not None:
        theirs = smoothed([line.loss for line in other.metrics], span)
        lines.append(Curve(other.workspace.resolve().name, [float(line.step) for line in other.metrics], theirs, 3))
    return [
        *curves(
            "Training loss",
            "nats per token",
            lines,
            marks=marks,
            logarithm=True,
            note=apart(metrics, other.metrics) if other is not None else "",
        ),
        *curves("Held-out text", "bits per byte", heldout_lines(records), marks=marks, logarithm=True),
        *curves(
            "Learning rate", "", [Curve("", steps, [line.learning_rate for line in metrics], 2)], zero=True, marks=marks
        ),
        *curves(
            "Gradient norm",
            "before clipping",
            [Curve("", steps, [line.gradient_norm for line in metrics], 1)],
            marks=marks,
            logarithm=True,
        ),
        *curves(
            "Throughput",
            "tokens per second",
            [Curve("", steps, [line.tokens_per_second for line in metrics], 4)],
            zero=True,
            marks=marks,
            note=pace(metrics),
        ),
        *curves(
            "Model FLOPs utilisation",
            "percent of the peak",
            [Curve("", steps, [100 * line.mfu for line in metrics], 3)],
            zero=True,
            marks=marks,
            note=how_measured(records),
        ),
        *goodput_figure(records),
    ]


def how_measured(records: Records) -> str:
    """What the peak is, and how matrices were multiplied."""
    run = records.run
    if run is None:
        return ""
    notes = [run.products.capitalize() + "."] if run.products else []
    if run.matmul_peak_source == "datasheet":
        notes.append("The peak is the datasheet's.")
    if run.busy:
        notes.append("The machine was busy with other work when its peak was measured.")
    return " ".join(notes)


def goodput_figure(records: Records) -> list[Figure]:
    """Where the wall-clock of training went."""
    booked = records.run.goodput if records.run else None
    if booked is None or not booked.wall:
        return []
    parts = {BUCKETS[name]: seconds for name, seconds in booked.seconds.items()}
    bars = [Bar(name, s, f"{duration(s)} · {percent(s / booked.wall)}", 0) for name, s in parts.items()]
    note = f"Goodput {percent(booked.share)}: the share of {duration(booked.wall)} spent computing kept steps."
    if formula := booked.formula:
        note += (
            f" {formula.faults} faults, one in {duration(formula.failure_seconds)}: after the first start "
            f"{percent(formula.forward)} of the time was productive; the planner's formula expects "
            f"{percent(formula.expected)} with faults, saves and restarts as they were."
        )
    return figure("Wall-clock of training", "", bar_chart("Wall-clock of training", bars), note)


def incident_rows(records: Records) -> list[tuple[str, Incident]]:
    """When each happened (UTC), and what it was."""
    found = records.run.incidents if records.run else []
    return [(datetime.fromtimestamp(one.time, UTC).strftime("%Y-%m-%d %H:%M:%S"), one) for one in found]


def apart(ours: Sequence[StepMetrics], theirs: Sequence[StepMetrics]) -> str:
    """How far two runs' losses are from one another, in words."""
    other = {line.step: line.loss for line in theirs}
    gaps = [abs(line.loss - other[line.step]) for line in ours if line.step in other]
    gaps = [gap for gap in gaps if math.isfinite(gap)]
    if not gaps:
        return ""
    same = sum(gap == 0 for gap in gaps)
    return f"{same} of {len(gaps)} steps have the very same loss; the largest difference is {max(gaps):.2g}."


def heldout_lines(records: Records) -> list[Curve]:
    """Bits per byte of each group over the steps, and of all together."""
    groups = sorted({name for line in records.heldout for name in line.groups})
    lines = []
    for colour, name in enumerate(groups):
        seen = [line for line in records.heldout if name in line.groups]
        bits = [line.groups[name].bits_per_byte for line in seen]
        lines.append(Curve(name, [line.step for line in seen], bits, colour))
    if len(groups) > 1:
        total = [line.total.bits_per_byte for line in records.heldout]
        lines.append(Curve("all", [line.step for line in records.heldout], total, -1))
    return lines


def restarts(records: Records) -> list[tuple[float, str]]:
    """First step of every session but the first."""
    sessions = records.run.sessions[1:] if records.run else []
    steps = [float(session.first_step) for session in sessions if session.first_step is not None]
    return [(step, "restart" if len(steps) <= MOST_WORDS else "") for step in steps]


def pace(metrics: Sequence[StepMetrics]) -> str:
    """Step times and the share of time spent waiting for data."""
    seconds = sorted(line.seconds for line in metrics)
    if not seconds:
        return ""
    middle, late = seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))]
    waited = sum(line.data_seconds for line in metrics) / max(sum(seconds), 1e-9)
    steps = f"Step time {human(middle)} s median, {human(late)} s at the 99th percentile"
    return f"{steps}; {percent(waited)} waiting for data."
