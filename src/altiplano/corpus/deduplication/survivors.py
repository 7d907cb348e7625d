"""Which of a document's copies stays.

The best by a stated order stays, and each other document of its cluster is judged against it: what has its text or its
address, or a signature like its own, is a copy of it and dropped. What is left of the cluster is judged in the same way
again, so that a chain of documents, each like the next, is not dropped for one that is like its first link alone.

Clusters are dealt to tasks by ranges of their names, which are hashes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.deduplication.clusters import within
from altiplano.corpus.deduplication.containment import Sketches
from altiplano.corpus.deduplication.edges import confirmed
from altiplano.corpus.deduplication.signatures import Fingerprints, text_keys
from altiplano.corpus.documents import Columns, DocumentShard, add_columns, load_columns
from altiplano.corpus.perplexity.ranks import BUCKETS
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.recipe.schema import CorpusConfig, DeduplicationConfig, Preference

COPIES = ("exact duplicate", "near duplicate", "in an earlier run", "same address")
"""Reasons."""

COPY = np.dtype([
    ("cluster", "S32"), ("quality", "<i8"), ("length", "<i8"), ("source", "<i8"), ("id", "S32"), ("document", "<i8"),
    ("text", "<u8"), ("url", "<u8"), ("earlier", "?"),
])  # fmt: skip
"""A document that passed the filters and has copies. Of ``quality``, ``length`` and ``source`` less is better; ``url``
is 0 where addresses do not count."""

DROPPED = np.dtype([("document", "<i8"), ("reason", "<u1"), ("copy_of", "S32")])
"""``reason`` is a place in COPIES, ``copy_of`` the id of the document that stays."""

TASK_COPIES = 1 << 20
ROUNDS = 256
"""Documents that stay of one cluster, at most; the rest of a longer chain are near duplicates of the last of them."""

Alike = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Of pairs of documents [pairs, 2], those whose signatures are alike."""


@dataclass(frozen=True)
class CopyTask:
    """Clusters whose names begin with hexadecimal digits from ``low`` up to, not including, ``high``."""

    path: Path
    low: bytes
    high: bytes
    size: int


def drop_duplicates(
    shards: list[DocumentShard], corpus: CorpusConfig, steps: Path, engine: Engine
) -> list[DocumentShard]:
    """The shards with ``copy_of``, the id of the copy that stays instead, and the reasons of copies."""
    folder, settings = steps / "copies", corpus.deduplication
    sources = [source.name for source in corpus.sources]
    path = partial(_copies_path, folder)
    write = partial(_write_copies, clusters=steps / "clusters.npy", sources=sources, urls=settings.urls, folder=folder)
    map_shards("copies", write, shards, path, lambda shard: shard.size, engine)
    tasks = _tasks(sum(len(np.load(path(shard), mmap_mode="r")) for shard in shards), folder)
    judge = partial(
        _judge,
        copies=[path(shard) for shard in shards],
        settings=settings,
        shards=shards,
        fingerprints=steps / "fingerprints",
    )
    map_shards("best copies", judge, tasks, _task_path, lambda task: task.size, engine)
    work = partial(_without_copies, dropped=[task.path for task in tasks])
    return add_columns("duplicates", work, shards, steps / "duplicates", engine)


