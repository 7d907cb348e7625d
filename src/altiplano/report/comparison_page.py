"""Models beside one another: a table on the terminal, and one HTML page with an interval chart of the differences."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.records import ComparedScore, Comparison
from altiplano.report.benchmark_table import SHORT
from altiplano.report.charts.bars import IntervalBar, interval_chart
from altiplano.report.charts.figure import Figure, figure
from altiplano.report.frame import render_page
from altiplano.report.terminal import plain_table
from altiplano.storage import write_text

PAGE, DATA = "compare.html", "compare.json"
STYLES = {"better": "green", "worse": "bold red", "no difference told": "dim"}
COLUMNS = ("task", "by", "items", "first", "other", "difference", "95 %", "p (Holm)", "told from", "80 %", "verdict")

SHORTER = ("task", "items", "first", "other", "difference", "p (Holm)", "80 %", "verdict")
"""Where there is little room."""


def comparison_table(found: Comparison) -> RenderableType:
    parts: list[RenderableType] = []
    for other in found.others:
        table = plain_table(f"{other} beside {found.first}", *SHORTER)
        for column in table.columns[1:]:
            column.no_wrap = True
        for score in (one for one in found.scores if one.model == other):
            cells = dict(zip(COLUMNS, row(score), strict=True))
            shown = [cells[name] for name in SHORTER[:-1]]
            table.add_row(*shown, Text(cells["verdict"], STYLES[score.verdict]))
        parts += [table, ""]
    parts.append(
        Text("80 %: a true difference that would get a verdict four times of five; intervals are on the page", "dim")
    )
    return Group(*parts, *[Text(note) for note in [*left_out(found), *found.notes]])


def row(score: ComparedScore) -> tuple[str, ...]:
    """Cells of ``COLUMNS``."""

    def least(value: float | None) -> str:
        return "–" if value is None else f"{value:.4f}"

    return (
        score.name,
        SHORT.get(score.metric, score.metric),
        f"{score.items:,}",
        f"{score.first:.3f}",
        f"{score.second:.3f}",
        f"{score.difference.value:+.4f}",
        f"{score.difference.low:+.4f} to {score.difference.high:+.4f}",
        f"{score.p_holm:.2g}",
        least(score.least),
        least(score.detectable),
        score.verdict,
    )


def left_out(found: Comparison) -> list[str]:
    """Items that were not compared, in words."""
    said = []
    for one in found.scores:
        unit = "items" if one.kind == "task" else "documents"
        counts = (
            (one.only_first, f"only {found.first} answered"),
            (one.only_second, f"only {one.model} answered"),
            (one.asked_differently, "the two were asked differently"),
        )
        said += [f"{one.name}: left out {count:,} {unit} that {why}" for count, why in counts if count]
    return said


def write_comparison(found: Comparison, folder: Path) -> Path:
    """Write ``compare.json`` and ``compare.html``; return the page's path."""
    found.write(folder / DATA)
    write_text(folder / PAGE, render(found))
    return folder / PAGE


def render(found: Comparison) -> str:
    return render_page(
        "compare.html.j2",
        kind="comparison",
        name=found.first,
        subtitle="beside " + ", ".join(found.others),
        found=found,
        columns=COLUMNS,
        sections=[
            (other, figures(scores), [row(one) for one in scores])
            for other in found.others
            for scores in [[one for one in found.scores if one.model == other]]
        ],
        notes=[*left_out(found), *found.notes],
    )


def figures(scores: list[ComparedScore]) -> list[Figure]:
    higher = [one for one in scores if not one.lower_is_better]
    bits = [one for one in scores if one.lower_is_better]
    return [
        *figure("Scores", "other minus first, 95% intervals", _chart("Difference of scores", higher, "right: better")),
        *figure("Bits per byte", "other minus first, 95% intervals", _chart("Difference of bits per byte", bits,
                "left: better")),
    ]  # fmt: skip


def _chart(title: str, scores: list[ComparedScore], label: str) -> str:
    bars = [IntervalBar(one.name, one.difference.value, one.difference.low, one.difference.high) for one in scores]
    return interval_chart(title, bars, label, zero=True)
