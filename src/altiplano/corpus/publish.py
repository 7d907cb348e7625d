"""The filtered documents as Parquet, one part per shard."""

from functools import partial
from pathlib import Path
from typing import Any

from altiplano.corpus.documents import DocumentShard, load_columns
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra

FILTERED = ("perplexity", "classifier", "bucket", "cluster", "copy_of", "keep", "reason", "split")
"""Columns that are published beside the annotations."""


def part_path(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"part-{shard.number:05d}.parquet"


def publish_documents(shards: list[DocumentShard], folder: Path, engine: Engine) -> None:
    work = partial(_write, folder=folder)
    map_shards("documents", work, shards, partial(part_path, folder), lambda shard: shard.size, engine)


def _write(shard: DocumentShard, folder: Path) -> None:
    arrow = extra("pyarrow")
    columns = load_columns(shard, [name for name in FILTERED if name != "keep"])
    columns["keep"] = columns["reason"] == ""
    filtered = arrow.table({name: arrow.array(columns[name].tolist()) for name in FILTERED})
    # annotations that were taken from an earlier result of this run come with the columns of that result
    read = [field for field in files.schema_of(shard.path) if field.name not in FILTERED]

    def tables() -> Any:
        before = 0
        for batch in files.read_batches(shard.path, [field.name for field in read]):
            table = arrow.Table.from_batches([batch])
            for name in FILTERED:
                table = table.append_column(name, filtered[name].slice(before, len(batch)).combine_chunks())
            before += len(batch)
            yield table

    kinds = {"perplexity": arrow.float64(), "classifier": arrow.float64(), "keep": arrow.bool_()}
    fields = [*read, *(arrow.field(name, kinds.get(name, arrow.string())) for name in FILTERED)]
    files.write_tables(part_path(folder, shard), arrow.schema(fields), tables())
