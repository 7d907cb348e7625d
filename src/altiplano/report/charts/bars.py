"""Bars, funnels, intervals and reliability diagrams as SVG. Every bar carries its value in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from altiplano.records import ReliabilityBin
from altiplano.report.charts.scale import scale
from altiplano.report.charts.svg import WIDTH, axes, frame, tag, text

ROW = 27.0


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    words: str
    colour: int = 0


def bar_chart(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars from zero; "" when there are none."""
    bars = [bar for bar in bars if math.isfinite(bar.value)]
    if not bars:
        return ""
    left = 14 + 8.6 * max(len(bar.name) for bar in bars)
    right = 16 + 8.4 * max(len(bar.words) for bar in bars)
    length = scale([bar.value for bar in bars] + [0], left, WIDTH - right, zero=True)
    longest = max([0.0, *(bar.value for bar in bars)])
    parts = []
    for row, bar in enumerate(bars):
        top = row * ROW + 4
        # The longest bar ends where its words begin: the scale's own air is not needed here.
        end = left + (length.end - left) * (bar.value / longest if longest else 0)
        parts.append(text(left - 8, top + 15, bar.name, text_anchor="end", class_="name"))
        wide = max(end - left, 1.5)
        parts.append(tag("rect", x=left, y=top, width=wide, height=ROW - 7, rx=3.0, class_=f"bar c{bar.colour % 8}"))
        parts.append(text(left + wide + 7, top + 15, bar.words, class_="value"))
    described = ", ".join(f"{bar.name} {bar.words}" for bar in bars)
    return frame(title, described, len(bars) * ROW + 6, "".join(parts))


def funnel_chart(title: str, steps: Sequence[Bar]) -> str:
    """Bars that shrink step by step around a middle line, with the share that each step keeps."""
    widest = max((step.value for step in steps), default=0.0)
    if widest <= 0:
        return ""
    left = 14 + 8.6 * max(len(step.name) for step in steps)
    right = 16 + 8.4 * max(len(step.words) for step in steps)
    room = WIDTH - left - right
    middle = left + room / 2
    parts = []
    for row, step in enumerate(steps):
        top, half = row * 34.0 + 4, room / 2 * step.value / widest
        if row:
            before = room / 2 * steps[row - 1].value / widest
            above, here = f"{top - 10:.1f}", f"{top:.1f}"
            corners = (
                f"{middle - before:.1f},{above} {middle + before:.1f},{above} "
                f"{middle + half:.1f},{here} {middle - half:.1f},{here}"
            )
            parts.append(tag("polygon", points=corners, class_="neck"))
        parts.append(text(left - 8, top + 16, step.name, text_anchor="end", class_="name"))
        parts.append(
            tag("rect", x=middle - half, y=top, width=max(2 * half, 1.5), height=24.0, rx=3.0, class_="bar c0")
        )
        parts.append(text(WIDTH - right + 8, top + 16, step.words, class_="value"))
    described = ", then ".join(f"{step.name} {step.words}" for step in steps)
    return frame(title, described, len(steps) * 34.0, "".join(parts))


@dataclass(frozen=True)
class IntervalBar:
    name: str
    value: float
    low: float
    high: float


def interval_chart(title: str, rows: Sequence[IntervalBar], x_label: str, zero: bool = False) -> str:
    """One dot with its interval per row. ``zero``: a line at zero, for differences."""
    rows = [row for row in rows if math.isfinite(row.value)]
    if not rows:
        return ""
    left = 14 + 8.6 * max(len(row.name) for row in rows)
    height = len(rows) * ROW + 66
    ends = [end for row in rows for end in (row.low, row.high)] + ([0.0] if zero else [])
    x = scale(ends, left, WIDTH - 16)
    bottom = height - 56
    parts = [tag("line", x1=x.start, x2=x.end, y1=bottom, y2=bottom, class_="axis")]
    for tick in x.ticks():
        parts.append(tag("line", x1=x(tick), x2=x(tick), y1=4, y2=bottom, class_="grid"))
        parts.append(text(x(tick), bottom + 22, f"{tick:.6g}", text_anchor="middle", class_="tick"))
    if zero:
        parts.append(tag("line", x1=x(0), x2=x(0), y1=4, y2=bottom, class_="axis"))
    parts.append(text((x.start + x.end) / 2, bottom + 44, x_label, text_anchor="middle", class_="tick"))
    for row_number, row in enumerate(rows):
        middle = row_number * ROW + 18
        parts.append(text(left - 8, middle + 4.5, row.name, text_anchor="end", class_="name"))
        parts.append(tag("line", x1=x(row.low), x2=x(row.high), y1=middle, y2=middle, class_="whisker c0"))
        shown = tag("title", escape(f"{row.name}: {row.value:.4f} ({row.low:.4f} to {row.high:.4f})"))
        parts.append(tag("circle", shown, cx=x(row.value), cy=middle, r=5.0, class_="dot c0"))
    described = ", ".join(f"{row.name} {row.value:.4f} from {row.low:.4f} to {row.high:.4f}" for row in rows)
    return frame(title, described, height, "".join(parts))


def reliability_chart(
    title: str,
    bins: Sequence[ReliabilityBin],
    colour: int,
    unit: str = "tokens",
    x_label: str = "confidence of the likeliest token",
) -> str:
    """Accuracy against confidence with the diagonal that calibration means, and below it the ``unit`` in each bin."""
    filled = [b for b in bins if b.count > 0]
    if not filled:
        return ""
    x, y = scale([0, 1], 58, WIDTH - 16), scale([0, 1], 296, 14)
    parts = [axes(x, y, "")]
    parts.append(tag("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="diagonal"))
    points = [(x(b.confidence), y(b.accuracy)) for b in filled]
    for b, (a, at) in zip(filled, points, strict=True):
        parts.append(tag("line", x1=a, x2=a, y1=at, y2=y(b.confidence), class_=f"gap c{colour}"))
    path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
    parts.append(tag("path", d=path, class_=f"curve c{colour}"))
    for b, (a, at) in zip(filled, points, strict=True):
        words = f"confidence {b.confidence:.3f}, accuracy {b.accuracy:.3f}, {b.count:,} {unit}"
        parts.append(tag("circle", tag("title", words), cx=a, cy=at, r=4.5, class_=f"dot c{colour}"))
    # Square roots: the lowest bins hold most tokens, and the others should be seen too.
    most = math.sqrt(max(b.count for b in filled))
    parts.append(text(x(0), 340, f"{unit} per bin (largest {max(b.count for b in filled):,})", class_="tick"))
    for b in filled:
        tall = 46 * math.sqrt(b.count) / most
        left, right = x(b.low), x(b.high)
        words = tag("title", f"{b.low:.2f} to {b.high:.2f}: {b.count:,} {unit}")
        box = {"x": left + 1, "y": 396 - tall, "width": right - left - 2, "height": tall}
        parts.append(tag("rect", words, **box, class_=f"bar c{colour}"))
    parts.append(tag("line", x1=x.start, x2=x.end, y1=396, y2=396, class_="axis"))
    middle = (x.start + x.end) / 2
    parts.append(text(middle, 420, x_label, text_anchor="middle", class_="tick"))
    described = "; ".join(f"confidence {b.confidence:.2f}, accuracy {b.accuracy:.2f}" for b in filled)
    return frame(title, described, 430, "".join(parts))
