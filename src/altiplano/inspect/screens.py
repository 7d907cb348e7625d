"""The answers of ``altiplano inspect`` on the terminal: overview, lists, token shards.

Text of strangers on a terminal.
"""

import re
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from altiplano.formatting import number, percent
from altiplano.recipe.units import human, human_bytes
from altiplano.report.terminal import GREEN, RED, plain_table

ROWS = 40
"""Of the overview's table."""

REASONS = 12

TOKENS = 400
"""Tokens of a document that are shown without --full."""

BOUNDARIES = ("black on bright_cyan", "black on bright_yellow")

SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def overview_screen(run: Path, found: dict[str, Any]) -> RenderableType:
    groups = found["groups"]
    table = plain_table(f"{run}", "domain.language", "documents", "dropped", "kept", "", "text", "tokens")
    for group in groups[:ROWS]:
        table.add_row(f"{group['domain']}.{group['language']}", *_counts(group))
    if len(groups) > ROWS:
        table.add_row(f"{len(groups) - ROWS} more: --json", *[""] * 6, style="dim")
    names = ("documents", "dropped", "kept", "bytes", "tokens")
    table.add_row("all", *_counts({name: sum(group[name] for group in groups) for name in names}), style="bold")
    reasons = plain_table("Why documents were dropped", "reason", "documents", "of all")
    every = max(sum(group["documents"] for group in groups), 1)
    for row in found["reasons"][:REASONS]:
        reasons.add_row(row["reason"], number(row["documents"]), percent(row["documents"] / every))
    if len(found["reasons"]) > REASONS:
        reasons.add_row(f"{len(found['reasons']) - REASONS} more reasons: --json", "", "", style="dim")
    first = found["reasons"][0]["reason"] if found["reasons"] else "too short"
    return Group(
        table,
        "",
        reasons,
        "",
        _hint(f'altiplano inspect {run} --documents --reason "{first}"', "what it dropped"),
        _hint(f"altiplano inspect {run} --tokens", "the token shards"),
    )


def _counts(group: dict[str, int]) -> list[str]:
    share = percent(group["kept"] / group["documents"], 0) if group["documents"] else ""
    counts = [number(group[name]) for name in ("documents", "dropped", "kept")]
    return [*counts, share, human_bytes(group["bytes"]), human(group["tokens"]) if group["tokens"] else ""]


def documents_screen(run: Path, found: dict[str, Any]) -> RenderableType:
    """One document takes two lines: what it is, and how it begins."""
    rows, total = found["documents"], found["total"]
    if not rows:
        return Text("no document is like that")
    parts: list[RenderableType] = []
    for row in rows:
        fate = (row["split"], GREEN) if row["keep"] else (row["reason"], RED)
        kind = row["code_language"] or row["language"]
        head = Text.assemble((row["id"][:12], "bold"), f"  {row['domain']}.{kind}  {human_bytes(row['bytes'])}  ", fate)
        head.append(f"  {printable(row['url'] or row['source'])}", "dim")
        head.truncate(200, overflow="ellipsis")
        begins = Text("    " + printable(row["begins"]), no_wrap=True, overflow="ellipsis")
        parts += [head, begins]
    shown = f"{len(rows):,} of {total:,} documents" if total is not None else f"{len(rows):,} documents"
    more = total is None or total > len(rows)
    hint = "; --limit shows more" if more else ""
    return Group(*parts, "", _hint(f"altiplano inspect {run} {rows[0]['id'][:12]}", f"{shown}{hint}; the first one"))


def shards_screen(run: Path, shards: list[dict[str, Any]]) -> RenderableType:
    table = plain_table(f"{run}", "shard", "documents", "tokens", "text", "bytes/token")
    for shard in shards:
        table.add_row(*_shard(shard))
    first = shards[0]["shard"] if shards else "web.en"
    return Group(table, "", _hint(f"altiplano inspect {run} --tokens {first}", "its documents"))


def shard_screen(run: Path, found: dict[str, Any]) -> RenderableType:
    table = plain_table("", "shard", "documents", "tokens", "text", "bytes/token")
    table.add_row(*_shard(found))
    first = Table(box=None, pad_edge=False)
    for name in ("document", "tokens", "bytes"):
        first.add_column(name, justify="right", header_style="dim", no_wrap=True, min_width=8)
    first.add_column("begins", header_style="dim", no_wrap=True, overflow="ellipsis")
    for row in found["first"]:
        begins = Text(printable(row["begins"]))
        first.add_row(str(row["document"]), number(row["tokens"]), number(row["bytes"]), begins)
    hint = _hint(f"altiplano inspect {run} --tokens {found['shard']} --document 0", "its tokens")
    return Group(table, "", first, "", hint)


def _shard(shard: dict[str, Any]) -> list[str]:
    ratio = f"{shard['bytes_per_token']:.2f}"
    return [shard["shard"], number(shard["documents"]), human(shard["tokens"]), human_bytes(shard["bytes"]), ratio]


def tokens_screen(found: dict[str, Any], full: bool) -> RenderableType:
    """The text with a colour and a bar for every token and its id as a subscript; spaces are dots."""
    tokens = found["tokens"]
    count = sum(len(token["ids"]) for token in tokens)
    ratio = found["bytes"] / max(count, 1)
    title = Text(f"{found['shard']}, document {found['document']}: {count:,} tokens, {ratio:.2f} bytes each", "bold")
    shown = tokens if full else tokens[:TOKENS]
    more = sum(len(token["ids"]) for token in tokens[len(shown) :])
    text = Text()
    for at, token in enumerate(shown):
        visible = printable(token["text"].replace(" ", "·").replace("\t", "→").replace("\n", "⏎"))
        text.append(visible, BOUNDARIES[at % 2])
        text.append("₊".join(map(str, token["ids"])).translate(SUBSCRIPTS) + "│", "dim")
        if "\n" in token["text"]:
            text.append("\n")
    left = Text(f"\n{more:,} more tokens: --full", "dim") if more else ""
    return Group(title, "", text, left)


def _hint(command: str, what: str) -> Text:
    return Text.assemble((f"{what}: ", "dim"), (command, "bold"))


def printable(text: str) -> str:
    """Without control characters, which a terminal would obey."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", "\N{REPLACEMENT CHARACTER}", text)
