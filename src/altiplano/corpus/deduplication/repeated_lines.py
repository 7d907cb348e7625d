"""Lines that many web pages share are navigation and boilerplate (Llama 3, section 3.1.1: more than six times in 30
million documents): they are removed from every page before it is filtered.
"""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from altiplano.corpus.deduplication.edges import EdgeTask, edge_tasks, key_range
from altiplano.corpus.documents import DocumentShard, load_columns, texts
from altiplano.corpus.words import U64
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards

BUCKET = 30_000_000
"""Documents among which lines are counted."""

MIN_CHARACTERS = 4
"""Shorter lines, such as a closing brace or a number, carry nothing."""


@dataclass(frozen=True)
class FrequentLines:
    """Where the hashes of frequent lines are, per shard: those of its bucket."""

    folder: Path
    bucket_of: dict[int, int]

    def load(self, shard: DocumentShard) -> U64:
        found: U64 = np.load(self.folder / f"frequent-{self.bucket_of[shard.number]:03d}.npy")
        return found


def find_frequent_lines(shards: list[DocumentShard], most: int, folder: Path, engine: Engine) -> FrequentLines:
    """Lines that more than ``most`` web pages of a bucket have."""
    map_shards("lines", partial(_write_lines, folder=folder), shards, partial(_lines, folder), _size, engine)
    bucket_of = {shard.number: shard.first // BUCKET for shard in shards}
    for bucket in sorted(set(bucket_of.values())):
        paths = [_lines(folder, shard) for shard in shards if bucket_of[shard.number] == bucket]
        tasks = edge_tasks(
            sum(np.load(path, mmap_mode="r").shape[1] for path in paths), folder / f"bucket-{bucket:03d}"
        )
        work = partial(_write_frequent, paths=paths, most=most)
        map_shards("frequent lines", work, tasks, _path, lambda task: task.size, engine)
        files.save_array(folder / f"frequent-{bucket:03d}.npy", np.concatenate([np.load(task.path) for task in tasks]))
    return FrequentLines(folder, bucket_of)


def without(text: str, frequent: U64) -> str:
    """The text without its frequent lines."""
    lines = text.split("\n")
    hashes = np.array([line_hash(line) for line in lines], np.uint64)
    gone = np.isin(hashes, frequent) & (hashes > 0)
    return "\n".join(line for line, drop in zip(lines, gone.tolist(), strict=True) if not drop).strip("\n")


def line_hash(line: str) -> int:
    """Of its words, whatever the white space; 0 for lines too short to count."""
    stripped = " ".join(line.split())
    if len(stripped) < MIN_CHARACTERS:
        return 0
    return int.from_bytes(hashlib.blake2b(stripped.encode(), digest_size=8).digest()) | 1


def _write_lines(shard: DocumentShard, folder: Path) -> None:
    """Hashes of lines, ascending, and how many of the shard's web pages have them [2, lines]."""
    columns = load_columns(shard, ["domain"])
    rows = np.flatnonzero(columns["domain"] == "web")
    found = [np.zeros(0, np.uint64)]
    for text in texts(shard, rows):
        found.append(np.unique(np.array([line_hash(line) for line in text.split("\n")], np.uint64)))
    hashes, counts = np.unique(np.concatenate(found), return_counts=True)
    kept = hashes > 0
    files.save_array(_lines(folder, shard), np.stack((hashes[kept], counts[kept].astype(np.uint64))))


def _write_frequent(task: EdgeTask, paths: list[Path], most: int) -> None:
    hashes, counts = key_range(paths, task)
    names, at = np.unique(hashes, return_inverse=True)
    files.save_array(task.path, names[np.bincount(at, counts, len(names)) > most])


def _lines(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"lines-{shard.number:05d}.npy"


def _path(task: EdgeTask) -> Path:
    return task.path


def _size(shard: DocumentShard) -> int:
    return shard.size
