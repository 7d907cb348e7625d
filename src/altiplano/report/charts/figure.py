"""A chart on the page: its title, the unit of its values, and the drawing, perhaps with a second one in logarithms."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from altiplano.report.charts.lines import Curve, line_chart


@dataclass(frozen=True)
class Figure:
    title: str
    unit: str
    svg: Markup
    log_svg: Markup | None = None
    note: str = ""


def figure(title: str, unit: str, svg: str, note: str = "") -> list[Figure]:
    """One figure, or none when there is nothing to draw."""
    return [Figure(title, unit, Markup(svg), note=note)] if svg else []


def curves(
    title: str,
    unit: str,
    lines: Sequence[Curve],
    zero: bool = False,
    marks: Sequence[tuple[float, str]] = (),
    logarithm: bool = False,
    note: str = "",
) -> list[Figure]:
    """A line chart, with ``logarithm`` one that the reader can switch to a logarithmic axis."""
    svg = line_chart(f"{title}, {unit}" if unit else title, lines, zero=zero, marks=marks)
    log_svg = line_chart(f"{title}, {unit}, logarithmic", lines, log=True, marks=marks) if logarithm else ""
    if not svg:
        return []
    # Only the reader's click shows the second drawing.
    second = Markup(log_svg.replace("<svg ", "<svg hidden ", 1)) if log_svg else None
    return [Figure(title, unit, Markup(svg), second, note)]
