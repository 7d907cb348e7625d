"""Calibration of answers: tables on the terminal, and one HTML page with diagrams."""

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from altiplano.records import AnswerCalibration
from altiplano.report.frame import render_page
from altiplano.report.sections.answer_sections import (
    TextTable,
    answer_figures,
    headline,
    matrix_table,
    method_table,
    normalisation_table,
    notes,
    rows_of,
    task_figures,
    task_table,
    temperature,
)
from altiplano.report.terminal import plain_table
from altiplano.storage import write_text

PAGE = "answer_calibration.html"
WIDE = 8
"""A matrix of more tasks does not fit on a terminal."""


def write_answer_page(found: AnswerCalibration, folder: Path) -> Path:
    """Write the page to ``folder``; return its path."""
    write_text(folder / PAGE, render(found))
    return folder / PAGE


def render(found: AnswerCalibration) -> str:
    return render_page(
        "answer_calibration.html.j2",
        kind="answer calibration",
        name=found.model,
        subtitle=f"Answer temperature {headline(found)}",
        found=found,
        notes=notes(found),
        sections=[
            ("Tasks", answer_figures(found), [task_table(found)]),
            ("Transfer", [], [matrix_table(found), method_table(found), normalisation_table(found)]),
            ("Task by task", task_figures(found), []),
        ],
    )


def answer_tables(found: AnswerCalibration) -> RenderableType:
    parts: list[RenderableType] = [_tasks(found), ""]
    side = round(len(found.matrix) ** 0.5)
    if side <= WIDE:
        parts += [_shown(matrix_table(found)), ""]
    parts += [_shown(method_table(found), (0, 1, 4, 5, 6)), "", _shown(normalisation_table(found)), ""]
    parts += [Text(note) for note in notes(found)]
    if side > WIDE:
        parts.append(Text(f"{side} × {side} fits are on the page"))
    return Group(*parts, Text(f"Answer temperature {headline(found)}"))


def _tasks(found: AnswerCalibration) -> RenderableType:
    """The columns of the page's table that fit on a terminal."""
    columns = ("items", "acc", "conf", "T", "own T", "ECE at 1", "ECE at T", "95 %", "floor", "AURC")
    table = plain_table(f"Answers of {found.model}: each task at the T of the others", "task", *columns)
    for name, one in rows_of(found):
        before, after = one.scores["uncalibrated"], one.scores["temperature"]
        table.add_row(
            name,
            f"{one.items:,}",
            f"{after.accuracy.value:.2f}",
            f"{before.confidence.value:.2f}→{after.confidence.value:.2f}",
            temperature(one.temperature),
            temperature(one.own_temperature),
            f"{before.ece.value:.3f}",
            f"{after.ece.value:.3f}",
            f"{after.ece.low:.3f}–{after.ece.high:.3f}",
            f"{after.ece_floor:.3f}",
            f"{after.aurc.value:.3f}",
        )
    return table


def _shown(table: TextTable, chosen: tuple[int, ...] | None = None) -> RenderableType:
    places = chosen or tuple(range(len(table.columns)))
    shown = plain_table(table.title, table.columns[0], *(table.columns[at] for at in places[1:]))
    for row in table.rows:
        shown.add_row(*(row[at] for at in places))
    return Group(shown, Text(table.note, "dim"))
