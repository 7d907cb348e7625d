"""Which documents are copies of one another.

Clusters are the connected components of a graph whose edges are pairs of copies. Memory is bounded by the documents
that have copies: some 100 bytes for each.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.deduplication.edges import EdgeTask, edge_tasks, write_edges
from altiplano.corpus.deduplication.signatures import Fingerprints, write_fingerprints
from altiplano.corpus.documents import Columns, DocumentShard, add_columns, load_columns
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.recipe.schema import DeduplicationConfig

CLUSTER = np.dtype([("document", "<i8"), ("cluster", "S32"), ("earlier", "?")])
"""``cluster`` is the lowest id among the copies; ``earlier`` says that one of them is in an earlier run."""


def find_clusters(
    shards: list[DocumentShard],
    earlier: list[DocumentShard],
    settings: DeduplicationConfig,
    steps: Path,
    engine: Engine,
) -> list[DocumentShard]:
    """The shards with ``cluster``: the lowest id among a document's copies, its own where it has none."""
    path = steps / "clusters.npy"
    if not path.exists():
        _write_clusters([*shards, *earlier], settings, steps, engine)
    return add_columns("clusters", partial(_clusters, path=path), shards, steps / "clusters", engine)


def _write_clusters(shards: list[DocumentShard], settings: DeduplicationConfig, steps: Path, engine: Engine) -> None:
    """Write a CLUSTER record for every document that has a copy, ascending."""
    folder = steps / "fingerprints"
    map_shards(
        "fingerprints",
        partial(write_fingerprints, settings=settings, folder=folder),
        shards,
        lambda shard: Fingerprints(folder, shard.number).exact,
        lambda shard: shard.size,
        engine,
    )
    keys = sum(_keys(Fingerprints(folder, shard.number), settings) for shard in shards)
    tasks = edge_tasks(keys, steps / "edges")
    work = partial(write_edges, shards=shards, folder=folder, settings=settings)
    map_shards("duplicates", work, tasks, _path, lambda task: task.size, engine)
    edges = np.unique(np.concatenate([np.load(task.path) for task in tasks]), axis=0)
    nodes, ends = np.unique(edges, return_inverse=True)
    left, right = ends.reshape(-1, 2).T
    ids, earlier = _ids(nodes, shards, folder)
    order = np.lexsort((ids, ~earlier))  # a document of an earlier run comes before all of this one
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    lowest = components(len(nodes), rank[left], rank[right])[rank]
    records = np.zeros(len(nodes), CLUSTER)
    records["document"], records["cluster"], records["earlier"] = nodes, ids[order][lowest], earlier[order][lowest]
    files.save_array(steps / "clusters.npy", records)


def _clusters(shard: DocumentShard, path: Path) -> Columns:
    cluster = load_columns(shard, ["id"])["id"]
    records = within(np.load(path, mmap_mode="r"), shard)
    cluster[records["document"] - shard.first] = records["cluster"].astype(str)
    return {"cluster": cluster}


def within(records: NDArray[Any], shard: DocumentShard) -> NDArray[Any]:
    """Of records ordered by document, those of the shard."""
    low, high = np.searchsorted(records["document"], (shard.first, shard.first + shard.rows))
    return np.array(records[low:high])


def _ids(
    nodes: NDArray[np.int64], shards: list[DocumentShard], folder: Path
) -> tuple[NDArray[np.bytes_], NDArray[np.bool_]]:
    """Ids of the documents, and whether they are of an earlier run."""
    ids, earlier = np.zeros(len(nodes), "S32"), np.zeros(len(nodes), bool)
    for shard in shards:
        low, high = np.searchsorted(nodes, (shard.first, shard.first + shard.rows))
        if high > low:
            known = np.load(Fingerprints(folder, shard.number).ids, mmap_mode="r")
            ids[low:high] = known[nodes[low:high] - shard.first]
            earlier[low:high] = shard.earlier
    return ids, earlier


def _keys(out: Fingerprints, settings: DeduplicationConfig) -> int:
    paths = [out.exact, out.bands, *([out.sketch_keys] if settings.min_containment else [])]
    return sum(np.load(path, mmap_mode="r").shape[1] for path in paths)


def _path(task: EdgeTask) -> Path:
    return task.path


def components(size: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``size`` nodes the smallest node that it is connected to, directly or through others."""
    parent = np.arange(size)
    _unite(parent, left, right)
    return parent


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _root(parent: Any, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)  # type: ignore[untyped-decorator]
def _unite(parent: Any, left: Any, right: Any) -> None:
    for edge in range(len(left)):
        one, other = _root(parent, left[edge]), _root(parent, right[edge])
        if one < other:
            parent[other] = one
        else:
            parent[one] = other
    for node in range(len(parent)):
        parent[node] = _root(parent, node)
