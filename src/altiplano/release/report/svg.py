"""SVG text: elements with escaped attributes, and the frame that every chart has. Sizes in SVG units."""

from html import escape

from altiplano.release.report.scale import Scale, tick_label

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
    return tag(
        "svg", inner, viewBox=f"0 0 {WIDTH:.0f} {height:.0f}", role="img", aria_label=f"{title}. {description}", **attributes
    )


def axes(x: Scale, y: Scale, x_label: str) -> str:
    """Horizontal grid lines with labels, and ticks along the bottom. The unit of y belongs in the chart's title."""
    parts = []
    for tick in y.ticks():
        parts.append(tag("line", x1=x.start, x2=x.end, y1=y(tick), y2=y(tick), class_="grid"))
        parts.append(text(x.start - 8, y(tick) + 4.5, tick_label(tick), text_anchor="end", class_="tick"))
    for tick in x.ticks(5):
        parts.append(text(x(tick), y.start + 22, tick_label(tick), text_anchor="middle", class_="tick"))
    parts.append(tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    parts.append(text((x.start + x.end) / 2, y.start + 44, x_label, text_anchor="middle", class_="tick"))
    return "".join(parts)


def spread(places: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move places of labels apart by at least ``gap``, in order, within low … high as far as there is room."""
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = sorted(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    for i in range(len(moved) - 1, -1, -1):
        ceiling = high if i == len(moved) - 1 else moved[i + 1] - gap
        moved[i] = max(low, min(moved[i], ceiling))
    result = [0.0] * len(places)
    for place, index in zip(moved, order, strict=True):
        result[index] = place
    return result
