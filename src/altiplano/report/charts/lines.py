"""Line charts: curves over steps, labelled at their ends."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from altiplano.report.charts.scale import scale
from altiplano.report.charts.svg import WIDTH, axes, frame, spread, tag, text

MAX_POINTS = 600
COLOURS = 8


@dataclass(frozen=True)
class Curve:
    """``colour`` 0 … 7 is a place in the palette, -1 the colour of text. NaN breaks the line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int = 0
    faint: bool = False


def line_chart(
    title: str,
    lines: Sequence[Curve],
    x_label: str = "step",
    log: bool = False,
    zero: bool = False,
    marks: Sequence[tuple[float, str]] = (),
) -> str:
    """An SVG; "" when no line has a finite value. ``marks`` are vertical lines with a word, such as restarts."""
    drawn = [thin(line) for line in lines]
    drawn = [line for line in drawn if any(_usable(y, log) for y in line.y)]
    if not drawn:
        return ""
    named = [line for line in drawn if line.name and not line.faint]
    label_width = 12.0 + 8.8 * max((len(line.name) for line in named), default=0) if len(named) > 1 else 14.0
    height = max(290.0, 20.0 * len(named) + 80)
    x = scale([x for line in drawn for x in line.x], 58, WIDTH - label_width)
    y = scale([y for line in drawn for y in line.y], height - 56, 28 if marks else 14, log=log, zero=zero)
    parts = [axes(x, y, x_label)]
    for place, word in marks:
        parts.append(tag("line", x1=x(place), x2=x(place), y1=y.end - 8, y2=y.start, class_="mark"))
        parts.append(text(x(place), y.end - 13, word, text_anchor="middle", class_="note"))
    for line in drawn:
        points = [(x(a), y(b)) if _usable(b, log) else None for a, b in zip(line.x, line.y, strict=True)]
        parts.append(_curve(points, f"c{line.colour % COLOURS if line.colour >= 0 else 'ink'}", line))
    if len(named) > 1:
        ends = spread([y(_last(line, log)) for line in named], 19, y.end, y.start + 14)
        for line, end in zip(named, ends, strict=True):
            key = f"c{line.colour % COLOURS if line.colour >= 0 else 'ink'}"
            parts.append(text(x.end + 8, end + 5, line.name, class_=f"label {key}"))
    hover = {
        "x": [x.low, x.high, x.start, x.end],
        "y": [y.low, y.high, y.start, y.end, log],
        "unit": x_label,
        "lines": [
            {"name": line.name, "x": [_short(v) for v in line.x], "y": [_short(v) for v in line.y]} for line in drawn
        ],
    }
    described = "; ".join(
        f"{line.name or 'value'} from {_first(line, log):.4g} to {_last(line, log):.4g}"
        for line in drawn
        if not line.faint
    )
    return frame(title, described + f" over {x_label}", height, "".join(parts), data_hover=json.dumps(hover))


def thin(line: Curve, limit: int = MAX_POINTS) -> Curve:
    """At most ``limit`` points: the least and the greatest of each stretch, so that no spike is lost."""
    count = len(line.x)
    if count <= limit:
        return line
    kept: set[int] = {0, count - 1}
    size = 2 * count / limit
    for i in range(limit // 2):
        stretch = range(round(i * size), min(count, round((i + 1) * size)))
        finite = [n for n in stretch if math.isfinite(line.y[n])]
        if finite:
            kept |= {min(finite, key=line.y.__getitem__), max(finite, key=line.y.__getitem__)}
    order = sorted(kept)
    return Curve(line.name, [line.x[n] for n in order], [line.y[n] for n in order], line.colour, line.faint)


def smoothed(values: Sequence[float], span: int) -> list[float]:
    """Mean over up to ``span`` values on either side, as many before as after, so that the curve does not lag."""
    sums, counts = [0.0], [0]
    for value in values:
        finite = math.isfinite(value)
        sums.append(sums[-1] + (value if finite else 0.0))
        counts.append(counts[-1] + finite)
    result = []
    for place in range(len(values)):
        first, end = place - min(span, place), min(len(values), place + min(span, place) + 1)
        seen = counts[end] - counts[first]
        result.append((sums[end] - sums[first]) / seen if seen else math.nan)
    return result


def _curve(points: list[tuple[float, float] | None], key: str, line: Curve) -> str:
    style = f"curve {key}" + (" faint" if line.faint else "") + (" second" if line.colour >= COLOURS else "")
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            pieces.append([])
        else:
            pieces[-1].append(point)
    pieces = [piece for piece in pieces if piece]
    path = "".join("M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in piece) for piece in pieces if len(piece) > 1)
    dots = [piece[0] for piece in pieces if len(piece) == 1]
    # Few points are shown as such: a curve of eleven evaluations is not four hundred.
    dots += [] if line.faint or len(points) > 40 else [point for piece in pieces if len(piece) > 1 for point in piece]
    drawn = tag("path", d=path, class_=style) if path else ""
    return drawn + "".join(tag("circle", cx=a, cy=b, r=3.0, class_=f"dot {key}") for a, b in dots)


def _usable(value: float, log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not log)


def _first(line: Curve, log: bool) -> float:
    return next(value for value in line.y if _usable(value, log))


def _last(line: Curve, log: bool) -> float:
    return next(value for value in reversed(line.y) if _usable(value, log))


def _short(value: float) -> float | None:
    """Five significant digits; JSON has no NaN."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
