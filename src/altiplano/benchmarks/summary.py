"""Answers of a task to its score, beside what guessing would have scored."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from altiplano.benchmarks.answers import Answer
from altiplano.benchmarks.item import Contamination, Task
from altiplano.benchmarks.scorers import extract
from altiplano.benchmarks.translation import corpus_bleu
from altiplano.evaluation.statistics import Mean, clustered_mean, clustered_ratio
from altiplano.records import GroupScore, Interval, TaskScore

ACCURACY = "accuracy"


def summarise(task: Task, answers: Sequence[Answer], contamination: Contamination | None = None) -> TaskScore:
    """``answers`` are of items of ``task``, all or some; ``contamination`` says which of them are in training text."""
    clusters = [answer.cluster for answer in answers]
    told = [answer for answer in answers if answer.gold_bytes]
    bits = clustered_ratio([a.gold_bits for a in told], [a.gold_bytes for a in told], [a.cluster for a in told])
    if task.metric == "bits_per_byte":
        mean = bits
    elif task.metric == "bleu":
        texts = [extract(answer.written, task.extract) for answer in answers]
        mean = corpus_bleu(texts, [answer.references for answer in answers], clusters)
    else:
        mean = clustered_mean([a.score for a in answers], clusters)
    chosen = [answer for answer in answers if len(answer.choices) > 1]
    names = sorted({name for answer in answers for name in answer.scores} - {task.metric, "bits_per_byte"})
    return TaskScore(
        metric=task.metric,
        score=_interval(mean),
        standard_error=mean.standard_error if math.isfinite(mean.standard_error) else None,
        items=len(answers),
        clusters=mean.clusters,
        chance=_chance(task, answers),
        majority=_majority(chosen) if task.metric.startswith(ACCURACY) else None,
        bits_per_byte=_interval(bits) if told else None,
        confidence=float(np.mean([_confidence(answer) for answer in chosen])) if chosen else None,
        metrics={name: float(np.mean([a.scores[name] for a in answers if name in a.scores])) for name in names},
        few_shot=task.few_shot,
        cut=sum(answer.cut > 0 for answer in answers),
        contaminated=_within(answers, contamination.found) if contamination else None,
        uninformative=_within(answers, contamination.uninformative) if contamination else None,
        searched=contamination.files / contamination.of_files if contamination else None,
        skipped=task.skipped,
    )


def _within(answers: Sequence[Answer], items: frozenset[str]) -> int:
    return sum(answer.item in items for answer in answers)


def group_scores(scores: Mapping[str, tuple[Sequence[str], TaskScore]]) -> dict[str, GroupScore]:
    """Means of the tasks of each group, of those that have a chance level; ``scores`` has a task's groups and score."""
    members: dict[str, list[str]] = {}
    for name, (groups, score) in scores.items():
        for group in groups if score.chance is not None else ():
            members.setdefault(group, []).append(name)

    def mean(values: Iterable[float]) -> float:
        return float(np.mean([*values]))

    return {
        group: GroupScore(
            score=mean(scores[name][1].score.value for name in names),
            chance=mean(scores[name][1].chance or 0.0 for name in names),
            tasks=names,
        )
        for group, names in sorted(members.items())
    }


def _interval(mean: Mean) -> Interval:
    known = math.isfinite(mean.low)
    return Interval(value=mean.value, low=mean.low if known else mean.value, high=mean.high if known else mean.value)


def _chance(task: Task, answers: Sequence[Answer]) -> float | None:
    if task.metric == "bits_per_byte":
        return None
    if task.metric.startswith(ACCURACY):
        return float(np.mean([1 / len(answer.choices) for answer in answers]))
    return 0.0


def _majority(answers: Sequence[Answer]) -> float:
    counts = Counter(answer.gold for answer in answers)
    return counts.most_common(1)[0][1] / len(answers)


def _confidence(answer: Answer) -> float:
    """Probability of the likeliest choice among the choices."""
    logprobs = np.array(answer.logprobs)
    weights = np.exp(logprobs - logprobs.max())
    return float(weights.max() / weights.sum())
