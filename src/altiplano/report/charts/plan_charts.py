"""Charts that only a plan has: stacked bars, a waterfall, a pipeline's timeline, layouts as points."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from altiplano.planning.case import Case
from altiplano.report.charts.bars import ROW
from altiplano.report.charts.scale import scale
from altiplano.report.charts.svg import WIDTH, axes, frame, tag, text


@dataclass(frozen=True)
class Part:
    """A piece of a bar: ``colour`` 0 … 7 is a place in the palette."""

    name: str
    value: float
    colour: int


def stacked_chart(title: str, rows: Sequence[tuple[str, Sequence[Part]]], limit: float, unit: str) -> str:
    """One bar of parts per row, a line at ``limit``, and what the colours are."""
    left, right = 14 + 8.6 * max(len(name) for name, _ in rows), 62.0
    totals = [sum(part.value for part in parts) for _, parts in rows]
    x = scale([0, limit, *totals], left, WIDTH - right, zero=True)
    bottom = len(rows) * ROW + 8
    drawn = []
    for tick in x.ticks():
        drawn.append(tag("line", x1=x(tick), x2=x(tick), y1=0.0, y2=bottom, class_="grid"))
        drawn.append(text(x(tick), bottom + 18, f"{tick:g}", text_anchor="middle", class_="tick"))
    names: dict[str, int] = {}
    for row, (name, parts) in enumerate(rows):
        top, at = row * ROW + 4, 0.0
        drawn.append(text(left - 8, top + 15, name, text_anchor="end", class_="name"))
        for part in parts:
            shown = tag("title", escape(f"{name}, {part.name}: {part.value:.2f} {unit}"))
            wide = max(0.0, x(at + part.value) - x(at))
            drawn.append(tag("rect", shown, x=x(at), y=top, width=wide, height=ROW - 7, class_=f"bar c{part.colour}"))
            at += part.value
            names[part.name] = part.colour
        drawn.append(text(x(at) + 6, top + 15, f"{at:.1f}", class_="value"))
    drawn.append(tag("line", x1=x(limit), x2=x(limit), y1=0.0, y2=bottom, class_="mark"))
    drawn.append(text(x(limit), bottom + 36, f"can be filled: {limit:.1f} {unit}", text_anchor="end", class_="note"))
    legend, place, line = [], 14.0, bottom + 62
    for name, colour in names.items():
        if place + 26 + 7.6 * len(name) > WIDTH:
            place, line = 14.0, line + 22
        legend.append(tag("rect", x=place, y=line - 10, width=12.0, height=12.0, rx=2.0, class_=f"bar c{colour}"))
        legend.append(text(place + 17, line, name, class_="tick"))
        place += 36 + 7.6 * len(name)
    described = ", ".join(f"{name} {total:.1f} {unit}" for (name, _), total in zip(rows, totals, strict=True))
    return frame(title, described, line + 12, "".join(drawn + legend))


def waterfall_chart(title: str, parts: Sequence[Part], unit: str) -> str:
    """Parts below one another, each beginning where the one above ends; the last bar is their sum."""
    total = sum(part.value for part in parts)
    left, right = 14 + 8.2 * max(len(part.name) for part in parts), 84.0
    x = scale([0, total], left, WIDTH - right, zero=True)
    drawn, at = [], 0.0
    for row, part in enumerate([*parts, Part("whole step", total, 7)]):
        start = 0.0 if row == len(parts) else at
        top = row * ROW + 4
        drawn.append(text(left - 8, top + 15, part.name, text_anchor="end", class_="name"))
        wide = max(1.5, x(start + part.value) - x(start))
        drawn.append(tag("rect", x=x(start), y=top, width=wide, height=ROW - 7, rx=2.0, class_=f"bar c{part.colour}"))
        words = f"{part.value:.3g} {unit}" + (f" · {part.value / total:.0%}" if row < len(parts) else "")
        drawn.append(text(x(start + part.value) + 6, top + 15, words, class_="value"))
        at += part.value
    described = ", ".join(f"{part.name} {part.value:.3g} {unit}" for part in parts)
    return frame(title, described, (len(parts) + 1) * ROW + 6, "".join(drawn))


def timeline_chart(title: str, case: Case, forward: float, backward: float, shown: int = 12) -> str:
    """When each pipeline rank works in the first micro-batches of a step, 1F1B: forward, backward, waiting.

    ``forward`` and ``backward``: seconds of one micro-batch on one rank. Times follow from what each pass waits for.
    """
    ranks, count = case.parallelism.pp, min(case.micro_batches, shown)
    begun, ended = schedule(ranks, count, forward, backward)
    left, length = 66.0, max(ended.values())
    x = scale([0, length], left, WIDTH - 16, zero=True)
    tall = max(9.0, min(24.0, 260 / ranks))
    drawn = []
    for (rank, number, direction), start in begun.items():
        box = {
            "x": x(start),
            "y": rank * tall,
            "width": max(0.6, x(ended[rank, number, direction]) - x(start) - 0.5),
            "height": tall - 2,
        }
        words = tag("title", f"rank {rank}, micro-batch {number + 1}, {'forward' if direction == 0 else 'backward'}")
        drawn.append(tag("rect", words, **box, class_=f"bar c{0 if direction == 0 else 2}"))
    for rank in range(ranks):
        if ranks <= 16 or rank % 4 == 0:
            drawn.append(text(left - 8, rank * tall + tall - 4, f"rank {rank}", text_anchor="end", class_="tick"))
    bottom = ranks * tall + 6
    for tick in x.ticks():
        drawn.append(text(x(tick), bottom + 14, f"{tick:g} s", text_anchor="middle", class_="tick"))
    return frame(title, f"{ranks} pipeline ranks, {count} micro-batches", bottom + 24, "".join(drawn))


def schedule(
    ranks: int, count: int, forward: float, backward: float
) -> tuple[dict[tuple[int, int, int], float], dict[tuple[int, int, int], float]]:
    """Start and end of every (rank, micro-batch, 0 forward or 1 backward) under 1F1B (Narayanan et al. 2019)."""
    orders = []
    for rank in range(ranks):
        warm = min(count, ranks - rank)
        order = [(number, 0) for number in range(warm)]
        for number in range(count):
            order.append((number, 1))
            if warm + number < count:
                order.append((warm + number, 0))
        orders.append(order)
    begun: dict[tuple[int, int, int], float] = {}
    ended: dict[tuple[int, int, int], float] = {}
    free, place = [0.0] * ranks, [0] * ranks
    while any(place[rank] < len(orders[rank]) for rank in range(ranks)):
        for rank in range(ranks):
            while place[rank] < len(orders[rank]):
                number, direction = orders[rank][place[rank]]
                if direction == 0:
                    needs = (rank - 1, number, 0) if rank else None
                else:
                    needs = (rank + 1, number, 1) if rank < ranks - 1 else (rank, number, 0)
                if needs is not None and needs not in ended:
                    break
                start = max(free[rank], ended[needs] if needs else 0.0)
                begun[rank, number, direction] = start
                free[rank] = ended[rank, number, direction] = start + (forward if direction == 0 else backward)
                place[rank] += 1
    return begun, ended


@dataclass(frozen=True)
class Point:
    name: str
    x: float
    y: float
    colour: int
    labelled: bool = False


def point_chart(title: str, points: Sequence[Point], x_label: str) -> str:
    """Dots, some with their names."""
    x = scale([point.x for point in points], 58, WIDTH - 24)
    y = scale([point.y for point in points], 250, 14)
    drawn = [axes(x, y, x_label)]
    for point in points:
        words = tag("title", escape(f"{point.name}: {point.x:.1f}, {point.y:.2f}"))
        drawn.append(
            tag(
                "circle",
                words,
                cx=x(point.x),
                cy=y(point.y),
                r=5.0 if point.labelled else 3.2,
                class_=f"dot c{point.colour}",
            )
        )
    for point in points:
        if point.labelled:
            side = "end" if x(point.x) > WIDTH / 2 else "start"
            drawn.append(
                text(
                    x(point.x) + (-9 if side == "end" else 9),
                    y(point.y) + 18,
                    point.name,
                    text_anchor=side,
                    class_="note",
                )
            )
    return frame(title, f"{len(points)} layouts", 306, "".join(drawn))
