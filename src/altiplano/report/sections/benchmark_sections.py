"""Evaluation benchmarks: scores beside chance, and how well right answers were predicted over training."""

from dataclasses import dataclass

from altiplano.records import Interval, TaskScore
from altiplano.records.run_records import Records
from altiplano.report.benchmark_table import notes_of, score_cells
from altiplano.report.charts.bars import IntervalBar, interval_chart
from altiplano.report.charts.figure import Figure, curves, figure
from altiplano.report.charts.lines import Curve


@dataclass(frozen=True)
class BenchmarkRow:
    task: str
    metric: str
    items: int
    score: str
    interval: str
    chance: str
    verdict: str
    bits: str
    notes: str


def benchmark_rows(records: Records) -> list[BenchmarkRow]:
    """Of the finished model; before there is one, of the newest evaluation in training."""
    return [
        BenchmarkRow(name, score.metric.replace("_", " "), score.items, *score_cells(score), "; ".join(notes_of(score)))
        for name, score in sorted(_newest(records).items())
    ]


def benchmark_figures(records: Records) -> list[Figure]:
    newest = _newest(records)
    if not newest:
        return []
    chosen = [(name, score) for name, score in sorted(newest.items()) if score.chance is not None]
    over = [
        IntervalBar(name, *(end - (score.chance or 0.0) for end in (s.value, s.low, s.high)))
        for name, score in chosen
        for s in (score.score,)
    ]
    told = [name for name, score in chosen if score.is_above_chance]
    said = f"Above chance: {', '.join(told)}." if told else "No task is above chance: nothing can be said of accuracy."
    return [
        *curves("Right answers", "bits per byte", _lines(records), note=_first_and_last(records)),
        *figure(
            "First and last",
            "bits per byte of right answers, 95% intervals",
            interval_chart("Bits per byte of right answers at the first and the last evaluation", _ends(records), ""),
        ),
        *figure(
            "Accuracy beyond chance",
            "95% intervals",
            interval_chart("Accuracy minus chance", over, "accuracy minus chance", zero=True),
            note=said,
        ),
    ]


def _newest(records: Records) -> dict[str, TaskScore]:
    if records.benchmarks is not None:
        return records.benchmarks.tasks
    return records.heldout[-1].benchmarks if records.heldout else {}


def _lines(records: Records) -> list[Curve]:
    names = sorted({name for line in records.heldout for name in line.benchmarks})
    found = []
    for colour, name in enumerate(names):
        seen = [(line.step, bits.value) for line in records.heldout if (bits := _bits(line.benchmarks.get(name)))]
        found.append(Curve(name, [step for step, _ in seen], [value for _, value in seen], colour))
    return found


def _ends(records: Records) -> list[IntervalBar]:
    scored = [line for line in records.heldout if line.benchmarks]
    if len(scored) < 2:
        return []
    return [
        IntervalBar(f"{name}, step {line.step}", bits.value, bits.low, bits.high)
        for name in sorted(scored[0].benchmarks)
        for line in (scored[0], scored[-1])
        if (bits := _bits(line.benchmarks.get(name))) is not None
    ]


def _first_and_last(records: Records) -> str:
    """Which tasks' intervals have parted, in words."""
    scored = [line for line in records.heldout if line.benchmarks]
    if len(scored) < 2:
        return ""
    pairs = {
        name: (before, after)
        for name in sorted(scored[0].benchmarks)
        if (before := _bits(scored[0].benchmarks[name])) and (after := _bits(scored[-1].benchmarks.get(name)))
    }
    fell = [name for name, (before, after) in pairs.items() if after.high < before.low]
    return f"The intervals of the first and the last evaluation do not meet: {', '.join(fell)}." if fell else ""


def _bits(score: TaskScore | None) -> Interval | None:
    return score.bits_per_byte if score is not None else None
