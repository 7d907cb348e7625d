"""Rolling perplexity on the terminal: each file, and by place in the document."""

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.records import Interval, TextEvaluation
from altiplano.report.terminal import plain_table


def text_table(result: TextEvaluation) -> RenderableType:
    table = plain_table(
        f"Texts, as {result.model} predicts them", "text", "documents", "tokens", "bits/byte", "95 %", "perplexity"
    )
    bands = plain_table("Bits per byte by place in the document, tokens", "text")
    places = sorted({(band.first, band.end) for one in result.groups.values() for band in one.bands})
    for first, end in places:
        bands.add_column(f"{first:,}–{end:,}" if end else f"{first:,}–", justify="right", header_style="dim")
    notes = [Text(settings(result), "dim")]
    for name, one in result.groups.items():
        table.add_row(
            name,
            f"{one.documents:,}",
            f"{one.tokens:,}",
            f"{one.bits_per_byte:.4f}",
            _shown(one.interval),
            f"{one.perplexity:.2f}",
        )
        by_place = {band.first: band for band in one.bands}
        bands.add_row(
            name, *(f"{by_place[first].bits_per_byte:.3f}" if first in by_place else "" for first, _ in places)
        )
        if one.empty:
            notes.append(Text(f"{name}: {one.empty:,} documents are empty"))
    return Group(table, "", bands, *notes)


def settings(result: TextEvaluation) -> str:
    """In words."""
    step = "disjoint" if result.stride == result.window else f"a stride of {result.stride:,}"
    return f"windows of {result.window:,} tokens, {step}; after {result.begins_with}; no end token"


def _shown(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.low:.3f}–{interval.high:.3f}"
