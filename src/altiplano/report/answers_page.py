"""What a model said to each item of its benchmarks, as a page to look through: one file, no request elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.scorers import comparable
from altiplano.formatting import number
from altiplano.records import Benchmarks
from altiplano.report.benchmark_table import notes_of, score_cells
from altiplano.report.frame import render_page
from altiplano.storage import write_text

SHOWN = 100
"""Right and wrong answers of each task on the page; all are in the Parquet files."""
PROMPT_END = 1200
"""Characters of a prompt: its end, since few-shot examples come first."""


@dataclass(frozen=True)
class Offered:
    text: str
    logprob: float
    compared: float
    """As the task's metric compares it."""
    is_gold: bool
    is_chosen: bool


@dataclass(frozen=True)
class ShownAnswer:
    item: str
    prompt: str
    cut: int
    """Characters of the prompt that are not shown."""
    choices: list[Offered]
    written: str
    references: list[str]
    score: float
    bits_per_byte: float | None

    @property
    def tone(self) -> str:
        return "right" if self.score >= 0.5 else "wrong"


def write_answers_page(result: Benchmarks, answers: Mapping[str, Sequence[Answer]], path: Path) -> None:
    """``answers`` by the names of ``result``'s tasks."""
    page = render_page(
        "answers.html.j2",
        kind="answers",
        name=result.model,
        subtitle="What the model said to the items of its benchmarks. All of them are in answers/TASK/*.parquet.",
        result=result,
        tasks=[(name, score, score_cells(score), notes_of(score)) for name, score in result.tasks.items()],
        shown={name: _chosen(found, result.tasks[name].metric) for name, found in answers.items()},
        counts={name: len(found) for name, found in answers.items()},
        number=number,
    )
    write_text(path, page)


def _chosen(answers: Sequence[Answer], metric: str) -> list[ShownAnswer]:
    """Wrong ones first; of a task that has no right or wrong, those with the most bits per byte."""
    if metric == "bits_per_byte":
        return [_shown(one, metric) for one in sorted(answers, key=lambda one: -one.scores[metric])[: 2 * SHOWN]]
    wrong = [one for one in answers if one.score < 0.5]
    right = [one for one in answers if one.score >= 0.5]
    return [_shown(one, metric) for one in [*wrong[:SHOWN], *right[:SHOWN]]]


def _shown(answer: Answer, metric: str) -> ShownAnswer:
    compared = comparable(answer).get(metric, np.array(answer.logprobs)) if answer.logprobs else np.zeros(0)
    offered = [
        Offered(text, logprob, float(value), at == answer.gold, len(compared) > 1 and at == int(compared.argmax()))
        for at, (text, logprob, value) in enumerate(zip(answer.choices, answer.logprobs, compared, strict=True))
    ]
    return ShownAnswer(
        answer.item,
        answer.prompt[-PROMPT_END:],
        max(0, len(answer.prompt) - PROMPT_END),
        offered,
        answer.written,
        answer.references,
        answer.score,
        answer.scores.get("bits_per_byte"),
    )
