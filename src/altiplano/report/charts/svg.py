"""SVG text: elements with escaped attributes, and the frame that every chart has. Sizes in SVG units."""

from html import escape

from altiplano.report.charts.scale import Scale, tick_label

WIDTH = 520.0
Attribute = str | float | int


def tag(name: str, content: str = "", **attributes: Attribute) -> str:
    """``class_`` and ``stroke_width`` become class and stroke-width; ``content`` is SVG, not text."""
    written = "".join(f' {key.strip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{content}</{name}>"


def text(x: float, y: float, words: str, **attributes: Attribute) -> str:
    return tag("text", escape(words), x=x, y=y, **attributes)


def _value(value: Attribute) -> str:
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else escape(str(value))


def frame(title: str, description: str, height: float, content: str, **attributes: Attribute) -> str:
    """The chart's outer element. Screen readers get the title and a sentence that says what the chart shows."""
    inner = tag("title", escape(title)) + tag("desc", escape(description)) + content
    box, label = f"0 0 {WIDTH:.0f} {height:.0f}", f"{title}. {description}"
    return tag("svg", inner, viewBox=box, role="img", aria_label=label, **attributes)


def axes(x: Scale, y: Scale, x_label: str) -> str:
    """Horizontal grid lines with labels, and ticks along the bottom. The unit of y belongs in the chart's title."""
    parts = []
    for tick in y.ticks():
        parts.append(tag("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(text(x.start - 8, y(tick) + 4.5, tick_label(tick), text_anchor="end", class_="tick"))
    for tick in x.ticks():
        parts.append(text(x(tick), y.start + 22, tick_label(tick), text_anchor="middle", class_="tick"))
    parts.append(tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    if x_label:
        parts.append(text((x.start + x.end) / 2, y.start + 44, x_label, text_anchor="middle", class_="tick"))
    return "".join(parts)


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move labels apart by at least ``gap``, each crowd around its own middle, within low … high if there is room."""
    order = sorted(range(len(places)), key=places.__getitem__)
    crowds: list[list[int]] = []
    for index in order:
        crowds.append([index])
        while len(crowds) > 1 and _top(crowds[-1], places, gap) < _top(crowds[-2], places, gap) + gap * len(crowds[-2]):
            crowds[-2:] = [crowds[-2] + crowds[-1]]
    result = [0.0] * len(places)
    place = low - gap
    for crowd in crowds:
        place = max(place + gap, min(_top(crowd, places, gap), high - gap * (len(crowd) - 1)))
        for number, index in enumerate(crowd):
            result[index] = place + gap * number
        place = result[crowd[-1]]
    return result


def _top(crowd: list[int], places: list[float], gap: float) -> float:
    """Where the first label of a crowd lies when the crowd's middle is the mean of its places."""
    return sum(places[index] for index in crowd) / len(crowd) - gap * (len(crowd) - 1) / 2
