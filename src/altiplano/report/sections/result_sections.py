"""What the model can and may do: held-out bits per byte, calibration, red team."""

from altiplano.records.run_records import Records
from altiplano.report.charts.bars import IntervalBar, interval_chart, reliability_chart
from altiplano.report.charts.figure import Figure, figure


def evaluation_figures(records: Records) -> list[Figure]:
    scored = records.perplexity
    if scored is None:
        return []
    groups = [
        IntervalBar(name, group.bits_per_byte, group.bits_per_byte_low, group.bits_per_byte_high)
        for name, group in [*sorted(scored.groups.items()), ("all", scored.total)]
    ]
    gaps = [IntervalBar(name, gap.gap, gap.low, gap.high) for name, gap in scored.train_gap.items()]
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
    fitted = records.calibration
    if fitted is None:
        return []
    sides = (("Before", "T = 1", fitted.before, 1), ("After", f"T = {fitted.temperature:.3f}", fitted.after, 0))
    return [
        drawn
        for title, temperature, judged, colour in sides
        for drawn in figure(
            title,
            f"{temperature}, calibration error {judged.ece:.4f}",
            reliability_chart(f"Reliability {title.lower()} temperature scaling", judged.bins, colour),
        )
    ]
