"""Pairs of copies among all shards, by ranges of keys: a task's memory does not grow with the corpus.

Each key's first document is paired with its others. Documents that share a band of their signatures are candidates:
their whole signatures must agree well enough, so that texts that merely share a passage stay.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.deduplication.containment import Sketches
from altiplano.corpus.deduplication.signatures import Fingerprints
from altiplano.corpus.documents import DocumentShard
from altiplano.corpus.words import U64
from altiplano.execution import files
from altiplano.recipe.schema import DeduplicationConfig

RANGE_KEYS = 1 << 22
"""Keys that one task looks at: 64 MiB, a few times that at work."""

CHUNK = 1 << 14
"""Candidate pairs compared at a time."""

Edges = NDArray[np.int64]


@dataclass(frozen=True)
class EdgeTask:
    """Keys from ``low`` to ``high``, inclusive, of all shards."""

    path: Path
    low: int
    high: int
    size: int


def edge_tasks(keys: int, folder: Path) -> list[EdgeTask]:
    """Ranges of equal width: keys are hashes, so that each has about as many."""
    ranges = max(1, -(-keys // RANGE_KEYS))
    edges = [(number << 64) // ranges for number in range(ranges + 1)]
    return [
        EdgeTask(folder / f"edges-{number:05d}.npy", low, high - 1, 16 * keys // ranges)
        for number, (low, high) in enumerate(pairwise(edges))
    ]


def write_edges(task: EdgeTask, shards: list[DocumentShard], folder: Path, settings: DeduplicationConfig) -> None:
    """Pairs of document numbers [pairs, 2], each pair once."""
    outs = [Fingerprints(folder, shard.number) for shard in shards]
    sure = pairs(key_range([out.exact for out in outs], task))
    candidates = pairs(key_range([out.bands for out in outs], task))
    alike = confirmed(candidates, shards, folder) >= settings.min_similarity
    found = [sure, candidates[alike]]
    if settings.min_containment:
        sketches = Sketches([out.sketches for out in outs], shards)
        keyed = key_range([out.sketch_keys for out in outs], task)
        candidates = pairs(keyed, -sketches.sizes(keyed[1].astype(np.int64)))
        found.append(candidates[sketches.contained(candidates) >= settings.min_containment])
    files.save_array(task.path, np.unique(np.sort(np.concatenate(found), axis=1), axis=0))


def pairs(keyed: U64, rank: NDArray[np.int64] | None = None) -> Edges:
    """Each key's document of the lowest ``rank``, by default its number, with each of its others. ``keyed`` is
    [2, rows]: keys and documents, in any order."""
    order = np.lexsort((keyed[1], keyed[0]) if rank is None else (keyed[1], rank, keyed[0]))
    keys, documents = keyed[0][order], keyed[1][order].astype(np.int64)
    begins = np.ones(len(keys), bool)
    begins[1:] = keys[1:] != keys[:-1]
    start = np.flatnonzero(begins)
    first = np.repeat(documents[start], np.diff(np.append(start, len(keys))))
    other = first != documents
    return np.unique(np.stack((first[other], documents[other]), axis=1), axis=0)


def confirmed(candidates: Edges, shards: list[DocumentShard], folder: Path) -> NDArray[np.float64]:
    """The share of the signature on which each pair agrees: an estimate of its Jaccard similarity."""
    starts = np.array([shard.first for shard in shards])
    share = np.zeros(len(candidates))
    for at in range(0, len(candidates), CHUNK):
        left, right = (_signatures(side, starts, shards, folder) for side in candidates[at : at + CHUNK].T)
        share[at : at + CHUNK] = (left == right).mean(axis=1) * left.any(axis=1)
    return share


def _signatures(
    documents: NDArray[np.int64], starts: NDArray[np.int64], shards: list[DocumentShard], folder: Path
) -> U64:
    """Signatures of the documents [documents, hashes]; only these are read."""
    place = np.searchsorted(starts, documents, side="right") - 1
    found: U64 | None = None
    for at in np.unique(place):
        here = place == at
        values = np.load(Fingerprints(folder, shards[at].number).signatures, mmap_mode="r")
        if found is None:
            found = np.zeros((len(documents), values.shape[1]), values.dtype)
        found[here] = values[documents[here] - shards[at].first]
    assert found is not None
    return found


def key_range(paths: list[Path], task: EdgeTask) -> U64:
    """The columns of files [2, keys], ascending by key, that the task looks at."""
    parts = [np.zeros((2, 0), np.uint64)]
    for path in paths:
        keyed = np.load(path, mmap_mode="r")
        low = np.searchsorted(keyed[0], np.uint64(task.low), side="left")
        high = np.searchsorted(keyed[0], np.uint64(task.high), side="right")
        parts.append(np.array(keyed[:, low:high]))
    return np.concatenate(parts, axis=1)
