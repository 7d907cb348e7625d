"""The decided documents as Parquet, one part per shard."""

from functools import partial
from pathlib import Path
from typing import Any

from altiplano.corpus.annotate import COLUMNS
from altiplano.corpus.documents import Shard
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards
from altiplano.corpus.filtered import Rules, decide
from altiplano.corpus.splits import Split
from altiplano.optional_imports import extra

DECIDED = ("perplexity", "bucket", "cluster", "keep", "reason", "split")
"""Columns added to those of the shards."""


def part_path(folder: Path, shard: Shard) -> Path:
    return folder / f"part-{shard.number:05d}.parquet"


def publish_documents(shards: list[Shard], rules: Rules, split: Split, folder: Path, engine: Engine) -> None:
    work = partial(_write, rules=rules, split=split, folder=folder)
    map_shards("documents", work, shards, partial(part_path, folder), lambda shard: shard.size, engine)


def _write(shard: Shard, rules: Rules, split: Split, folder: Path) -> None:
    arrow = extra("pyarrow")
    columns = decide(shard, rules)
    split.apply(shard, columns)
    decided = arrow.table({name: arrow.array(columns[name].tolist()) for name in DECIDED})

    def tables() -> Any:
        before = 0
        for batch in files.read_batches(shard.path, list(COLUMNS)):
            table = arrow.Table.from_batches([batch])
            for name in DECIDED:
                table = table.append_column(name, decided[name].slice(before, len(batch)).combine_chunks())
            before += len(batch)
            yield table

    kinds = {"perplexity": arrow.float64(), "keep": arrow.bool_()}
    read = [field for field in files.schema_of(shard.path) if field.name in COLUMNS]
    fields = [*read, *(arrow.field(name, kinds.get(name, arrow.string())) for name in DECIDED)]
    files.write_tables(part_path(folder, shard), arrow.schema(fields), tables())
