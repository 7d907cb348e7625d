"""Remove repeated lines and substrings from the annotated documents, and annotate what is left of their texts."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus.annotate import measured, shard_path, word_lists
from altiplano.corpus.deduplication import repeated_lines, repeated_substrings
from altiplano.corpus.documents import DocumentShard, numbered
from altiplano.corpus.extensions import Extensions
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.optional_imports import extra
from altiplano.recipe.schema import CorpusConfig


def remove_repeated_text(
    shards: list[DocumentShard], corpus: CorpusConfig, extensions: Extensions, steps: Path, engine: Engine
) -> list[DocumentShard]:
    """The shards as they are, or as the recipe's limits of repetition leave them, with the same documents."""
    settings, rewrite = corpus.deduplication, partial(_rewrite, corpus=corpus, extensions=extensions)
    if settings.max_line_repeats:
        frequent = repeated_lines.find_frequent_lines(shards, settings.max_line_repeats, steps / "lines", engine)
        work = partial(_remove_lines, rewrite=rewrite, frequent=frequent, folder=steps / "without-lines")
        shards = _rewritten("without frequent lines", work, shards, steps / "without-lines", engine)
    if settings.min_repeat_bytes:
        found = repeated_substrings.find_repeats(shards, settings.min_repeat_bytes, steps / "repeats", engine)
        work = partial(_remove_substrings, rewrite=rewrite, found=found, folder=steps / "without-repeats")
        shards = _rewritten("without repeated text", work, shards, steps / "without-repeats", engine)
    return shards


def _rewritten(title: str, work: Any, shards: list[DocumentShard], folder: Path, engine: Engine) -> list[DocumentShard]:
    map_shards(title, work, shards, partial(_path, folder), lambda shard: shard.size, engine)
    return numbered([_path(folder, shard) for shard in shards])


def _remove_lines(shard: DocumentShard, rewrite: Any, frequent: repeated_lines.FrequentLines, folder: Path) -> None:
    hashes = frequent.load(shard)

    def change(number: int, row: dict[str, Any]) -> str:
        return repeated_lines.without(row["text"], hashes) if row["domain"] == "web" else row["text"]

    rewrite(shard, _path(folder, shard), change)


def _remove_substrings(shard: DocumentShard, rewrite: Any, found: dict[int, Path], folder: Path) -> None:
    spans = np.load(found[shard.number])

    def change(number: int, row: dict[str, Any]) -> str:
        low, high = np.searchsorted(spans[:, 0], (number, number + 1))
        return repeated_substrings.without(row["text"], spans[low:high, 1:]) if high > low else row["text"]

    rewrite(shard, _path(folder, shard), change)


def _rewrite(shard: DocumentShard, path: Path, change: Any, corpus: CorpusConfig, extensions: Extensions) -> None:
    """The shard's documents with ``change(number, row)`` as their texts."""
    arrow, schema, lists = extra("pyarrow"), files.schema_of(shard.path), word_lists(corpus)

    def tables() -> Any:
        number = shard.first
        for batch in files.read_batches(shard.path, schema.names):
            rows = batch.to_pylist()
            for row in rows:
                text = change(number, row)
                if text != row["text"]:
                    again = measured(text, row["language"], row["code_language"], lists, extensions, whole=False)
                    row.update(again, text=text)
                number += 1
            yield arrow.Table.from_pylist(rows, schema)

    files.write_tables(path, schema, tables())


def _path(folder: Path, shard: DocumentShard) -> Path:
    return shard_path(folder, shard.number)
