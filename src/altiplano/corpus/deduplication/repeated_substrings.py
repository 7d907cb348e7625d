"""Substrings that occur again (Lee et al. 2021, ExactSubstr): later copies are removed.

A partition of some shards is one byte string with its suffix array, in which suffixes that share their first ``least``
bytes stand next to each other. Only the first in the partition stays.
"""

from functools import partial
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import DocumentShard, ShardBatch, batched, texts
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra

PARTITION_BYTES = 64 * 2**20
"""Text in memory at a time; its suffix and prefix arrays take eight times as much."""

END = 0xFF
"""Between documents: no byte of UTF-8."""


def find_repeats(shards: list[DocumentShard], least: int, folder: Path, engine: Engine) -> dict[int, Path]:
    """Per shard the file with its copied substrings: [spans, 3] document, first byte, byte after the last."""
    tasks = batched(shards, PARTITION_BYTES)
    work = partial(_write, least=least, folder=folder)
    map_shards("repeated text", work, tasks, partial(_path, folder), lambda task: task.size, engine)
    return {shard.number: _path(folder, task) for task in tasks for shard in task.shards}


def without(text: str, spans: NDArray[np.int64]) -> str:
    """The text without the spans [spans, 2] of its UTF-8 bytes, cut at whole characters."""
    raw = text.encode()
    kept, at = [], 0
    for begin, end in spans.tolist():
        kept.append(raw[at:begin].decode("utf-8", "ignore"))
        at = end
    kept.append(raw[at:].decode("utf-8", "ignore"))
    return "".join(kept)


def repeats(raw: NDArray[np.uint8], least: int) -> NDArray[np.bool_]:
    """Which bytes belong to a later copy of a substring of at least ``least`` bytes that holds no END."""
    sort = extra("pydivsufsort")
    suffixes = sort.divsufsort(raw)
    common = sort.kasai(raw, suffixes)  # with the next suffix
    return _covered(suffixes, common, _room(raw), least)


def _room(raw: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Bytes from each position to the end of its document."""
    ends = np.append(np.flatnonzero(raw == END), len(raw))
    at = np.arange(len(raw))
    return (ends[np.searchsorted(ends, at)] - at).astype(np.int32)


@numba.njit(cache=True)
def _covered(suffixes, common, room, least):  # type: ignore[no-untyped-def]
    later = np.zeros(len(suffixes), np.bool_)
    start = 0
    for at in range(len(suffixes)):
        if at == len(suffixes) - 1 or common[at] < least:
            if at > start:
                first = suffixes[start : at + 1].min()
                for position in suffixes[start : at + 1]:
                    later[position] = position != first and room[position] >= least
            start = at + 1
    covered = np.zeros(len(suffixes), np.bool_)
    until = 0
    for position in range(len(suffixes)):
        if later[position]:
            until = position + least
        covered[position] = position < until
    return covered


def _write(task: ShardBatch, least: int, folder: Path) -> None:
    pieces, documents, starts = [], [], []
    at = 0
    for shard in task.shards:
        for row, text in enumerate(texts(shard, np.arange(shard.rows))):
            raw = text.encode()
            pieces.append(raw + bytes([END]))
            documents.append(shard.first + row)
            starts.append(at)
            at += len(raw) + 1
    whole = np.frombuffer(b"".join(pieces), np.uint8).copy()
    covered = repeats(whole, least) if len(whole) > least else np.zeros(len(whole), bool)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], covered, [False]))))
    begins, ends = edges[::2], edges[1::2]
    owner = np.searchsorted(starts, begins, side="right") - 1
    offset = np.array(starts, np.int64)[owner] if len(owner) else np.zeros(0, np.int64)
    number = np.array(documents, np.int64)[owner] if len(owner) else np.zeros(0, np.int64)
    files.save_array(_path(folder, task), np.stack((number, begins - offset, ends - offset), axis=1).astype(np.int64))


def _path(folder: Path, task: ShardBatch) -> Path:
    return folder / f"repeats-{task.number:05d}.npy"
