"""Perplexity of every document under a model of its own domain × language that has not seen it.

Each group is halved by the hash of the near-duplicate cluster, so that copies fall into the same half; a model trained
on a seeded sample of one half scores the other. Groups too small for a model are not scored.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files
from altiplano.corpus.annotations import perplexity, perplexity_file
from altiplano.corpus.columns import Columns
from altiplano.corpus.decisions import Reasons, group_names
from altiplano.corpus.engine import Pool, map_shards
from altiplano.corpus.words import U64, word_hashes
from altiplano.recipe.quality import Quality

MIN_DOCUMENTS = 50
"""Clusters in a group below which a model would measure little but its own scarcity."""

MODEL_BYTES = 16 * 2**20
"""Text per model: on a tenth of its data a model separates good from bad nearly as well (AUC 0.887 against 0.898)."""

BATCH_WORDS = 1 << 20


@dataclass(frozen=True)
class ModelTask:
    """Train on these rows of these shards."""

    path: Path
    settings: Quality
    rows: tuple[tuple[Path, tuple[int, ...]], ...]
    size: int


@dataclass(frozen=True)
class ScoreTask:
    """Score rows of one shard, each with the model named for it; empty where there is none."""

    path: Path
    shard: Path
    models: tuple[str, ...]
    size: int


def score(
    columns: Columns, reasons: Reasons, shards: list[Path], settings: Quality, seed: int, folder: Path, pool: Pool
) -> NDArray[np.float64]:
    """Perplexity per document; NaN for the dropped and for small groups."""
    groups = group_names(columns)
    half = np.array([int(cluster[-1], 16) & 1 for cluster in columns["cluster"]])
    representative = (reasons == "") & (columns["cluster"] == columns["id"])
    priority = np.array([hashlib.sha256(f"{seed}{name}".encode()).digest() for name in columns["id"]], object)
    models: list[ModelTask] = []
    assigned = np.full(len(groups), "", object)
    for language, source in settings.reference.items():
        # the user's reference text of a language scores every domain, but not itself
        own = columns["source"] == source
        sample = np.flatnonzero(representative & own & (columns["language"] == language))
        if len(sample) < MIN_DOCUMENTS:
            continue
        path = folder / f"reference.{language}.model"
        models.append(_model(path, columns, sample, priority, settings, shards))
        assigned[(reasons == "") & ~own & (columns["language"] == language)] = str(path)
    for group in np.unique(groups[representative]) if representative.any() else ():
        members = np.flatnonzero(representative & (groups == group))
        if len(members) < MIN_DOCUMENTS or (assigned[members] != "").all():
            continue
        for side in (0, 1):
            path = folder / f"{group}.{side}.model"
            models.append(_model(path, columns, members[half[members] == side], priority, settings, shards))
            assigned[(reasons == "") & (assigned == "") & (groups == group) & (half != side)] = str(path)
    map_shards("perplexity models", _train, models, lambda task: task.path, lambda task: task.size, pool)

    tasks = []
    for number, shard in enumerate(shards):
        rows = columns["shard"] == number
        size = int(columns["bytes"][rows & (assigned != "")].sum())
        tasks.append(ScoreTask(folder / f"scores-{number:05d}.npy", shard, tuple(assigned[rows]), size))
    map_shards("perplexity", _score, tasks, lambda task: task.path, lambda task: task.size, pool)
    scores = [np.load(task.path) for task in tasks]
    return np.concatenate(scores)


def _model(
    path: Path,
    columns: Columns,
    documents: NDArray[np.int64],
    priority: NDArray[np.object_],
    settings: Quality,
    shards: list[Path],
) -> ModelTask:
    """Train on a seeded sample of the documents."""
    sample = documents[np.argsort(priority[documents])]
    sample = sample[np.cumsum(columns["bytes"][sample]) - columns["bytes"][sample] < MODEL_BYTES]
    return ModelTask(path, settings, _rows(columns, sample, shards), int(columns["bytes"][sample].sum()))


def _rows(
    columns: Columns, documents: NDArray[np.int64], shards: list[Path]
) -> tuple[tuple[Path, tuple[int, ...]], ...]:
    return tuple(
        (shards[shard], tuple(sorted(columns["row"][documents[columns["shard"][documents] == shard]].tolist())))
        for shard in np.unique(columns["shard"][documents])
    )


def _train(task: ModelTask) -> None:
    documents: list[U64] = []
    for shard, rows in task.rows:
        column = files.read_table(shard, ["text"])["text"]
        documents += [word_hashes(column[row].as_py()) for row in rows]
    model = perplexity.train(documents, task.settings.perplexity_order, task.settings.perplexity_min_count)
    files.publish(
        task.path, lambda temporary: perplexity_file.save(model, temporary, task.settings.perplexity_quantised)
    )


def _score(task: ScoreTask) -> None:
    scores = np.full(len(task.models), np.nan)
    wanted = np.array(task.models, object)
    column = files.read_table(task.shard, ["text"])["text"] if task.size else None
    for path in sorted(set(task.models) - {""}):
        assert column is not None
        model = perplexity_file.load(Path(path))
        rows = np.flatnonzero(wanted == path)
        for some, documents in _batches(rows, [word_hashes(column[row].as_py()) for row in rows.tolist()]):
            scores[some] = perplexity.perplexities(model, documents)
    files.publish(task.path, lambda temporary: _save(temporary, np.round(scores, 4)))


def _batches(rows: NDArray[np.int64], documents: list[U64]) -> list[tuple[NDArray[np.int64], list[U64]]]:
    """Documents by about ``BATCH_WORDS`` words, to bound memory."""
    number = np.cumsum([len(document) for document in documents]) // BATCH_WORDS
    return [(rows[number == n], [documents[i] for i in np.flatnonzero(number == n)]) for n in np.unique(number)]


def _save(path: Path, values: NDArray[np.float64]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)
