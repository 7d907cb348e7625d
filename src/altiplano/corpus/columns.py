"""The documents' columns without their texts: what decisions are made from. ``shard`` and ``row`` find a text again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files
from altiplano.corpus.shards import COLUMNS

Columns = dict[str, NDArray[Any]]


def load_columns(shards: list[Path]) -> Columns:
    """All documents of all shards, in shard order."""
    wanted = [name for name in COLUMNS if name not in ("text", "url", "code_language")]
    tables = [files.read_table(path, wanted) for path in shards]
    columns: Columns = {}
    for name in wanted:
        kind = object if COLUMNS[name] == "string" else COLUMNS[name]
        columns[name] = np.concatenate([_array(table[name], kind) for table in tables])
    lengths = [len(table) for table in tables]
    columns["shard"] = np.repeat(np.arange(len(tables)), lengths)
    columns["row"] = np.concatenate([np.arange(length) for length in lengths])
    return columns


def _array(column: Any, kind: Any) -> NDArray[Any]:
    return np.array(column.to_pylist(), object) if kind is object else column.to_numpy()


def texts(columns: Mapping[str, NDArray[Any]], which: NDArray[Any], shards: list[Path]) -> Iterator[tuple[int, str]]:
    """``(document, text)`` for the documents of the given numbers, shard by shard."""
    for shard in np.unique(columns["shard"][which]):
        members = which[columns["shard"][which] == shard]
        table = files.read_table(shards[shard], ["text"])["text"].combine_chunks()
        for document in members.tolist():
            yield document, table[int(columns["row"][document])].as_py()