def _tasks(copies: int, folder: Path) -> list[CopyTask]:
    ranges = max(1, -(-copies // TASK_COPIES))
    edges = [f"{(number << 64) // ranges:016x}".encode() for number in range(ranges)] + [b"g"]  # above every digit
    return [
        CopyTask(folder / f"dropped-{number:05d}.npy", low, high, COPY.itemsize * copies // ranges)
        for number, (low, high) in enumerate(pairwise(edges))
    ]


def _write_copies(shard: DocumentShard, clusters: Path, sources: list[str], urls: bool, folder: Path) -> None:
    """The shard's COPY records, ascending by cluster."""
    records = within(np.load(clusters, mmap_mode="r"), shard)
    names = ["id", "text_hash", "url_hash", "domain", "source", "characters", "bucket", "reason"]
    columns = load_columns(shard, names)
    rows = records["document"] - shard.first
    alive = columns["reason"][rows] == ""
    records, rows = records[alive], rows[alive]
    copies = np.zeros(len(rows), COPY)
    for name in ("document", "cluster", "earlier"):
        copies[name] = records[name]
    copies["id"] = columns["id"][rows].astype("S32")
    copies["text"] = text_keys(columns["text_hash"][rows])
    pages = (columns["domain"][rows] == "web") & (columns["url_hash"][rows] != "")
    if urls:
        copies["url"][pages] = text_keys(columns["url_hash"][rows[pages]])
    copies["length"] = -columns["characters"][rows]
    copies["source"] = [sources.index(name) for name in columns["source"][rows]]
    middle = BUCKETS.index("middle")  # what has no perplexity, such as code
    copies["quality"] = [BUCKETS.index(name) if name in BUCKETS else middle for name in columns["bucket"][rows]]
    files.save_array(_copies_path(folder, shard), copies[np.argsort(copies["cluster"], kind="stable")])


def _judge(
    task: CopyTask,
    copies: list[Path],
    settings: DeduplicationConfig,
    shards: list[DocumentShard],
    fingerprints: Path,
) -> None:
    parts = [np.zeros(0, COPY)]
    for path in copies:
        known = np.load(path, mmap_mode="r")
        low, high = np.searchsorted(known["cluster"], np.array([task.low, task.high], "S32"))
        parts.append(np.array(known[low:high]))

    def alike(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        found = confirmed(pairs, shards, fingerprints) >= settings.min_similarity
        if settings.min_containment:
            paths = [Fingerprints(fingerprints, shard.number).sketches for shard in shards]
            found |= Sketches(paths, shards).contained(pairs) >= settings.min_containment
        return found

    dropped = worse_copies(np.concatenate(parts), settings.prefer, alike)
    files.save_array(task.path, dropped[np.argsort(dropped["document"])])


def worse_copies(copies: NDArray[Any], prefer: tuple[Preference, ...], alike: Alike) -> NDArray[Any]:
    """DROPPED records of the COPY records that do not stay, in no order."""
    early = copies[copies["earlier"]]
    found = np.zeros(len(early), DROPPED)
    found["document"], found["reason"], found["copy_of"] = early["document"], 2, early["cluster"]
    parts = [found]
    left = copies[~copies["earlier"]]
    left = left[np.lexsort((left["id"], *(left[key] for key in reversed(prefer)), left["cluster"]))]
    for number in range(ROUNDS):
        if not len(left):
            break
        begins = np.ones(len(left), bool)
        begins[1:] = left["cluster"][1:] != left["cluster"][:-1]
        best = left[np.maximum.accumulate(np.where(begins, np.arange(len(left)), 0))]
        same = (left["text"] == best["text"]) & ~begins
        same_address = (left["url"] == best["url"]) & (left["url"] > 0) & ~begins & ~same
        copy = same | same_address
        unsure = np.flatnonzero(~copy & ~begins)
        if number == ROUNDS - 1:
            copy[unsure] = True
        elif len(unsure):
            copy[unsure] = alike(np.stack((best["document"][unsure], left["document"][unsure]), axis=1))
        found = np.zeros(int(copy.sum()), DROPPED)
        reason = np.where(same_address, 3, ~same)  # places in COPIES
        found["document"], found["reason"], found["copy_of"] = left["document"][copy], reason[copy], best["id"][copy]
        parts.append(found)
        left = left[~copy & ~begins]
    return np.concatenate(parts)


def _without_copies(shard: DocumentShard, dropped: list[Path]) -> Columns:
    reasons = load_columns(shard, ["reason"])["reason"]
    copy_of = np.full(shard.rows, "", object)
    for path in dropped:
        records = within(np.load(path, mmap_mode="r"), shard)
        rows = records["document"] - shard.first
        reasons[rows] = np.array(COPIES, object)[records["reason"]]
        copy_of[rows] = records["copy_of"].astype(str)
    return {"reason": reasons, "copy_of": copy_of}


def _copies_path(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"copies-{shard.number:05d}.npy"


def _task_path(task: CopyTask) -> Path:
    return task.path
