"""A model asked the items of a task: log-likelihoods of choices, and texts that it writes."""

import math
from collections.abc import Sequence
from dataclasses import replace

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Item, Task
from altiplano.benchmarks.scorers import scored
from altiplano.errors import InputError
from altiplano.inference.continuations import Continuation, Likelihood, encode
from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LanguageModel


def answer_items(served: LanguageModel, task: Task, items: Sequence[Item], *, run_code: bool = False) -> list[Answer]:
    """What the model says to each item, scored."""
    asked = encode(served.tokenizer, served.adds_bos, served.context, requests(items))
    found = served.score_continuations(asked)
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
    rows = [Row(served.prompt(item.prompt, room), sampling) for item in items]
    served.generate(rows)
    return [
        replace(answer, written=row.text, cut=max(answer.cut, len(served.prompt(item.prompt)) - len(row.prompt)))
        for answer, row, item in zip(answers, rows, items, strict=True)
    ]
