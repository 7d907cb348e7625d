"""Training as curves: loss, held-out bits per byte, learning rate, gradient, speed."""

import math
from typing import Any

from altiplano.recipe.units import human
from altiplano.release.records import Records
from altiplano.release.report.figure import Figure, curves
from altiplano.release.report.lines import Line, smoothed
from altiplano.release.wording import percent


def training_figures(records: Records) -> list[Figure]:
    metrics = records.metrics
    steps = [_value(line, "step") for line in metrics]
    marks = restarts(records)
    loss = [_value(line, "loss") for line in metrics]
    span = max(2, len(loss) // 60)
    return [
        *curves(
            "Training loss",
            "nats per token",
            [Line("loss", steps, loss, 0, faint=True), Line("smoothed", steps, smoothed(loss, span), 0)],
            marks=marks,
            logarithm=True,
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
        ),
    ]


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
    return [(float(session["first_step"]), "restart") for session in sessions if session.get("first_step") is not None]


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
