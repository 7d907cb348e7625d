"""Two or more models on what both answered: paired tests, and a verdict where a difference can be told.

The unit is the item's cluster (a passage, a document). Where more than ``FLIPPED`` clusters differ the test is that of
a mean with a clustered standard error; where fewer do, the sign-flip test (Fisher 1935), which is McNemar's for
accuracies of single items, must agree. p-values are corrected over everything that is compared at once (Holm 1979).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from altiplano.benchmarks.answers import RESULT, Answer
from altiplano.benchmarks.evaluated import read_evaluation
from altiplano.errors import InputError
from altiplano.evaluation.document_scores import FILE, DocumentScore, by_group, read_document_scores
from altiplano.evaluation.statistics import CONFIDENCE, Z_POWER, Mean, clustered_ratio, holm, p_value, sign_flip
from altiplano.records import ComparedScore, Comparison, Interval
from altiplano.records.run_records import read_records

LEVEL = 1 - CONFIDENCE
FLIPPED = 200
"""Clusters with a difference up to which signs are flipped."""

BITS, BLEU = "bits_per_byte", "bleu"


@dataclass(frozen=True)
class Evaluated:
    """What a folder has of a model: answers by task and item, losses by group and document."""

    name: str
    metrics: Mapping[str, str]
    answers: Mapping[str, Mapping[str, Answer]]
    documents: Mapping[str, Mapping[str, DocumentScore]]
    notes: Sequence[str] = ()


class Pairs(NamedTuple):
    """Scores of the same items: Σ over / Σ under is the score (of accuracies under is 1); clusters of each."""

    name: str
    kind: str
    metric: str
    first: np.ndarray
    second: np.ndarray
    under: np.ndarray
    clusters: list[str]
    only_first: int
    only_second: int
    asked_differently: int


@dataclass(frozen=True)
class Tested:
    """A paired difference before it is corrected for others."""

    mean: Mean
    p: float
    least_p: float
    """The smallest p-value that so few clusters could give."""


def read_evaluated(folder: Path) -> Evaluated:
    """The folder of a run, or one that ``altiplano evaluate MODEL`` wrote. Raises InputError when it has nothing."""
    run = folder / "recipe.toml"
    if run.exists() and "evaluate" not in read_records(folder).manifests:
        raise InputError(f"{folder} has no finished evaluation of its newest weights: altiplano evaluate {run}")
    base = folder / "evaluate" if run.exists() else folder
    benchmarks = base / "benchmarks" if run.exists() else base
    notes = []
    answers: dict[str, dict[str, Answer]] = {}
    metrics: dict[str, str] = {}
    if (benchmarks / RESULT).exists():
        result, found = read_evaluation(benchmarks)
        metrics = {name: score.metric for name, score in result.tasks.items()}
        answers = {name: {answer.item: answer for answer in some} for name, some in found.items()}
    scores = read_document_scores(base / FILE) if (base / FILE).exists() else []
    documents = by_group(scores)
    if equal := len(scores) - sum(map(len, documents.values())):
        notes.append(f"{folder}: {equal:,} held-out documents have the text of another, and count once")
    if run.exists() and not documents:
        notes.append(f"{folder}: evaluated by an earlier version, without {FILE}; its held-out text is not compared")
    if not answers and not documents:
        how = f"altiplano evaluate MODEL TASK --output {folder}"
        raise InputError(f"{folder} has no evaluation ({RESULT} with answers, or {FILE}): {how}")
    return Evaluated(str(folder), metrics, answers, documents, notes)


def compare(models: Sequence[Evaluated]) -> Comparison:
    """Each model with the first one. Raises InputError when there is nothing that two of them have in common."""
    first, others = models[0], models[1:]
    notes = [note for model in models for note in model.notes]
    rows: list[tuple[str, Pairs, Tested]] = []
    for other in others:
        pairs = [*_tasks(first, other, notes), *_texts(first, other, notes)]
        if not pairs:
            raise InputError(
                f"{first.name} and {other.name} answered nothing in common: evaluate both on the same tasks"
            )
        rows += [(other.name, one, paired_test(one)) for one in pairs]
    corrected = holm([tested.p for _, _, tested in rows])
    rejected = sum(p < LEVEL for p in corrected)
    ranks = np.argsort(np.argsort([tested.p for _, _, tested in rows], kind="stable"), kind="stable")
    scores = [
        # Holm's test of the r-th smallest p-value is at the level / (rows - r), up to the first that is not rejected
        _score(model, pairs, tested, p, LEVEL / (len(rows) - min(int(rank), rejected, len(rows) - 1)))
        for (model, pairs, tested), p, rank in zip(rows, corrected, ranks, strict=True)
    ]
    return Comparison(first=first.name, others=[other.name for other in others], scores=scores, notes=notes)


def _score(model: str, pairs: Pairs, tested: Tested, p_holm: float, level: float) -> ComparedScore:
    mean = tested.mean
    known = mean.standard_error > 0 and tested.least_p <= level
    z = NormalDist().inv_cdf(1 - level / 2)
    lower = pairs.metric == BITS
    interval = (
        mean if math.isfinite(mean.low) else Mean(mean.value, 0, mean.value, mean.value, mean.items, mean.clusters)
    )
    return ComparedScore(
        model=model,
        name=pairs.name,
        kind="task" if pairs.kind == "task" else "text",
        metric=pairs.metric,
        lower_is_better=lower,
        first=float(pairs.first.sum() / pairs.under.sum()),
        second=float(pairs.second.sum() / pairs.under.sum()),
        difference=Interval(value=interval.value, low=interval.low, high=interval.high),
        p=tested.p,
        p_holm=p_holm,
        least=z * mean.standard_error if known else None,
        detectable=(z + Z_POWER) * mean.standard_error if known else None,
        items=mean.items,
        clusters=mean.clusters,
        only_first=pairs.only_first,
        only_second=pairs.only_second,
        asked_differently=pairs.asked_differently,
        verdict="no difference told" if p_holm >= LEVEL else "better" if (mean.value < 0) == lower else "worse",
    )


def paired_test(pairs: Pairs) -> Tested:
    """The other minus the first, by clusters."""
    apart = pairs.second - pairs.first
    mean = clustered_ratio(apart, pairs.under, pairs.clusters)
    _, owner = np.unique(np.asarray(pairs.clusters), return_inverse=True)
    sums = np.bincount(owner, weights=apart)
    differing = sums[np.abs(sums) > 1e-12 * max(1.0, float(np.abs(apart).max(initial=0.0)))]
    p = 1.0 if len(differing) == 0 else p_value(mean)
    if 0 < len(differing) <= FLIPPED:
        p = max(p, sign_flip(differing))
    return Tested(mean, p, 2.0 ** (1 - mean.clusters))


def _tasks(first: Evaluated, other: Evaluated, notes: list[str]) -> Iterable[Pairs]:
    for name in _in_both(first.answers, other.answers, first, other, "task", notes):
        metric = first.metrics[name]
        if other.metrics[name] != metric:
            notes.append(
                f"{name}: scored by {metric} in {first.name}, by {other.metrics[name]} in {other.name}; compared by "
                f"{metric}"
            )
        if metric == BLEU:
            notes.append(f"{name}: compared by the BLEU of single sentences, not by that of the set")
        ours, theirs = first.answers[name], other.answers[name]
        common = [item for item in ours if item in theirs]
        same = [item for item in common if _same_question(ours[item], theirs[item]) and metric in theirs[item].scores]
        counts = len(ours) - len(common), len(theirs) - len(common), len(common) - len(same)
        if not same:
            notes.append(f"{name}: no item that both were asked alike")
            continue
        one, two = [ours[item] for item in same], [theirs[item] for item in same]
        if metric == BITS:
            under = np.array([max(1, answer.gold_bytes) for answer in one], dtype=np.float64)
            scores = [np.array([answer.gold_bits for answer in some]) for some in (one, two)]
        else:
            under = np.ones(len(same))
            scores = [np.array([answer.scores[metric] for answer in some]) for some in (one, two)]
        yield Pairs(name, "task", metric, scores[0], scores[1], under, [a.cluster for a in one], *counts)


def _texts(first: Evaluated, other: Evaluated, notes: list[str]) -> Iterable[Pairs]:
    unlike: dict[tuple[str, ...], list[str]] = {}
    for name in _in_both(first.documents, other.documents, first, other, "held-out text", notes):
        ours, theirs = first.documents[name], other.documents[name]
        same = [document for document in ours if document in theirs]
        if not same:
            notes.append(f"{name}: no document in common")
            continue
        settings = tuple(_windows(side) for side in (ours, theirs))
        if settings[0] != settings[1]:
            unlike.setdefault(settings, []).append(name)
        nll = [np.array([side[d].nll for d in same]) / math.log(2) for side in (ours, theirs)]
        size = np.array([ours[d].bytes for d in same], dtype=np.float64)
        yield Pairs(name, "text", BITS, nll[0], nll[1], size, same, len(ours) - len(same), len(theirs) - len(same), 0)
    for (one, two), names in unlike.items():
        notes.append(f"{', '.join(names)}: read in windows of {one} and of {two}; a part of the difference is theirs")


def _windows(documents: Mapping[str, DocumentScore]) -> str:
    found = sorted({(one.window, one.stride) for one in documents.values()})
    return " or ".join(f"{window:,} tokens (stride {stride:,})" for window, stride in found)


def _in_both(
    ours: Iterable[str], theirs: Iterable[str], first: Evaluated, other: Evaluated, what: str, notes: list[str]
) -> list[str]:
    mine, yours = list(ours), set(theirs)
    for names, owner in (([n for n in mine if n not in yours], first), (sorted(yours.difference(mine)), other)):
        if names:
            notes.append(f"{what} that only {owner.name} has: {', '.join(names)}")
    return [name for name in mine if name in yours]


def _same_question(one: Answer, two: Answer) -> bool:
    return (one.prompt, one.choices, one.gold, one.references) == (two.prompt, two.choices, two.gold, two.references)
