"""A task as a person writes it: a TOML file that names data, prompt and scorer."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field

from altiplano.benchmarks.item import Metric
from altiplano.errors import InputError
from altiplano.recipe.load import check
from altiplano.recipe.units import Section

Style = Literal["ranked", "lettered", "cloze", "written"]
DEFAULT_METRIC: dict[Style, Metric] = {
    "ranked": "accuracy_per_character",
    "lettered": "accuracy",
    "cloze": "greedy",
    "written": "exact_match",
}


class TaskFile(Section):
    """Templates are Jinja's, over the columns of a row: ``{{question}}``. Where a column is asked for, its name or a
    template that is one expression will do."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@+-]*$")
    data: Path = Field(description="JSON lines, JSON, Parquet or CSV; relative to the task's file")
    style: Style = Field(
        "ranked",
        description="ranked: the choice that the model finds likeliest; lettered: choices shown with letters, the "
        "likeliest letter; cloze: one given ending; written: the model writes",
    )
    metric: Metric | None = Field(None, description="default: accuracy_per_character, accuracy, greedy or exact_match")
    prompt: str = Field(description="template of the question, up to where the answer begins")
    choices: str | tuple[str, ...] = Field("choices", description="column with a list, or a template for each choice")
    answer: str = Field("answer", description="column: a place in the choices, a letter, or the answer itself")
    first_answer: int = Field(0, description="what the data calls the first choice: 1 where it counts from 1")
    delimiter: str = Field(" ", description="between a prompt and its answer")
    description: str = Field("", description="before everything")
    between: str = Field("\n\n", description="between few-shot examples")
    few_shot: int = Field(0, ge=0, description="examples before each question")
    few_shot_data: Path | None = Field(None, description="where they come from; absent: from data, never the same row")
    few_shot_sampler: Literal["shared", "first_n", "per_item"] = Field(
        "shared",
        description="shared: the same by seed for every item; first_n: the first ones; per_item: drawn anew for each, "
        "by the generator of lm-evaluation-harness",
    )
    seed: int = Field(1234, ge=0, description="which examples")
    permute: int = Field(0, ge=0, description="above 0: choices in an order by this seed")
    layout: int = Field(0, ge=0, le=4, description="lettered: 1 to 4, one of four usual ways to lay a question out")
    unconditional: str | None = Field(
        None, description='context without a question, such as "Answer:": scores accuracy_unconditional'
    )
    id: str = Field("", description="column that names an item; absent: its place")
    cluster: str = Field("", description="column that items of one passage or document share")
    groups: tuple[str, ...] = Field((), description="averages that this task counts in")
    stop: tuple[str, ...] = Field(("\n\n",), description="where a written answer ends")
    max_tokens: int = Field(256, gt=0, description="of a written answer")
    ignore: tuple[str, ...] = Field((), description="exact_match: regular expressions to leave out of account")
    extract: str = Field("", description="regular expression whose last match is the answer in what was written")
    tests: str = Field(
        "", description="passes_tests: template of a program that raises if what stands before it is wrong"
    )

    @property
    def scored_by(self) -> Metric:
        return self.metric or DEFAULT_METRIC[self.style]


def read_task_file(file: Path) -> TaskFile:
    """Raises InputError, naming the key, when the file cannot be used."""
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not TOML: {error}") from error
    return check(TaskFile, values, str(file))
