"""Cut repeated lines and stretches out of the annotated documents; what follows from their texts is measured anew."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus.annotate import measured, shard_path, word_lists
from altiplano.corpus.deduplication import repeated_lines, repeated_substrings
from altiplano.corpus.documents import Shard, numbered
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards
from altiplano.optional_imports import extra
from altiplano.recipe.schema import CorpusConfig


def cut_repeats(shards: list[Shard], corpus: CorpusConfig, steps: Path, engine: Engine) -> list[Shard]:
    """The shards as they are, or as the recipe's limits of repetition leave them, with the same documents."""
    settings = corpus.deduplication
    if settings.max_line_repeats:
        frequent = repeated_lines.find_frequent_lines(shards, settings.max_line_repeats, steps / "lines", engine)
        work = partial(_cut_lines, corpus=corpus, frequent=frequent, folder=steps / "without-lines")
        shards = _rewritten("without frequent lines", work, shards, steps / "without-lines", engine)
    if settings.min_repeat_bytes:
        found = repeated_substrings.find_repeats(shards, settings.min_repeat_bytes, steps / "repeats", engine)
        work = partial(_cut_stretches, corpus=corpus, found=found, folder=steps / "without-repeats")
        shards = _rewritten("without repeated text", work, shards, steps / "without-repeats", engine)
    return shards


def _rewritten(title: str, work: Any, shards: list[Shard], folder: Path, engine: Engine) -> list[Shard]:
    map_shards(title, work, shards, partial(_path, folder), lambda shard: shard.size, engine)
    return numbered([_path(folder, shard) for shard in shards])


def _cut_lines(shard: Shard, corpus: CorpusConfig, frequent: repeated_lines.FrequentLines, folder: Path) -> None:
    hashes = frequent.load(shard)

    def change(number: int, row: dict[str, Any]) -> str:
        return repeated_lines.without(row["text"], hashes) if row["domain"] == "web" else row["text"]

    _rewrite(shard, corpus, _path(folder, shard), change)


def _cut_stretches(shard: Shard, corpus: CorpusConfig, found: dict[int, Path], folder: Path) -> None:
    stretches = np.load(found[shard.number])

    def change(number: int, row: dict[str, Any]) -> str:
        low, high = np.searchsorted(stretches[:, 0], (number, number + 1))
        return repeated_substrings.without(row["text"], stretches[low:high, 1:]) if high > low else row["text"]

    _rewrite(shard, corpus, _path(folder, shard), change)


def _rewrite(shard: Shard, corpus: CorpusConfig, path: Path, change: Any) -> None:
    """The shard's documents with ``change(number, row)`` as their texts."""
    arrow, schema, lists = extra("pyarrow"), files.schema_of(shard.path), word_lists(corpus)

    def tables() -> Any:
        number = shard.first
        for batch in files.read_batches(shard.path, schema.names):
            rows = batch.to_pylist()
            for row in rows:
                text = change(number, row)
                if text != row["text"]:
                    again = measured(text, row["language"], row["code_language"], lists, whole=False)
                    row.update(again, text=text)
                number += 1
            yield arrow.Table.from_pylist(rows, schema)

    files.write_tables(path, schema, tables())


def _path(folder: Path, shard: Shard) -> Path:
    return shard_path(folder, shard.number)
