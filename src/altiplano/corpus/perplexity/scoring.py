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
from altiplano.corpus.documents import Columns, Shard, texts
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards
from altiplano.corpus.filtered import Rules, decide
from altiplano.corpus.filters import group_names
from altiplano.corpus.perplexity import model_file, ngram_model
from altiplano.corpus.words import U64, mix, word_hashes
from altiplano.recipe.quality import QualityConfig

MIN_DOCUMENTS = 50
"""Clusters in a group below which a model would measure little but its own scarcity."""

MODEL_BYTES = 16 * 2**20
"""Text per model: on a tenth of its data a model separates good from bad nearly as well (AUC 0.887 against 0.898)."""

BATCH_WORDS = 1 << 20


@dataclass(frozen=True)
class ModelTask:
    """Train on these rows of these shards."""

    path: Path
    rows: tuple[tuple[Shard, tuple[int, ...]], ...]
    size: int


@dataclass
class Sample:
    """The documents of one model with the lowest priorities, up to MODEL_BYTES."""

    documents: NDArray[np.uint64]
    """[4, documents]: priority, bytes, shard, row."""

    def add(self, more: NDArray[np.uint64]) -> None:
        merged = np.concatenate((self.documents, more), axis=1)
        merged = merged[:, np.lexsort((merged[3], merged[2], merged[0]))]
        self.documents = merged[:, np.cumsum(merged[1]) - merged[1] < MODEL_BYTES]


def score(shards: list[Shard], rules: Rules, seed: int, engine: Engine) -> Path:
    """Write ``scores-NNNNN.npy`` for every shard: perplexities, NaN for the dropped and for small groups."""
    folder, settings = rules.steps / "perplexity", rules.corpus.quality
    models = model_tasks(shards, rules, seed, folder)
    names = frozenset(task.path.name for task in models)
    map_shards("perplexity models", partial(_train, settings=settings), models, _path, lambda task: task.size, engine)
    work = partial(_score, rules=rules, folder=folder, models=names)
    map_shards("perplexity", work, shards, partial(_scores, folder), lambda shard: shard.size, engine)
    return folder


def model_tasks(shards: list[Shard], rules: Rules, seed: int, folder: Path) -> list[ModelTask]:
    """What each model is trained on. Memory is bounded by the samples of the models."""
    samples: dict[str, Sample] = {}
    counts: Counter[str] = Counter()
    for shard in shards:
        columns = decide(shard, rules)
        once = np.flatnonzero((columns["reason"] == "") & (columns["cluster"] == columns["id"]))
        for name, members in _members(columns, once, rules.corpus.quality).items():
            counts[_counted(name)] += len(members)
            known = samples.setdefault(name, Sample(np.zeros((4, 0), np.uint64)))
            priority = mix(_numbers(columns["id"][members]) ^ mix(np.full(len(members), seed + 1, np.uint64)))
            size = columns["bytes"][members].astype(np.uint64)
            place = np.full(len(members), shard.number, np.uint64)
            known.add(np.stack((priority, size, place, members.astype(np.uint64))))
    by_number = {shard.number: shard for shard in shards}
    return [
        ModelTask(folder / name, _rows(samples[name], by_number), int(samples[name].documents[1].sum()))
        for name in sorted(samples)
        if counts[_counted(name)] >= MIN_DOCUMENTS
    ]


def _members(columns: Columns, rows: NDArray[np.int64], settings: QualityConfig) -> dict[str, NDArray[np.int64]]:
    """Which rows may train which model."""
    groups, half = group_names(columns), _half(columns)
    found = {}
    for language, source in settings.reference.items():
        own = (columns["source"][rows] == source) & (columns["language"][rows] == language)
        found[f"reference.{language}.model"] = rows[own]
    for group in np.unique(groups[rows].astype(str)) if len(rows) else ():
        for side in (0, 1):
            found[f"{group}.{side}.model"] = rows[(groups[rows] == group) & (half[rows] == side)]
    return {name: members for name, members in found.items() if len(members)}


def assigned(columns: Columns, models: frozenset[str], settings: QualityConfig) -> NDArray[np.object_]:
    """The model that scores each survivor; empty where there is none."""
    groups, half = group_names(columns), _half(columns)
    chosen = np.full(len(groups), "", object)
    alive = columns["reason"] == ""
    for language, source in settings.reference.items():
        if (name := f"reference.{language}.model") in models:  # the reference text does not score itself
            chosen[alive & (columns["source"] != source) & (columns["language"] == language)] = name
    for group in np.unique(groups[alive].astype(str)) if alive.any() else ():
        for side in (0, 1):
            if (name := f"{group}.{side}.model") in models:
                chosen[alive & (chosen == "") & (groups == group) & (half != side)] = name
    return chosen


def _half(columns: Columns) -> NDArray[np.int64]:
    return np.array([int(cluster[-1], 16) & 1 for cluster in columns["cluster"]], np.int64)


def _counted(model: str) -> str:
    """Both halves of a group count together."""
    return model.removesuffix(".model").removesuffix(".0").removesuffix(".1")


def _numbers(ids: NDArray[np.object_]) -> U64:
    return np.array([int(value[:16], 16) for value in ids], np.uint64)


def _rows(sample: Sample, shards: dict[int, Shard]) -> tuple[tuple[Shard, tuple[int, ...]], ...]:
    _, _, place, row = sample.documents.astype(np.int64)
    return tuple((shards[int(at)], tuple(sorted(row[place == at].tolist()))) for at in np.unique(place))


def _train(task: ModelTask, settings: QualityConfig) -> None:
    documents = [word_hashes(text) for shard, rows in task.rows for text in texts(shard, np.array(rows))]
    model = ngram_model.train(documents, settings.perplexity_order, settings.perplexity_min_count)
    storage.publish(task.path, lambda temporary: model_file.save(model, temporary, settings.perplexity_quantised))


def _score(shard: Shard, rules: Rules, folder: Path, models: frozenset[str]) -> None:
    columns = decide(shard, rules)
    scores = np.full(shard.rows, np.nan)
    wanted = assigned(columns, models, rules.corpus.quality)
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
    files.save_array(_scores(folder, shard), np.round(scores, 4))


def _scores(folder: Path, shard: Shard) -> Path:
    return folder / f"scores-{shard.number:05d}.npy"


def _path(task: ModelTask) -> Path:
    return task.path
