"""Which documents are copies of one another, and which of them stays.

Memory is bounded by the documents that have copies: some 100 bytes for each.

Connected components of a graph given by its edges.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import filters
from altiplano.corpus.deduplication.edges import EdgeTask, edge_tasks, write_edges
from altiplano.corpus.deduplication.signatures import Fingerprints, write_fingerprints
from altiplano.corpus.documents import Shard, load_columns
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards
from altiplano.corpus.filtered import Rules, decide, within

CLUSTER = np.dtype([("document", "<i8"), ("cluster", "S32"), ("earlier", "?")])
"""``cluster`` is the lowest id among the copies; ``earlier`` says that one of them is in an earlier run."""

DROPPED_DUPLICATE = np.dtype([("document", "<i8"), ("reason", "<u1")])
"""``reason`` is a place in ``filters.COPIES``."""


def find_clusters(shards: list[Shard], rules: Rules, engine: Engine) -> Path:
    """Write a CLUSTER record for every document that has a copy, ascending. ``shards`` include earlier runs'."""
    path, folder, settings = rules.steps / "clusters.npy", rules.steps / "fingerprints", rules.corpus.deduplication
    if path.exists():
        return path
    map_shards(
        "fingerprints",
        partial(write_fingerprints, rules=rules, settings=settings, folder=folder),
        shards,
        lambda shard: Fingerprints(folder, shard.number).exact,
        lambda shard: shard.size,
        engine,
    )
    keys = sum(_keys(Fingerprints(folder, shard.number)) for shard in shards)
    tasks = edge_tasks(keys, rules.steps / "edges")
    work = partial(write_edges, shards=shards, folder=folder, min_similarity=settings.min_similarity)
    map_shards("duplicates", work, tasks, _path, lambda task: task.size, engine)
    edges = np.unique(np.concatenate([np.load(task.path) for task in tasks]), axis=0)
    nodes, ends = np.unique(edges, return_inverse=True)
    left, right = ends.reshape(-1, 2).T
    ids, earlier = _ids(nodes, shards)
    order = np.lexsort((ids, ~earlier))  # a document of an earlier run comes before all of this one
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    lowest = components(len(nodes), rank[left], rank[right])[rank]
    records = np.zeros(len(nodes), CLUSTER)
    records["document"], records["cluster"], records["earlier"] = nodes, ids[order][lowest], earlier[order][lowest]
    files.save_array(path, records)
    return path


def choose(shards: list[Shard], rules: Rules) -> Path:
    """Write a LOSER record for every copy that goes: of the survivors of a cluster only the lowest id stays."""
    path = rules.steps / "losers.npy"
    if path.exists():
        return path
    assert rules.clusters is not None
    records = np.load(rules.clusters)
    parts: list[dict[str, NDArray[Any]]] = []
    for shard in shards:
        mine = within(records, shard)
        if len(mine):
            columns = decide(shard, rules)
            rows = mine["document"] - shard.first
            names = ("id", "text_hash", "cluster", "reason")
            parts.append({name: columns[name][rows] for name in names} | {"earlier": mine["earlier"]})
            parts[-1]["document"] = mine["document"]
    merged = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}
    dropped_duplicates = np.zeros(0, DROPPED_DUPLICATE)
    if merged:
        reasons = filters.duplicates(merged)
        lost = np.flatnonzero(reasons != merged["reason"])
        dropped_duplicates = np.zeros(len(lost), DROPPED_DUPLICATE)
        dropped_duplicates["document"] = merged["document"][lost]
        dropped_duplicates["reason"] = [filters.COPIES.index(reason) for reason in reasons[lost]]
    files.save_array(path, dropped_duplicates)
    return path


def _ids(nodes: NDArray[np.int64], shards: list[Shard]) -> tuple[NDArray[np.bytes_], NDArray[np.bool_]]:
    """Ids of the documents, and whether they are of an earlier run."""
    ids, earlier = np.zeros(len(nodes), "S32"), np.zeros(len(nodes), bool)
    for shard in shards:
        low, high = np.searchsorted(nodes, (shard.first, shard.first + shard.rows))
        if high > low:
            ids[low:high] = load_columns(shard, ["id"])["id"][nodes[low:high] - shard.first].astype("S32")
            earlier[low:high] = shard.earlier
    return ids, earlier


def _keys(out: Fingerprints) -> int:
    return sum(np.load(path, mmap_mode="r").shape[1] for path in (out.exact, out.bands))


def _path(task: EdgeTask) -> Path:
    return task.path


def components(size: int, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``size`` nodes the smallest node that it is connected to, directly or through others."""
    parent = np.arange(size)
    _unite(parent, left, right)
    return parent


@numba.njit(cache=True)
def _root(parent: Any, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


@numba.njit(cache=True)
def _unite(parent: Any, left: Any, right: Any) -> None:
    for edge in range(len(left)):
        one, other = _root(parent, left[edge]), _root(parent, right[edge])
        if one < other:
            parent[other] = one
        else:
            parent[one] = other
    for node in range(len(parent)):
        parent[node] = _root(parent, node)
