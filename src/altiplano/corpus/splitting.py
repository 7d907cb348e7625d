"""Training or held-out, and the proof that they do not overlap."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files, heldout
from altiplano.corpus.columns import Columns, texts
from altiplano.corpus.decisions import Reasons, group_names
from altiplano.corpus.engine import Pool, map_shards
from altiplano.recipe.schema import Heldout


@dataclass(frozen=True)
class OverlapTask:
    """Find held-out n-grams in the training documents of one shard."""

    path: Path
    grams: Path
    shard: Path
    rows: tuple[int, ...]
    size: int


def split(
    columns: Columns, reasons: Reasons, shards: list[Path], settings: Heldout, folder: Path, pool: Pool
) -> tuple[NDArray[Any], Reasons, dict[str, Any]]:
    """Each document's split (empty when dropped), the reasons with overlapping held-out documents added, and counts."""
    kept = np.flatnonzero(reasons == "")
    aside = heldout.is_held_out(columns["document_hash"][kept], group_names(columns)[kept], settings)
    held, train = kept[aside], kept[~aside]
    numbered = list(texts(columns, held, shards))
    grams, owners = heldout.ngrams_of(text for _, text in numbered)
    sought = folder / "heldout.npy"
    files.publish(sought, lambda temporary: _save(temporary, np.unique(grams)))
    tasks = []
    for number, shard in enumerate(shards):
        here = train[columns["shard"][train] == number]
        size = int(columns["bytes"][here].sum())
        path, rows = folder / f"seen-{number:05d}.npy", tuple(columns["row"][here].tolist())
        tasks.append(OverlapTask(path, sought, shard, rows, size))
    map_shards("held-out overlap", _seen, tasks, lambda task: task.path, lambda task: task.size, pool)
    seen = np.unique(np.concatenate([np.load(task.path) for task in tasks]))
    share = heldout.overlaps(grams, owners, len(numbered), seen)

    splits = np.full(len(reasons), "", object)
    splits[train] = "train"
    splits[held] = "heldout"
    reasons = reasons.copy()
    overlapping = np.array([document for document, _ in numbered], np.int64)[share > heldout.MAX_OVERLAP]
    reasons[overlapping] = "overlaps training"
    splits[overlapping] = ""
    clean = share <= heldout.MAX_OVERLAP
    counts = {
        "ngram": heldout.NGRAM,
        "documents": len(numbered),
        "dropped": len(overlapping),
        "with_any_overlap": int((share[clean] > 0).sum()),
        "mean_overlap": round(float(share[clean].mean()), 6) if clean.any() else 0.0,
    }
    return splits, reasons, counts


def _seen(task: OverlapTask) -> None:
    grams = np.load(task.grams)
    found = grams[:0]
    if task.rows and len(grams):
        column = files.read_table(task.shard, ["text"])["text"]
        found = heldout.seen_in(grams, (column[row].as_py() for row in task.rows))
    files.publish(task.path, lambda temporary: _save(temporary, found))


def _save(path: Path, values: NDArray[Any]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)
