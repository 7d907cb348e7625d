"""A model on tasks: in portions, each published when it is done, so that an interrupted evaluation goes on."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from altiplano.benchmarks.answers import Answer, read_answers, write_answers
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.scorers import scored
from altiplano.benchmarks.summary import group_scores, summarise
from altiplano.errors import InputError
from altiplano.inference.continuations import Continuation, Likelihood, encode, score_continuations
from altiplano.inference.generate import Row, Sampling, generate, rows_at_once
from altiplano.inference.language_model import LanguageModel
from altiplano.progress import track
from altiplano.records import Benchmarks
from altiplano.storage import json_digest, try_read_json, write_json

PORTION = 128
"""Items that are lost when the machine is switched off."""
ANSWERS, RESULT, SETTINGS = "answers", "benchmarks.json", "settings.json"


def evaluate_tasks(
    served: LanguageModel,
    tasks: Sequence[Task],
    folder: Path,
    *,
    name: str = "",
    fingerprint: str = "",
    limit: int | None = None,
    run_code: bool = False,
) -> Benchmarks:
    """Ask every item (or ``limit`` of each task) and write ``benchmarks.json`` and a row for each item to ``folder``.

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
    scores = {task.name: (task.groups, summarise(task, answers_in(folder, task, limit))) for task in tasks}
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
    before = try_read_json(folder / SETTINGS)
    if isinstance(before, dict):
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


def answer_items(served: LanguageModel, task: Task, items: Sequence[Item], *, run_code: bool = False) -> list[Answer]:
    """What the model says to each item, scored."""
    asked = encode(served.tokenizer, served.adds_bos, served.context, requests(items))
    found = score_continuations(served.model, asked)
    if not all(math.isfinite(one.logprob) for one in found):
        raise InputError(f"{task.name}: {served.name} gives probabilities that are no numbers: its weights are damaged")
    answers = answers_of(task, items, asked, found)
    if task.is_generated:
        answers = _written(served, task, items, answers)
    return [scored(task, item, answer, run_code=run_code) for item, answer in zip(items, answers, strict=True)]


def requests(items: Sequence[Item]) -> list[tuple[str, str]]:
    """Contexts and continuations whose log-likelihoods are asked for: every choice; then, for items that have a context
    without the question, every choice after that."""
    pairs = [(one.context, one.continuation) for item in items for one in item.choices]
    return pairs + [
        (i.unconditional, one.continuation) for i in items if i.unconditional is not None for one in i.choices
    ]


def answers_of(
    task: Task, items: Sequence[Item], asked: Sequence[Continuation], found: Sequence[Likelihood]
) -> list[Answer]:
    """``asked`` and ``found`` are of ``requests(items)``."""
    likelihoods = iter(zip(asked, found, strict=True))
    answers = []
    for item in items:
        here = [next(likelihoods) for _ in item.choices]
        answers.append(
            Answer(
                task=task.name,
                item=item.id,
                cluster=item.cluster,
                prompt=item.prompt or (item.choices[0].context if item.choices else ""),
                choices=[one.continuation for one in item.choices],
                gold=item.gold,
                logprobs=[likelihood.logprob for _, likelihood in here],
                tokens=[likelihood.tokens for _, likelihood in here],
                lengths=[one.length for one in item.choices],
                bytes=[len(one.continuation.encode()) for one in item.choices],
                greedy=[likelihood.greedy for _, likelihood in here if likelihood.greedy is not None],
                references=list(item.references),
                cut=max((continuation.cut for continuation, _ in here), default=0),
            )
        )
    for place, item in enumerate(items):
        if item.unconditional is not None:
            unconditional = [next(likelihoods)[1].logprob for _ in item.choices]
            answers[place] = replace(answers[place], unconditional=unconditional)
    return answers


def _written(served: LanguageModel, task: Task, items: Sequence[Item], answers: list[Answer]) -> list[Answer]:
    """With what the model writes, greedily."""
    sampling = Sampling(max_tokens=task.max_tokens, temperature=0, stop=task.stop)
    room = served.context - task.max_tokens
    if room < 1:
        raise InputError(f"{task.name}: max_tokens = {task.max_tokens} leaves no room for a prompt in {served.context}")
    prompts = [served.prompt(item.prompt) for item in items]
    rows = [Row(prompt[-room:], sampling) for prompt in prompts]
    generate(served.model, served.tokenizer, rows, rows_at_once(served.model, rows))
    return [
        replace(answer, written=row.text, cut=max(answer.cut, len(prompt) - room))
        for answer, row, prompt in zip(answers, rows, prompts, strict=True)
    ]
