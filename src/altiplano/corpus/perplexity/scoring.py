"""Perplexity of every document under a model of its own domain × language that has not seen it.

Each group is halved by the hash of the near-duplicate cluster, so that copies fall into the same half; a model trained
on a seeded sample of one half scores the other. A language with reference text of its own has one model, trained on
that, for every domain. Groups too small for a model are not scored.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano import storage
from altiplano.corpus.documents import Columns, DocumentShard, add_columns, group_names, load_columns, texts
from altiplano.corpus.model_samples import NAMES, half, model_samples
from altiplano.corpus.perplexity import model_file, ngram_model
from altiplano.corpus.words import U64, word_hashes
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.recipe.quality import QualityConfig

MIN_DOCUMENTS = 50
"""Clusters in a group below which there is too little text for a model."""

BATCH_WORDS = 1 << 20


@dataclass(frozen=True)
class ModelTask:
    """Train on these rows of these shards."""

    path: Path
    rows: tuple[tuple[DocumentShard, tuple[int, ...]], ...]
    size: int


def score(
    shards: list[DocumentShard], settings: QualityConfig, seed: int, steps: Path, engine: Engine
) -> list[DocumentShard]:
    """The shards with ``perplexity``: NaN for the dropped and for groups too small for a model."""
    folder = steps / "perplexity-models"
    models = model_tasks(shards, settings, seed, folder, engine)
    map_shards("perplexity models", partial(_train, settings=settings), models, _path, lambda task: task.size, engine)
    names = frozenset(task.path.name for task in models)
    work = partial(_score, settings=settings, folder=folder, models=names)
    return add_columns("perplexity", work, shards, steps / "perplexity", engine)


def model_tasks(
    shards: list[DocumentShard], settings: QualityConfig, seed: int, folder: Path, engine: Engine
) -> list[ModelTask]:
    """What each model is trained on; both halves of a group count together."""
    samples = model_samples(
        "perplexity sample", partial(_members, settings=settings), shards, seed, folder / "sample", engine
    )
    counts: Counter[str] = Counter()
    for name, sample in samples.items():
        counts[_counted(name)] += sample.available
    return [
        ModelTask(folder / name, sample.rows, sample.size)
        for name, sample in samples.items()
        if counts[_counted(name)] >= MIN_DOCUMENTS
    ]


def _members(columns: Columns, rows: NDArray[np.int64], settings: QualityConfig) -> dict[str, NDArray[np.int64]]:
    """Which rows may train which model."""
    groups, halves = group_names(columns), half(columns)
    found = {}
    for language, source in settings.reference.items():
        own = (columns["source"][rows] == source) & (columns["language"][rows] == language)
        found[f"reference.{language}.model"] = rows[own]
    for group in np.unique(groups[rows].astype(str)) if len(rows) else ():
        for side in (0, 1):
            found[f"{group}.{side}.model"] = rows[(groups[rows] == group) & (halves[rows] == side)]
    return {name: members for name, members in found.items() if len(members)}


def assigned(columns: Columns, models: frozenset[str], settings: QualityConfig) -> NDArray[np.object_]:
    """The model that scores each survivor; empty where there is none."""
    groups, halves = group_names(columns), half(columns)
    chosen = np.full(len(groups), "", object)
    alive = columns["reason"] == ""
    for language, source in settings.reference.items():
        if (name := f"reference.{language}.model") in models:  # the reference text does not score itself
            chosen[alive & (columns["source"] != source) & (columns["language"] == language)] = name
    for group in np.unique(groups[alive].astype(str)) if alive.any() else ():
        for side in (0, 1):
            if (name := f"{group}.{side}.model") in models:
                chosen[alive & (chosen == "") & (groups == group) & (halves != side)] = name
    return chosen


def _counted(model: str) -> str:
    return model.removesuffix(".model").removesuffix(".0").removesuffix(".1")


def _train(task: ModelTask, settings: QualityConfig) -> None:
    documents = [word_hashes(text) for shard, rows in task.rows for text in texts(shard, np.array(rows))]
    model = ngram_model.train(documents, settings.perplexity_order, settings.perplexity_min_count)
    storage.publish(task.path, lambda temporary: model_file.save(model, temporary, settings.perplexity_quantised))


def _score(shard: DocumentShard, settings: QualityConfig, folder: Path, models: frozenset[str]) -> Columns:
    scores = np.full(shard.rows, np.nan)
    wanted = assigned(load_columns(shard, NAMES), models, settings)
    for name in sorted(set(wanted) - {""}):
        model = model_file.load(folder / name)
        rows = np.flatnonzero(wanted == name)
        some: list[U64] = []
        words = begun = 0
        for at, text in enumerate(texts(shard, rows)):
            some.append(word_hashes(text))
            words += len(some[-1])
            if words >= BATCH_WORDS or at == len(rows) - 1:  # a batch bounds memory
                scores[rows[begun : at + 1]] = ngram_model.perplexities(model, some)
                some, words, begun = [], 0, at + 1
    return {"perplexity": np.round(scores, 4)}


def _path(task: ModelTask) -> Path:
    return task.path
