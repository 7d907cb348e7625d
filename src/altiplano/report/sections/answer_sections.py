"""Calibration of answers as charts and tables: on a page of its own, and in the report of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from altiplano.records import AnswerCalibration, Interval, JudgedAnswers, ReliabilityBin
from altiplano.report.charts.bars import IntervalBar, interval_chart, reliability_chart
from altiplano.report.charts.figure import Figure, figure
from altiplano.report.charts.lines import Curve, line_chart

TOGETHER = "all"
METHODS = {
    "uncalibrated": "uncalibrated (T = 1)",
    "temperature": "temperature",
    "platt": "Platt (margin)",
    "vector": "vector",
}
NORMALISATIONS = {
    "sum": "sum of the tokens",
    "per_token": "per token",
    "per_character": "per character",
    "per_byte": "per byte",
    "unconditional": "minus that without the question",
}


@dataclass(frozen=True)
class TextTable:
    """Cells in words; the first of a row is its name."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def answer_figures(found: AnswerCalibration | None) -> list[Figure]:
    """All tasks together, before and after; each task's calibration error; what may be left unanswered."""
    if found is None:
        return []
    return [
        *_reliability("Answers before", "T = 1", found.together, found.together.before, "uncalibrated", 1),
        *_reliability("Answers after", "T of the other tasks", found.together, found.together.after, "temperature", 0),
        *figure(
            "Calibration error of tasks that were not fitted on",
            "95% intervals",
            interval_chart("Calibration error by task", _bars(found), "expected calibration error (lower is better)"),
        ),
        *figure(
            "Selective prediction",
            "share of wrong answers among the most confident",
            line_chart("Risk by coverage", _curves(found), x_label="share of items that are answered", zero=True),
        ),
    ]


def task_figures(found: AnswerCalibration) -> list[Figure]:
    """Each task's reliability at the temperature of the others."""
    return [
        drawn
        for name, one in found.tasks.items()
        for drawn in _reliability(name, f"T = {one.temperature:.3g}", one, one.after, "temperature", 0)
    ]


def answer_tables(found: AnswerCalibration | None) -> list[TextTable]:
    return [task_table(found), matrix_table(found), method_table(found)] if found is not None else []


def task_table(found: AnswerCalibration) -> TextTable:
    shown = "items, accuracy, confidence, T of others, own T, ECE at T = 1, at T of others, change, floor"
    columns = ("task", *f"{shown}, NLL at T = 1, at T of others, AURC".split(", "))
    rows = []
    for name, one in rows_of(found):
        before, after = one.scores["uncalibrated"], one.scores["temperature"]
        rows.append(
            (
                name,
                f"{one.items:,}",
                f"{after.accuracy.value:.3f}",
                f"{before.confidence.value:.3f} → {after.confidence.value:.3f}",
                temperature(one.temperature),
                temperature(one.own_temperature),
                spread(before.ece),
                spread(after.ece),
                f"{one.ece_change.value:+.3f} ({one.ece_change.low:+.3f} to {one.ece_change.high:+.3f})",
                f"{after.ece_floor:.3f}",
                spread(before.nll),
                spread(after.nll),
                spread(after.aurc),
            )
        )
    note = "floor: the calibration error that a calibrated model of the same confidences would show with so many items"
    return TextTable("Tasks that were not fitted on", columns, rows, note)


def method_table(found: AnswerCalibration) -> TextTable:
    columns = ("all tasks, by", "ECE", "adaptive ECE", "Brier", "Brier of the likeliest", "NLL", "AURC")
    rows = [
        (
            METHODS.get(name, name),
            spread(one.ece),
            spread(one.adaptive_ece),
            spread(one.brier),
            spread(one.brier_top),
            spread(one.nll),
            spread(one.aurc),
        )
        for name, one in found.together.scores.items()
    ]
    return TextTable("What else could be fitted", columns, rows, "each task judged by a fit to the others")


