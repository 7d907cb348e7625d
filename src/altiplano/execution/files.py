"""Tables and arrays of documents, whole or absent as ``storage.publish`` makes them."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano import storage
from altiplano.optional_imports import extra
from altiplano.storage import publish

BATCH = 512
"""Documents read at a time."""


def write_json(path: Path, value: Any) -> None:
    """As ``storage.write_json``, with text as it is."""
    storage.write_json(path, value, ensure_ascii=False)


def write_table(path: Path, table: Any, row_group: int = 2048) -> None:
    """A pyarrow table as Parquet; the same table gives the same bytes."""
    parquet = extra("pyarrow.parquet")
    publish(path, lambda temporary: parquet.write_table(table, temporary, compression="zstd", row_group_size=row_group))


def link(source: Path, path: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        os.link(source, path)
    except OSError:
        publish(path, lambda temporary: shutil.copyfile(source, temporary))


def write_tables(path: Path, schema: Any, tables: Iterable[Any]) -> None:
    """One Parquet file from tables that need not fit into memory together: each is a row group."""

    def write(temporary: Path) -> None:
        with extra("pyarrow.parquet").ParquetWriter(temporary, schema, compression="zstd") as writer:
            for table in tables:
                writer.write_table(table.cast(schema))

    publish(path, write)


def schema_of(path: Path) -> Any:
    return extra("pyarrow.parquet").read_schema(path)


def read_table(path: Path, columns: list[str] | None = None, filters: Any = None) -> Any:
    return extra("pyarrow.parquet").read_table(path, columns=columns, filters=filters)


def read_batches(path: Path, columns: list[str]) -> Iterator[Any]:
    """The table of a Parquet file some rows at a time, so that memory does not grow with the file."""
    with extra("pyarrow.parquet").ParquetFile(path) as opened:
        yield from opened.iter_batches(batch_size=BATCH, columns=columns)


def read_row(path: Path, row: int, columns: list[str]) -> dict[str, Any]:
    """Some cells of one row; no more than its row group is read."""
    with extra("pyarrow.parquet").ParquetFile(path) as opened:
        group = 0
        while row >= (rows := opened.metadata.row_group(group).num_rows):
            row, group = row - rows, group + 1
        return dict(opened.read_row_group(group, columns).slice(row, 1).to_pylist()[0])


def rows_of(path: Path) -> int:
    return int(extra("pyarrow.parquet").read_metadata(path).num_rows)


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Publish a NumPy array."""
    publish(path, lambda temporary: _save_array(temporary, values))


def _save_array(path: Path, values: NDArray[Any]) -> None:
    with path.open("wb") as stream:
        np.save(stream, values)
