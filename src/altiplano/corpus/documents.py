"""Documents' columns without their texts: what decisions are made from, a shard at a time.

A document's number counts all documents of all shards in order; ``shard`` and ``row`` find its text again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.annotate import COLUMNS
from altiplano.corpus.execution import files

Columns = dict[str, NDArray[Any]]

LIGHT = [name for name in COLUMNS if name not in ("text", "url", "code_language")]


@dataclass(frozen=True)
class Shard:
    """Annotated documents: how many there are, how many come before them, and how much text they have."""

    number: int
    path: Path
    first: int
    rows: int
    size: int
    earlier: bool = False
    """Of a run before this one, whose documents are there to be compared with."""


def numbered(paths: list[Path], first: int = 0, number: int = 0, earlier: bool = False) -> list[Shard]:
    """Shards in order, with the number of documents before each."""
    shards = []
    for at, path in enumerate(paths):
        rows = files.rows_of(path)
        shards.append(Shard(number + at, path, first, rows, path.stat().st_size, earlier))
        first += rows
    return shards


def load_columns(shard: Shard, names: list[str] | None = None) -> Columns:
    """The named columns (all that decisions use) and ``shard``, ``row``."""
    table = files.read_table(shard.path, names or LIGHT)
    columns: Columns = {name: _array(table[name]) for name in table.column_names}
    columns["shard"] = np.full(len(table), shard.number)
    columns["row"] = np.arange(len(table))
    return columns


def _array(column: Any) -> NDArray[Any]:
    return np.array(column.to_pylist(), object) if str(column.type) == "string" else column.to_numpy()


def sample(shards: list[Shard], load: Callable[[Shard], Columns], most: int) -> Columns:
    """Of each domain × language at most ``most`` documents with the lowest ids, which are hashes: a random sample, and
    the same however the documents lie in shards. Memory is bounded by ``most`` and the number of groups."""
    kept: Columns = {}
    for number, shard in enumerate(shards):
        columns = load(shard)
        kept = {name: np.concatenate((kept[name], columns[name])) for name in columns} if kept else columns
        if len(kept["id"]) > 2 * most or number == len(shards) - 1:
            chosen = _lowest(kept, most)
            kept = {name: values[chosen] for name, values in kept.items()}
    return kept


def _lowest(columns: Columns, most: int) -> NDArray[np.int64]:
    """Rows of the ``most`` lowest ids of each domain × language, in the order of shards."""
    order = np.lexsort((columns["id"].astype(str), columns["language"].astype(str), columns["domain"].astype(str)))
    domain, language = columns["domain"][order], columns["language"][order]
    begins = np.ones(len(order), bool)
    begins[1:] = (domain[1:] != domain[:-1]) | (language[1:] != language[:-1])
    start = np.flatnonzero(begins)
    place = np.arange(len(order)) - np.repeat(start, np.diff(np.append(start, len(order))))
    chosen = np.sort(order[place < most])
    return chosen[np.lexsort((columns["row"][chosen], columns["shard"][chosen]))]


def texts(shard: Shard, rows: NDArray[np.int64]) -> Iterator[str]:
    """The texts of the given rows, ascending, read some at a time."""
    before = 0
    for batch in files.read_batches(shard.path, ["text"]):
        here = rows[(rows >= before) & (rows < before + len(batch))]
        column = batch["text"]
        for row in here.tolist():
            yield column[row - before].as_py()
        before += len(batch)
