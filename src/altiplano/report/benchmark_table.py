"""Benchmark scores on the terminal: each with its interval, what guessing scores, and what can be said of it."""

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.formatting import percent
from altiplano.records import Benchmarks, TaskScore
from altiplano.report.terminal import plain_table

SHORT = {
    "accuracy": "acc",
    "accuracy_per_token": "acc/token",
    "accuracy_per_character": "acc/char",
    "accuracy_per_byte": "acc/byte",
    "accuracy_unconditional": "acc-pmi",
    "bits_per_byte": "bits/byte",
    "exact_match": "exact",
    "passes_tests": "pass@1",
}
"""Metrics where there is little room."""


def benchmark_table(result: Benchmarks) -> RenderableType:
    table = plain_table(f"Benchmarks of {result.model}", "task", "by", "items", "score", "95 %", "chance", "bits/byte")
    for column, wide in zip(table.columns, (True, False, False, False, True, False, False), strict=True):
        column.no_wrap = wide
    for name, score in result.tasks.items():
        value, interval, chance, _, bits = score_cells(score)
        shown = Text(value, "bold" if score.is_above_chance else "")
        table.add_row(name, SHORT.get(score.metric, score.metric), f"{score.items:,}", shown, interval, chance, bits)
    parts: list[RenderableType] = [table]
    if any(score.chance is not None for score in result.tasks.values()):
        parts.append(Text("bold: above chance; of the others it cannot be told", "dim"))
    parts += notes(result)
    groups = {name: group for name, group in result.groups.items() if len(group.tasks) > 1}
    if groups:
        means = plain_table("Means", "group", "tasks", "score", "chance")
        for name, group in groups.items():
            means.add_row(name, str(len(group.tasks)), f"{group.score:.3f}", f"{group.chance:.3f}")
        parts += ["", means]
    return Group(*parts)


def score_cells(score: TaskScore) -> tuple[str, str, str, str, str]:
    """Score, interval, chance, verdict, bits per byte of the right answers."""
    interval = f"{score.score.low:.3f}–{score.score.high:.3f}"
    bits = "" if score.bits_per_byte is None else f"{score.bits_per_byte.value:.3f}"
    chance = "" if score.chance is None else f"{score.chance:.3f}"
    return f"{score.score.value:.3f}", interval, chance, verdict(score), bits


def verdict(score: TaskScore) -> str:
    above = score.is_above_chance
    return "" if above is None else "above chance" if above else "not told from chance"


def notes(result: Benchmarks) -> list[RenderableType]:
    return [Text(f"{name}: {note}") for name, score in result.tasks.items() for note in notes_of(score)]


def notes_of(score: TaskScore) -> list[str]:
    """What was not asked as it stands, and what the model may have seen."""
    found = [f"{count:,} rows of the data are no items ({reason})" for reason, count in score.skipped.items()]
    if score.cut:
        found.append(f"{score.cut:,} prompts lost their beginning, for they did not fit the context")
    if score.contaminated is not None:
        part = f" ({percent(score.searched)} of it was searched)" if (score.searched or 1) < 1 else ""
        found.append(f"{score.contaminated:,} of {score.items:,} items stand in the training text{part}")
    if score.uninformative:
        found.append(f"{score.uninformative:,} items say too little to be looked for in it")
    return found
