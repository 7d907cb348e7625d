"""What the model can and may do: held-out bits per byte, calibration, red team."""

from typing import Any

from altiplano.records.run_records import Records, evaluation_groups
from altiplano.report.charts.bars import Interval, interval_chart, reliability_chart
from altiplano.report.charts.figure import Figure, figure


def evaluation_figures(records: Records) -> list[Figure]:
    groups = [
        Interval(g["name"], g["bits_per_byte"], g["bits_per_byte_low"], g["bits_per_byte_high"])
        for g in evaluation_groups(records)
    ]
    total = (records.perplexity or {}).get("total")
    if total and "bits_per_byte_low" in total:
        groups.append(Interval("all", total["bits_per_byte"], total["bits_per_byte_low"], total["bits_per_byte_high"]))
    gaps = [
        Interval(name, gap["gap"], gap["low"], gap["high"])
        for name, gap in (records.perplexity or {}).get("train_gap", {}).items()
    ]
    return [
        *figure(
            "Held-out text",
            "bits per byte, 95% intervals",
            interval_chart("Held-out bits per byte with 95% intervals", groups, "bits per byte (lower is better)"),
        ),
        *figure(
            "Overfitting",
            "held-out minus training text",
            interval_chart("Held-out minus training bits per byte", gaps, "difference in bits per byte", zero=True),
            note="An interval that holds zero shows no overfitting that these documents could tell.",
        ),
    ]


def calibration_figures(records: Records) -> list[Figure]:
    fitted: dict[str, Any] = records.calibration or {}
    found = []
    for key, title, colour in (("before", "Before", 1), ("after", "After", 0)):
        judged = fitted.get(key, {})
        temperature = "T = 1" if key == "before" else f"T = {fitted.get('temperature', 1):.3f}"
        svg = reliability_chart(f"Reliability {title.lower()} temperature scaling", judged.get("bins", []), colour)
        found += figure(title, f"{temperature}, calibration error {judged.get('ece', 0):.4f}", svg)
    return found
