"""Documents' columns without their texts, a shard at a time, and how a step adds columns to them.

A document's number counts all documents of all shards in order; ``shard`` and ``row`` find its text again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.annotate import COLUMNS
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra

Columns = dict[str, NDArray[Any]]

LIGHT = [name for name in COLUMNS if name not in ("text", "url", "code_language")]

SAMPLE = 2000
"""Documents per domain × language that thresholds, ranks and the audit's excerpts come from."""

BATCH_BYTES = 256 * 2**20
"""Shards that one task samples: what it writes is small beside what it reads."""


@dataclass(frozen=True)
class DocumentShard:
    """Annotated documents: how many there are, how many come before them, and how much text they have."""

    number: int
    path: Path
    first: int
    rows: int
    size: int
    earlier: bool = False
    """Of a run before this one, whose documents are there to be compared with."""
    added: tuple[Path, ...] = ()
    """Files of columns that later steps have added, row for row; a later one replaces a column of the same name."""


@dataclass(frozen=True)
class ShardBatch:
    """Consecutive shards that one task reads."""

    number: int
    shards: tuple[DocumentShard, ...]
    size: int


def numbered(paths: list[Path], first: int = 0, number: int = 0, earlier: bool = False) -> list[DocumentShard]:
    """Shards in order, with the number of documents before each."""
    shards = []
    for at, path in enumerate(paths):
        rows = files.rows_of(path)
        shards.append(DocumentShard(number + at, path, first, rows, path.stat().st_size, earlier))
        first += rows
    return shards


def batched(shards: list[DocumentShard], most: int) -> list[ShardBatch]:
    """Consecutive shards up to ``most`` bytes; a larger one stands alone."""
    groups: list[list[DocumentShard]] = []
    size = most + 1
    for shard in shards:
        if size + shard.size > most:
            groups.append([])
            size = 0
        groups[-1].append(shard)
        size += shard.size
    return [ShardBatch(number, tuple(group), sum(shard.size for shard in group)) for number, group in enumerate(groups)]


def load_columns(shard: DocumentShard, names: list[str] | None = None) -> Columns:
    """The named columns (``LIGHT`` if none are) with those that later steps have added, and ``shard``, ``row``."""
    missing = list(LIGHT if names is None else names)
    columns: Columns = {}
    for path in (*reversed(shard.added), shard.path):
        known = set(files.schema_of(path).names)
        here = [name for name in missing if name in known]
        if here:
            columns |= _read(path, here)
            missing = [name for name in missing if name not in known]
    if missing:
        raise KeyError(f"{shard.path} has no column {missing[0]}")
    columns["shard"] = np.full(shard.rows, shard.number)
    columns["row"] = np.arange(shard.rows)
    return columns


def add_columns(
    title: str,
    work: Callable[[DocumentShard], Columns],
    shards: list[DocumentShard],
    folder: Path,
    engine: Engine,
) -> list[DocumentShard]:
    """The shards with the columns that ``work`` returns for each, a value per document."""
    _write_tables(title, work, shards, folder, engine)
    return [replace(shard, added=(*shard.added, _table_path(folder, shard))) for shard in shards]


def summarise(
    title: str,
    work: Callable[[Any], Columns],
    tasks: list[DocumentShard] | list[ShardBatch],
    folder: Path,
    engine: Engine,
) -> Iterator[Columns]:
    """The columns, of any length, that ``work`` returns for each shard or batch, in order."""
    _write_tables(title, work, tasks, folder, engine)
    for task in tasks:
        path = _table_path(folder, task)
        yield _read(path, files.schema_of(path).names)


def _write_tables(title: str, work: Callable[[Any], Columns], tasks: Any, folder: Path, engine: Engine) -> None:
    write = partial(_write_table, work=work, folder=folder)
    map_shards(title, write, tasks, partial(_table_path, folder), lambda task: task.size, engine)


def _write_table(task: DocumentShard | ShardBatch, work: Callable[[Any], Columns], folder: Path) -> None:
    arrow = extra("pyarrow")
    columns = {
        # an empty array of objects says nothing about its type
        name: arrow.array(values.tolist(), arrow.string()) if values.dtype == object else arrow.array(values)
        for name, values in work(task).items()
    }
    files.write_table(_table_path(folder, task), arrow.table(columns))


def _table_path(folder: Path, task: DocumentShard | ShardBatch) -> Path:
    return folder / f"columns-{task.number:05d}.parquet"


def _read(path: Path, names: list[str]) -> Columns:
    table = files.read_table(path, names)
    return {name: _array(table[name]) for name in table.column_names}


def _array(column: Any) -> NDArray[Any]:
    return np.array(column.to_pylist(), object) if str(column.type) == "string" else column.to_numpy()


def group_names(columns: Mapping[str, NDArray[Any]]) -> NDArray[np.object_]:
    """``web.en`` and so on: the unit of perplexity models, held-out sets and evaluation."""
    domains, languages = columns["domain"].astype(str), columns["language"].astype(str)
    return np.char.add(np.char.add(domains, "."), languages).astype(object)


def sample(
    title: str, shards: list[DocumentShard], names: list[str], folder: Path, engine: Engine, most: int = SAMPLE
) -> Columns:
    """Of each domain × language at most ``most`` documents with the lowest ids, which are hashes: a random sample, and
    the same however the documents lie in shards. Memory is bounded by ``most`` and the number of groups."""
    work = partial(_sample, names=names, most=most)
    return _lowest_of_all(summarise(title, work, batched(shards, BATCH_BYTES), folder, engine), most)


def _sample(batch: ShardBatch, names: list[str], most: int) -> Columns:
    return _lowest_of_all((load_columns(shard, names) for shard in batch.shards), most)


def _lowest_of_all(parts: Iterator[Columns], most: int) -> Columns:
    kept: Columns = {}
    for part in parts:
        kept = {name: np.concatenate((kept[name], part[name])) for name in part} if kept else part
        if len(kept["id"]) > 2 * most:
            kept = _lowest(kept, most)
    return _lowest(kept, most)


def _lowest(columns: Columns, most: int) -> Columns:
    """The ``most`` lowest ids of each domain × language, in the order of shards."""
    order = np.lexsort((columns["id"].astype(str), columns["language"].astype(str), columns["domain"].astype(str)))
    domain, language = columns["domain"][order], columns["language"][order]
    begins = np.ones(len(order), bool)
    begins[1:] = (domain[1:] != domain[:-1]) | (language[1:] != language[:-1])
    start = np.flatnonzero(begins)
    place = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
    chosen = np.sort(order[place < most])
    chosen = chosen[np.lexsort((columns["row"][chosen], columns["shard"][chosen]))]
    return {name: values[chosen] for name, values in columns.items()}


def texts(shard: DocumentShard, rows: NDArray[np.int64]) -> Iterator[str]:
    """The texts of the given rows, ascending, read some at a time."""
    before = 0
    for batch in files.read_batches(shard.path, ["text"]):
        here = rows[(rows >= before) & (rows < before + len(batch))]
        column = batch["text"]
        for row in here.tolist():
            yield column[row - before].as_py()
        before += len(batch)
