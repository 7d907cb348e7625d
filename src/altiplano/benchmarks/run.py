"""A model on tasks: in portions, each published when it is done, so that an interrupted evaluation goes on."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from altiplano.benchmarks.answers import ANSWERS, RESULT, SETTINGS, Answer, read_answers, write_answers
from altiplano.benchmarks.asking import answer_items
from altiplano.benchmarks.item import Contamination, Item, Task
from altiplano.benchmarks.summary import group_scores, summarise
from altiplano.errors import InputError
from altiplano.inference.language_model import LanguageModel
from altiplano.progress import track
from altiplano.records import Benchmarks
from altiplano.storage import json_digest, read_if_there, read_object, write_json

PORTION = 128
"""Items that are lost when the machine is switched off."""


def evaluate_tasks(
    served: LanguageModel,
    tasks: Sequence[Task],
    folder: Path,
    *,
    name: str = "",
    fingerprint: str = "",
    limit: int | None = None,
    run_code: bool = False,
    contamination: Mapping[str, Contamination] | None = None,
) -> Benchmarks:
    """Ask every item (or ``limit`` of each task) and write ``benchmarks.json`` and a row for each item to ``folder``.
    ``contamination``, by task: how many of the items stand in the training text is counted.

    What was answered there before, by the same model to the same tasks, is not asked again. Raises InputError when the
    folder has answers of another model or to other items.
    """
    names = [task.name for task in tasks]
    if doubled := [name for name in names if names.count(name) > 1]:
        raise InputError(f"two tasks are called {doubled[0]}: leave one out, or give one another name")
    _claim(folder, served, tasks, fingerprint, run_code)
    portions = [(task, portion) for task in tasks for portion in _portions(folder, task, limit)]
    for task, (file, items) in track(portions, "benchmarks", len(portions)):
        if not file.exists():
            write_answers(file, answer_items(served, task, items, run_code=run_code))
    held = contamination or {}
    scores = {
        task.name: (task.groups, summarise(task, answers_in(folder, task, limit), held.get(task.name)))
        for task in tasks
    }
    result = Benchmarks(
        model=name or served.name,
        fingerprint=fingerprint,
        tasks={name: score for name, (_, score) in scores.items()},
        groups=group_scores(scores),
    )
    result.write(folder / RESULT)
    return result


def answers_in(folder: Path, task: Task, limit: int | None = None) -> list[Answer]:
    """What ``evaluate_tasks`` wrote of a task."""
    return read_answers(file for file, _ in _portions(folder, task, limit))


def _claim(folder: Path, served: LanguageModel, tasks: Sequence[Task], fingerprint: str, run_code: bool) -> None:
    """Say what the folder's answers are of."""
    settings: dict[str, Any] = {"model": fingerprint or served.name, "run_code": run_code}
    asked = {task.name: json_digest([task.digest, task.metric, task.ignore, task.extract]) for task in tasks}
    fix = f"nothing else says of which model the answers are: name another folder with --output, or remove {folder}"
    before = read_if_there(folder / SETTINGS, read_object, fix)
    if before is not None:
        earlier = before.get("tasks", {})
        changed = [key for key, found in settings.items() if before.get(key) != found]
        changed += [name for name, found in asked.items() if earlier.get(name, found) != found]
        if changed:
            raise InputError(
                f"{folder} has answers of another {changed[0]}: name another folder with --output, or remove this one"
            )
        asked = earlier | asked
    write_json(folder / SETTINGS, settings | {"tasks": asked})


def _portions(folder: Path, task: Task, limit: int | None) -> Iterator[tuple[Path, Sequence[Item]]]:
    items = task.first(limit)
    name = task.name if limit is None else f"{task.name}@{limit}"
    for first in range(0, len(items), PORTION):
        yield folder / ANSWERS / name / f"{first:06d}.parquet", items[first : first + PORTION]
