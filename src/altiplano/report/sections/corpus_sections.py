"""What became of the raw text: the funnel, what was dropped and why, personal data, and the tokens left."""

from collections import defaultdict
from dataclasses import dataclass

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
    if records.audit is None:
        return []
    funnel = records.audit.funnel
    # Audits of earlier versions counted what was read before long documents were cut.
    read, size = max(step.documents for step in funnel), funnel[0].bytes
    documents = [
        Bar(step.step, n, f"{number(n)} · {_share(n, read)}")
        for step, n in zip(funnel, [read, *(step.documents for step in funnel[1:])], strict=True)
    ]
    sizes = [Bar(step.step, step.bytes, f"{human_bytes(step.bytes)} · {_share(step.bytes, size)}") for step in funnel]
    dropped = dropped_by_reason(records)
    all_dropped = sum(count for _, count in dropped)
    shown = [(reason, n) for reason, n in dropped if n]
    if len(shown) > REASONS:
        rest = shown[REASONS - 1 :]
        shown = [*shown[: REASONS - 1], (f"{len(rest)} other rules", sum(n for _, n in rest))]
    reasons = [Bar(reason, n, f"{number(n)} · {percent(n / all_dropped, 0)}", 1) for reason, n in shown]
    personal = sorted(records.audit.personal_data.items(), key=lambda item: -item[1])
    kinds = [Bar(kind.replace("_", " "), count, number(count), 4) for kind, count in personal]
    return [
        *figure("Documents kept", "after each step", funnel_chart("Documents kept after each step", documents)),
        *figure("Text kept", "after each step", funnel_chart("Bytes of text kept after each step", sizes)),
        *figure("Dropped, by reason", "documents", bar_chart("Documents dropped, by reason", reasons)),
        *figure("Personal data removed", "by kind", bar_chart("Personal data removed, by kind", kinds)),
    ]


def pieces(records: Records) -> int:
    """Documents that decisions were made about: more than were read where long ones were cut into several."""
    audit = records.audit
    return sum(row.documents for row in [*audit.kept, *audit.dropped]) if audit else 0


def dropped_matrix(records: Records) -> Matrix | None:
    """Dropped documents: reason × domain and language."""
    rows = records.audit.dropped if records.audit else []
    return matrix("reason", [(row.reason, f"{row.domain}.{row.language}", row.documents) for row in rows])


def kept_matrix(records: Records) -> Matrix | None:
    """Kept documents: domain × language, both splits."""
    rows = records.audit.kept if records.audit else []
    return matrix("domain", [(row.domain, row.language, row.documents) for row in rows])


def token_matrix(records: Records) -> Matrix | None:
    """Training tokens: domain × language."""
    rows = [shard for shard in records.shards if shard.split == "train"]
    return matrix("domain", [(row.domain, row.language, row.tokens) for row in rows])


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
    rows = [shard for shard in records.shards if shard.split == "train" and shard.tokens]
    whole = sum(shard.tokens for shard in rows)
    mixed = {row.name: row for row in records.mixture}
    found = []
    for shard in rows:
        name = f"{shard.domain}.{shard.language}"
        text = max(1, shard.tokens - 2 * shard.documents)  # without begin and end
        after = mixed.get(name)
        found.append(
            Portion(
                name,
                shard.tokens,
                shard.tokens / whole,
                shard.bytes / text,
                text / shard.words if shard.words else None,
                after.after if after else None,
                after.epochs if after else None,
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


def _share(part: int, whole: int) -> str:
    return percent(part / whole if whole else None, 0)