def matrix_table(found: AnswerCalibration) -> TextTable:
    names = list(dict.fromkeys(one.judged_on for one in found.matrix))
    cells = {(one.fitted_on, one.judged_on): one for one in found.matrix}

    def shown(error: Interval | None) -> str:
        return "same items" if error is None else f"{error.value:.3f}"

    rows = [("not fitted", "1", *(shown(cells[name, name].ece_before) for name in names))]
    for name in names:
        own = temperature(cells[name, name].temperature)
        rows.append((name, own, *(shown(cells[name, other].ece) for other in names)))
    note = "a task by itself: each half at the temperature of the other half"
    return TextTable("Calibration error, fitted on a row, judged on a column", ("fitted on", "T", *names), rows, note)


def normalisation_table(found: AnswerCalibration) -> TextTable:
    rows = [
        (
            NORMALISATIONS.get(name, name) + (" (used)" if name == found.answer_temperature.normalisation else ""),
            f"{one.temperature:.3g}",
            f"{one.nll:.3f}",
            f"{one.ece:.3f}",
            f"{one.accuracy:.3f}",
        )
        for name, one in found.normalisations.items()
    ]
    columns = ("log-likelihoods", "T", "NLL", "ECE", "accuracy")
    return TextTable(
        "Normalisations", columns, rows, "means of the fitted tasks, each at the temperature of the others"
    )


def notes(found: AnswerCalibration) -> list[str]:
    """What a reader should know before using the temperature."""
    said = [f"{count:,} items were left out: {reason}" for reason, count in found.left_out.items()]
    said += [
        f"{name}: {one.left_out:,} items of other tasks share a question or choices with it and were not fitted on"
        for name, one in found.tasks.items()
        if one.left_out
    ]
    said += [f"{name}: not judged, for all fitted tasks ask its questions" for name in found.not_judged]
    if found.answer_temperature.at_bound:
        said.append("the fit went to its bound: these scores tell right choices from wrong ones never, or always")
    worse = [name for name, one in found.tasks.items() if one.ece_change.low > 0]
    if worse:
        said.append(f"worse calibrated at the others' temperature than at T = 1: {', '.join(worse)}")
    return said


def headline(found: AnswerCalibration) -> str:
    fitted, change = found.answer_temperature, found.together
    return (
        f"{temperature(fitted.value)} ({temperature(fitted.low)} to {temperature(fitted.high)}) of log-likelihoods "
        f"{NORMALISATIONS.get(fitted.normalisation, fitted.normalisation)}; calibration error on tasks not fitted on "
        f"{change.scores['uncalibrated'].ece.value:.3f} to {change.scores['temperature'].ece.value:.3f}"
    )


def rows_of(found: AnswerCalibration) -> list[tuple[str, JudgedAnswers]]:
    return [*found.tasks.items(), (TOGETHER, found.together)]


def temperature(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def spread(value: Interval | None) -> str:
    return "" if value is None else f"{value.value:.3f} ({value.low:.3f}–{value.high:.3f})"


def _reliability(
    title: str, at: str, judged: JudgedAnswers, bins: Sequence[ReliabilityBin], method: str, colour: int
) -> list[Figure]:
    error = judged.scores[method].ece.value
    chart = reliability_chart(f"Reliability of {title}", bins, colour, "items", "confidence of the likeliest choice")
    return figure(title, f"{at}, calibration error {error:.3f}", chart)


def _bars(found: AnswerCalibration) -> list[IntervalBar]:
    bars = []
    for name, one in rows_of(found):
        for method, at in (("uncalibrated", "T = 1"), ("temperature", "T of others")):
            error = one.scores[method].ece
            bars.append(IntervalBar(f"{name}, {at}", error.value, error.low, error.high))
    return bars


def _curves(found: AnswerCalibration) -> list[Curve]:
    return [
        Curve(name, [p.coverage for p in one.risk_coverage], [p.risk for p in one.risk_coverage], colour)
        for colour, (name, one) in enumerate(rows_of(found))
    ]
