"""Training as curves: loss, held-out bits per byte, learning rate, gradient, speed."""

import math
from datetime import UTC, datetime
from typing import Any

from altiplano.formatting import duration, percent
from altiplano.recipe.units import human
from altiplano.records.run_records import Records
from altiplano.report.charts.bars import Bar, bar_chart
from altiplano.report.charts.figure import Figure, curves, figure
from altiplano.report.charts.lines import Line, smoothed

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
    steps = _column(metrics, "step")
    marks = restarts(records)
    loss = _column(metrics, "loss")
    span = max(2, len(loss) // 60)
    lines = [Line("loss", steps, loss, 0, faint=True), Line("smoothed", steps, smoothed(loss, span), 0)]
    if other is not None:
        theirs = smoothed(_column(other.metrics, "loss"), span)
        lines.append(Line(other.workspace.resolve().name, _column(other.metrics, "step"), theirs, 3))
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
        *curves("Learning rate", "", [Line("", steps, _column(metrics, "learning_rate"), 2)], zero=True, marks=marks),
        *curves(
            "Gradient norm",
            "before clipping",
            [Line("", steps, _column(metrics, "gradient_norm"), 1)],
            marks=marks,
            logarithm=True,
        ),
        *curves(
            "Throughput",
            "tokens per second",
            [Line("", steps, _column(metrics, "tokens_per_second"), 4)],
            zero=True,
            marks=marks,
            note=pace(metrics),
        ),
        *curves(
            "Model FLOPs utilisation",
            "percent of the peak",
            [Line("", steps, [100 * share for share in _column(metrics, "mfu")], 3)],
            zero=True,
            marks=marks,
            note=how_measured(records),
        ),
        *goodput_figure(records),
    ]


def how_measured(records: Records) -> str:
    """What the peak is, and how matrices were multiplied."""
    run = records.run or {}
    notes = [str(run["products"]).capitalize() + "."] if run.get("products") else []
    if run.get("matmul_peak_source") == "datasheet":
        notes.append("The peak is the datasheet's.")
    if run.get("busy"):
        notes.append("The machine was busy with other work when its peak was measured.")
    return " ".join(notes)


def goodput_figure(records: Records) -> list[Figure]:
    """Where the wall-clock of training went."""
    booked = (records.run or {}).get("goodput")
    if not booked or not booked["wall"]:
        return []
    parts = {BUCKETS[name]: seconds for name, seconds in booked["seconds"].items()}
    bars = [Bar(name, s, f"{duration(s)} · {percent(s / booked['wall'])}", 0) for name, s in parts.items()]
    note = f"Goodput {percent(booked['share'])}: the share of {duration(booked['wall'])} spent computing kept steps."
    if formula := booked.get("formula"):
        note += (
            f" {formula['faults']} faults, one in {duration(formula['failure_seconds'])}: after the first start "
            f"{percent(formula['forward'])} of the time went forward; the planner's formula expects "
            f"{percent(formula['expected'])} with faults, saves and restarts as they were."
        )
    return figure("Wall-clock of training", "", bar_chart("Wall-clock of training", bars), note)


def incident_rows(records: Records) -> list[dict[str, Any]]:
    found = (records.run or {}).get("incidents", [])
    return [{**i, "when": datetime.fromtimestamp(i["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")} for i in found]


def apart(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """How far two runs' losses are from one another, in words."""
    other = {line["step"]: _value(line, "loss") for line in theirs}
    gaps = [abs(_value(line, "loss") - other[line["step"]]) for line in ours if line["step"] in other]
    gaps = [gap for gap in gaps if math.isfinite(gap)]
    if not gaps:
        return ""
    same = sum(gap == 0 for gap in gaps)
    return f"{same} of {len(gaps)} steps have the very same loss; the largest difference is {max(gaps):.2g}."


def heldout_lines(records: Records) -> list[Line]:
    """Bits per byte of each group over the steps, and of all together."""
    groups = sorted({name for line in records.heldout for name in line["groups"]})
    lines = []
    for colour, name in enumerate(groups):
        seen = [line for line in records.heldout if name in line["groups"]]
        bits = [_value(line["groups"][name], "bits_per_byte") for line in seen]
        lines.append(Line(name, [line["step"] for line in seen], bits, colour))
    if len(groups) > 1:
        total = [_value(line.get("total", {}), "bits_per_byte") for line in records.heldout]
        lines.append(Line("all", [line["step"] for line in records.heldout], total, -1))
    return lines


def restarts(records: Records) -> list[tuple[float, str]]:
    """First step of every session but the first."""
    sessions = (records.run or {}).get("sessions", [])[1:]
    steps = [float(session["first_step"]) for session in sessions if session.get("first_step") is not None]
    return [(step, "restart" if len(steps) <= MOST_WORDS else "") for step in steps]


def pace(metrics: list[dict[str, Any]]) -> str:
    """Step times and the share of time spent waiting for data."""
    seconds = sorted(s for s in _column(metrics, "seconds") if math.isfinite(s))
    if not seconds:
        return ""
    middle, late = seconds[len(seconds) // 2], seconds[min(len(seconds) - 1, int(0.99 * len(seconds)))]
    waited = sum(w for w in _column(metrics, "data_seconds") if math.isfinite(w)) / max(sum(seconds), 1e-9)
    steps = f"Step time {human(middle)} s median, {human(late)} s at the 99th percentile"
    return f"{steps}; {percent(waited)} waiting for data."


def _column(lines: list[dict[str, Any]], key: str) -> list[float]:
    return [_value(line, key) for line in lines]


def _value(line: dict[str, Any], key: str) -> float:
    value = line.get(key)
    return math.nan if value is None else float(value)
