"""What the model can and may do: held-out bits per byte, calibration, red team."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class OverfittingRow:
    test: str
    name: str
    effect: str
    interval: str
    detectable: str
    verdict: str
    sample: str
    note: str


def overfitting_rows(records: Records) -> list[OverfittingRow]:
    """Every test, the worst verdict first."""
    if records.overfitting is None:
        return []
    order = ("shown", "cannot be told", "not shown")
    return [
        OverfittingRow(
            test.test,
            test.name,
            f"{test.effect.value:+.4f}" if test.effect else "",
            f"{test.effect.low:+.4f} to {test.effect.high:+.4f}" if test.effect else "",
            f"{test.detectable:.4f}" if test.detectable is not None else "",
            test.verdict,
            test.sample,
            test.note,
        )
        for test in sorted(records.overfitting.tests, key=lambda test: order.index(test.verdict))
    ]


def heldout_rises(records: Records, most: int = 20) -> str:
    """At which evaluations the held-out loss had risen, in words."""
    found = records.overfitting
    if found is None:
        return ""
    if not found.rises:
        return "Held-out loss fell at every evaluation in training."
    largest = sorted(found.rises, key=lambda rise: rise.before - rise.after)[:most]
    shown = ", ".join(f"step {r.step:,} by {r.after - r.before:.4f}" for r in sorted(largest, key=lambda r: r.step))
    more = f"; the {most} largest" if len(found.rises) > most else ""
    return f"Held-out loss rose at {len(found.rises):,} evaluations{more}: {shown}."


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
