"""The decided documents as Parquet parts, sorted by id."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus import files
from altiplano.corpus.columns import Columns
from altiplano.corpus.engine import Pool, map_shards
from altiplano.corpus.extras import extra

DECIDED = ("id", "perplexity", "bucket", "cluster", "keep", "reason", "split")
"""Columns added to those of the shards."""

PART_BYTES = 64 * 2**20
"""Text per part."""


@dataclass(frozen=True)
class PartTask:
    """Documents whose ids are between two, inclusive."""

    path: Path
    low: str
    high: str
    decisions: Path
    shards: tuple[Path, ...]
    size: int


def publish_documents(columns: Columns, shards: list[Path], folder: Path, steps: Path, pool: Pool) -> None:
    """``columns`` has ``perplexity``, ``cluster``, ``keep``, ``reason`` and ``split`` by now."""
    arrow = extra("pyarrow")
    order = np.argsort(columns["id"])
    decided = {name: arrow.array(columns[name][order].tolist()) for name in DECIDED}
    decisions = steps / "decisions.parquet"
    files.write_table(decisions, arrow.table(decided))
    number = np.cumsum(columns["bytes"][order]) // PART_BYTES
    tasks = []
    for part, value in enumerate(np.unique(number)):
        ids, sizes = columns["id"][order][number == value], columns["bytes"][order][number == value]
        path = folder / f"part-{part:05d}.parquet"
        tasks.append(PartTask(path, ids[0], ids[-1], decisions, tuple(shards), int(sizes.sum())))
    map_shards("documents", _write, tasks, lambda task: task.path, lambda task: task.size, pool)


def _write(task: PartTask) -> None:
    arrow, compute = extra("pyarrow"), extra("pyarrow.compute")
    wanted = (compute.field("id") >= task.low) & (compute.field("id") <= task.high)
    documents = arrow.concat_tables([files.read_table(shard, filters=wanted) for shard in task.shards]).sort_by("id")
    decisions = files.read_table(task.decisions, filters=wanted)
    assert decisions["id"].equals(documents["id"])
    for name in decisions.column_names[1:]:
        documents = documents.append_column(name, decisions[name])
    files.write_table(task.path, documents.combine_chunks())


def publish_personal_data(parts: list[Path], path: Path) -> None:
    """Every shard's hashes of removed values, sorted."""
    table: Any = extra("pyarrow").concat_tables([files.read_table(part) for part in parts])
    keys = [(name, "ascending") for name in ("document", "kind", "hash")]
    files.write_table(path, table.sort_by(keys).combine_chunks())
