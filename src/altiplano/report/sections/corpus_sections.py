"""What became of the raw text: the funnel, what was dropped and why, personal data, and the tokens left."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from altiplano.formatting import number, percent
from altiplano.recipe.units import human_bytes
from altiplano.records.run_records import Records, dropped_by_reason
from altiplano.report.charts.bars import Bar, bar_chart, funnel_chart
from altiplano.report.charts.figure import Figure, figure

REASONS = 12
"""Bars of the chart; the table below it has all."""


@dataclass(frozen=True)
class Matrix:
    """A table of counts: ``cells[row][column]`` is (words, share of the largest cell)."""

    corner: str
    columns: list[str]
    rows: list[str]
    cells: list[list[tuple[str, float]]]
    totals: list[str]
    last: str = "all"
    """What the column of totals is called."""


def data_figures(records: Records) -> list[Figure]:
    audit = records.audit or {}
    funnel = list(audit.get("funnel", []))
    if funnel:  # audits of earlier versions counted what was read before long documents were cut
        funnel[0] = {**funnel[0], "documents": max(step["documents"] for step in funnel)}
    first = funnel[0] if funnel else {"documents": 0, "bytes": 0}
    documents = [
        Bar(step["step"], step["documents"], f"{number(step['documents'])} · {_share(step, first, 'documents')}")
        for step in funnel
    ]
    sizes = [
        Bar(step["step"], step["bytes"], f"{human_bytes(step['bytes'])} · {_share(step, first, 'bytes')}")
        for step in funnel
    ]
    dropped = dropped_by_reason(records)
    all_dropped = sum(count for _, count in dropped)
    shown = [(reason, n) for reason, n in dropped if n]
    if len(shown) > REASONS:
        rest = shown[REASONS - 1 :]
        shown = [*shown[: REASONS - 1], (f"{len(rest)} other rules", sum(n for _, n in rest))]
    reasons = [Bar(reason, n, f"{number(n)} · {percent(n / all_dropped, 0)}", 1) for reason, n in shown]
    personal = sorted(audit.get("personal_data", {}).items(), key=lambda item: -item[1])
    kinds = [Bar(kind.replace("_", " "), count, number(count), 4) for kind, count in personal]
    return [
        *figure("Documents kept", "after each step", funnel_chart("Documents kept after each step", documents)),
        *figure("Text kept", "after each step", funnel_chart("Bytes of text kept after each step", sizes)),
        *figure("Dropped, by reason", "documents", bar_chart("Documents dropped, by reason", reasons)),
        *figure("Personal data removed", "by kind", bar_chart("Personal data removed, by kind", kinds)),
    ]


def pieces(records: Records) -> int:
    """Documents that decisions were made about: more than were read where long ones were cut into several."""
    return sum(row["documents"] for part in ("kept", "dropped") for row in (records.audit or {}).get(part, []))


def dropped_matrix(records: Records) -> Matrix | None:
    """Dropped documents: reason × domain and language."""
    rows = (records.audit or {}).get("dropped", [])
    return matrix("reason", [(row["reason"], _group(row), row["documents"]) for row in rows])


def kept_matrix(records: Records) -> Matrix | None:
    """Kept documents: domain × language, both splits."""
    rows = (records.audit or {}).get("kept", [])
    return matrix("domain", [(row["domain"], row["language"], row["documents"]) for row in rows])


def token_matrix(records: Records) -> Matrix | None:
    """Training tokens: domain × language."""
    rows = [shard for shard in records.shards if shard["split"] == "train"]
    return matrix("domain", [(row["domain"], row["language"], row["tokens"]) for row in rows])


@dataclass(frozen=True)
class Portion:
    """Of one domain × language: how many tokens its text takes, and how much of them training reads."""

    name: str
    tokens: int
    share: float
    bytes_per_token: float
    tokens_per_word: float | None
    read: float | None
    epochs: float | None


def portions(records: Records) -> list[Portion]:
    """Fertility of the tokenizer, and the mixture before and after, most tokens first."""
    rows = [shard for shard in records.shards if shard["split"] == "train" and shard["tokens"]]
    whole = sum(shard["tokens"] for shard in rows)
    mixed = {row["name"]: row for row in records.mixture}
    found = []
    for shard in rows:
        name = f"{shard['domain']}.{shard['language']}"
        text = max(1, shard["tokens"] - 2 * shard["documents"])  # without begin and end
        words = shard.get("words")
        after = mixed.get(name, {})
        found.append(
            Portion(
                name,
                shard["tokens"],
                shard["tokens"] / whole,
                shard["bytes"] / text,
                text / words if words else None,
                after.get("after"),
                after.get("epochs"),
            )
        )
    return sorted(found, key=lambda portion: -portion.tokens)


def matrix(corner: str, counts: list[tuple[str, str, int]]) -> Matrix | None:
    """Sum (row, column, count); rows and columns in order of their totals. None when there is nothing."""
    cells: dict[tuple[str, str], int] = defaultdict(int)
    by_row: dict[str, int] = defaultdict(int)
    by_column: dict[str, int] = defaultdict(int)
    for row, column, count in counts:
        cells[row, column] += count
        by_row[row] += count
        by_column[column] += count
    if not cells:
        return None
    rows = sorted(by_row, key=lambda name: -by_row[name])
    columns = sorted(by_column, key=lambda name: -by_column[name])
    largest = max([1, *cells.values()])
    return Matrix(
        corner,
        columns,
        rows,
        [[(number(cells[r, c]) if cells[r, c] else "", cells[r, c] / largest) for c in columns] for r in rows],
        [number(by_row[name]) for name in rows],
    )


def _group(row: dict[str, Any]) -> str:
    return f"{row['domain']}.{row['language']}"


def _share(step: dict[str, Any], first: dict[str, Any], key: str) -> str:
    return percent(step[key] / first[key] if first[key] else None, 0)
