"""Whatever names a benchmark to tasks: a task file, a task of lm-evaluation-harness, prepared requests, plain data."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from altiplano.benchmarks.item import Task
from altiplano.benchmarks.prompts import LAYOUTS, make_items
from altiplano.benchmarks.readers.harness import read_harness_task
from altiplano.benchmarks.readers.requests import read_requests, requests_file
from altiplano.benchmarks.readers.rows import SUFFIXES, read_rows
from altiplano.benchmarks.task_file import Style, TaskFile, read_task_file
from altiplano.errors import InputError
from altiplano.storage import digest, json_digest

QUESTIONS = ("question", "query", "prompt", "problem", "sentence")
PASSAGES = ("passage", "context", "support", "story")
CHOICES = ("choices", "options", "endings")
ANSWERS = ("answer", "gold", "label", "target", "answer_index", "answers", "solution")


def read_tasks(path: Path, *, permute: int = 0, layout: int = 0) -> list[Task]:
    """The tasks of a file, or of a folder and those in it. Raises InputError when there is none.

    ``permute`` and ``layout`` are those of a ``TaskFile``, for tasks whose prompts are made here.
    """
    if path.is_dir():
        return _of_folder(path, permute, layout)
    if not path.is_file():
        raise InputError(f"{path} is not there: give a task's file, a folder of requests, or a data file")
    if path.suffix == ".toml":
        file = read_task_file(path)
    elif path.suffix in (".yaml", ".yml"):
        file = read_harness_task(path)
    elif path.name.endswith(SUFFIXES):
        file = guess(path)
    else:
        raise InputError(f"{path} is no task: .toml, .yaml or data ({', '.join(SUFFIXES)})")
    return [_of_file(path, file, permute, layout)]


def _of_folder(folder: Path, permute: int, layout: int) -> list[Task]:
    if requests_file(folder) is not None:
        return [read_requests(folder)]
    found: list[Task] = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            found += _of_folder(entry, permute, layout)
        elif entry.suffix in (".toml", ".yaml", ".yml"):
            found += read_tasks(entry, permute=permute, layout=layout)
    if not found:
        raise InputError(f"{folder} has no task: *.toml, *.yaml or folders with requests.jsonl.gz")
    return found


def _of_file(path: Path, file: TaskFile, permute: int, layout: int) -> Task:
    changed = {"permute": permute or file.permute, "layout": layout or file.layout}
    file = file.model_copy(update=changed)
    data = path.parent / file.data
    rows, broken = read_rows(data)
    examples_from = path.parent / file.few_shot_data if file.few_shot_data else data
    examples = read_rows(examples_from)[0] if file.few_shot_data and file.few_shot else rows
    items, skipped = make_items(file, rows, examples)
    names = [item.id for item in items]
    if len({*names}) != len(names):
        raise InputError(f"{path}: id = {file.id!r} names several rows alike; leave it out to number them")
    identity = [digest(data), digest(examples_from), file.model_dump(mode="json", exclude={"data", "few_shot_data"})]
    return Task(
        file.name,
        file.scored_by,
        tuple(items),
        file.groups,
        file.stop,
        file.max_tokens,
        file.ignore,
        file.extract,
        file.few_shot,
        json_digest(identity),
        skipped | ({"not a JSON object": broken} if broken else {}),
        file.style == "lettered",
    )


def guess(data: Path) -> TaskFile:
    """A task of a data file alone, by the usual names of columns. Raises InputError that says what is missing."""
    rows, _ = read_rows(data)
    row = rows[0]
    question, answer = _column(row, QUESTIONS), _column(row, ANSWERS)
    if question is None or answer is None:
        missing, usual = ("question", QUESTIONS) if question is None else ("answer", ANSWERS)
        raise InputError(
            f"{data} has no column for the {missing} ({', '.join(usual)}), only {', '.join(row)}: write a task file"
        )
    passage, choices = _column(row, PASSAGES), _column(row, CHOICES)
    style: Style = "ranked" if choices else "written"
    before = "{{" + passage + "}}\n" if passage else ""
    name = "".join(c if c.isalnum() or c in "_.-" else "_" for c in f"{data.parent.name}-{data.name.split('.')[0]}")
    values: dict[str, Any] = {"choices": choices} if choices else {}
    return TaskFile(
        name=name.lstrip("_.-") or "task",
        data=data.absolute(),
        style=style,
        prompt=before + "Question: {{" + question + "}}\nAnswer:",
        answer=answer,
        cluster=passage or "",
        stop=("\n",),
        **values,
    )


def _column(row: dict[str, Any], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if row.get(name) is not None), None)


def renamed(task: Task, suffix: str) -> Task:
    """A variant of a task, told apart by its name."""
    return replace(task, name=f"{task.name}@{suffix}")


def read_all(paths: Sequence[Path], *, permute: int = 0, layouts: bool = False) -> list[Task]:
    """The tasks of all paths; with ``layouts`` those with lettered choices in every other layout, too."""
    found = [task for path in paths for task in read_tasks(path, permute=permute)]
    if layouts:
        lettered = {task.name for task in found if task.lettered}
        for number in range(1, len(LAYOUTS)):
            again = [task for path in paths for task in read_tasks(path, permute=permute, layout=number)]
            found += [renamed(task, f"layout{number}") for task in again if task.name in lettered]
    return found
