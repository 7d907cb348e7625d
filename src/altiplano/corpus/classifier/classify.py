"""The classifier's score of every document of a language that has text of both kinds, and the worst share dropped.

Each language has two models, of the halves of the corpus by the hash of the near-duplicate cluster; each judges the
half that it has not seen. The decision is apart from that of perplexity: both judge the documents that passed the
heuristics, and the audit says where they disagree.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.classifier import linear_model
from altiplano.corpus.documents import (
    Columns,
    DocumentShard,
    add_columns,
    group_names,
    load_columns,
    sample,
    texts,
)
from altiplano.corpus.model_samples import NAMES, ModelSample, half, model_samples
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.recipe.quality import ClassifierConfig

MIN_DOCUMENTS = 50
"""Of each kind in a half of a language, below which there is too little text for a model."""

COLUMNS = [*NAMES, "classifier"]


@dataclass(frozen=True)
class ClassifierTask:
    path: Path
    positive: ModelSample
    negative: ModelSample


def classify(
    shards: list[DocumentShard], settings: ClassifierConfig | None, seed: int, steps: Path, engine: Engine
) -> list[DocumentShard]:
    """The shards with ``classifier``: the probability of the positive kind; NaN for the dropped and for languages
    without a model."""
    folder = steps / "classifier-models"
    names: frozenset[str] = frozenset()
    if settings is not None:
        members = partial(_members, settings=settings)
        samples = model_samples("classifier sample", members, shards, seed, folder / "sample", engine)
        tasks = _tasks(samples, folder)
        map_shards("classifiers", _train, tasks, _path, lambda task: task.positive.size + task.negative.size, engine)
        names = frozenset(task.path.name for task in tasks)
    work = partial(_score, folder=folder, models=names)
    return add_columns("classifier", work, shards, steps / "classifier", engine)


def drop_unlike(
    shards: list[DocumentShard], settings: ClassifierConfig | None, steps: Path, engine: Engine
) -> tuple[list[DocumentShard], dict[str, float]]:
    """The shards with the reason of the worst share of the negative sources; and the least probability that is kept in
    each domain × language."""
    if settings is None:
        return shards, {}
    some = sample("classifier ranks", shards, COLUMNS, steps / "classifier-sample", engine)
    least = least_kept(some, settings)
    work = partial(_drop, settings=settings, least=least)
    return add_columns("classifier filter", work, shards, steps / "classifier-filter", engine), least


def _members(columns: Columns, rows: NDArray[np.int64], settings: ClassifierConfig) -> dict[str, NDArray[np.int64]]:
    halves = half(columns)
    found = {}
    for kind, sources in (("positive", settings.positive), ("negative", settings.negative)):
        of_kind = rows[np.isin(columns["source"][rows].astype(str), sources)]
        for language in np.unique(columns["language"][of_kind].astype(str)) if len(of_kind) else ():
            for side in (0, 1):
                mine = (columns["language"][of_kind] == language) & (halves[of_kind] == side)
                found[f"{language}.{side}.{kind}"] = of_kind[mine]
    return {name: members for name, members in found.items() if len(members)}


def _tasks(samples: dict[str, ModelSample], folder: Path) -> list[ClassifierTask]:
    """For each language of which both halves have enough of both kinds, a model of each half."""
    found = []
    for language in sorted({name.partition(".")[0] for name in samples}):
        names = [f"{language}.{side}" for side in (0, 1)]
        kinds = [samples.get(f"{name}.{kind}") for name in names for kind in ("positive", "negative")]
        if all(one is not None and one.available >= MIN_DOCUMENTS for one in kinds):
            found += [
                ClassifierTask(folder / f"{name}.npy", samples[f"{name}.positive"], samples[f"{name}.negative"])
                for name in names
            ]
    return found


def _train(task: ClassifierTask) -> None:
    kinds = [
        [linear_model.features(text) for shard, rows in one.rows for text in texts(shard, np.array(rows))]
        for one in (task.positive, task.negative)
    ]
    linear_model.save(linear_model.train(*kinds), task.path)


def _score(shard: DocumentShard, folder: Path, models: frozenset[str]) -> Columns:
    scores = np.full(shard.rows, np.nan)
    if models:
        columns = load_columns(shard, NAMES)
        alive = columns["reason"] == ""
        halves = half(columns)
        for language in np.unique(columns["language"][alive].astype(str)) if alive.any() else ():
            for side in (0, 1):
                name = f"{language}.{1 - side}.npy"
                rows = np.flatnonzero(alive & (columns["language"] == language) & (halves == side))
                if name in models and len(rows):
                    weights = linear_model.load(folder / name)
                    scores[rows] = [linear_model.probability(weights, text) for text in texts(shard, rows)]
    return {"classifier": np.round(scores, 6)}


def least_kept(columns: Columns, settings: ClassifierConfig) -> dict[str, float]:
    """Of each domain × language of a sample, the probability below which the worst share of the negative sources is."""
    judged = _judged(columns, settings) & (columns["cluster"] == columns["id"])
    names, values = group_names(columns)[judged], columns["classifier"][judged]
    found = {}
    for name in np.unique(names.astype(str)) if len(names) else ():
        ordered = np.sort(values[names == name])
        found[str(name)] = float(ordered[int(settings.drop * len(ordered))])
    return found


def unlike(
    columns: Mapping[str, NDArray[np.generic]], settings: ClassifierConfig, least: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Documents that the classifier would drop, whatever perplexity says."""
    names, at = np.unique(group_names(columns).astype(str), return_inverse=True)
    limits = np.array([least.get(str(name), np.nan) for name in names])[at] if len(names) else np.zeros(0)
    with np.errstate(invalid="ignore"):
        return _judged(columns, settings) & (np.asarray(columns["classifier"], np.float64) < limits)


def _judged(columns: Mapping[str, NDArray[np.generic]], settings: ClassifierConfig) -> NDArray[np.bool_]:
    negative = np.isin(columns["source"].astype(str), settings.negative)
    return np.asarray(negative & ~np.isnan(np.asarray(columns["classifier"], np.float64)), bool)


def _drop(shard: DocumentShard, settings: ClassifierConfig, least: dict[str, float]) -> Columns:
    columns = load_columns(shard, COLUMNS)
    reasons = columns["reason"].copy()
    reasons[(reasons == "") & unlike(columns, settings, least)] = "classifier"
    return {"reason": reasons}


def _path(task: ClassifierTask) -> Path:
    return task.path
