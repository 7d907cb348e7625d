"""Decontamination: training documents that contain a benchmark's text are dropped.

A benchmark's item is a line of a text file, or the strings of a JSON line. A document that has more than half of its
13-grams (of a shorter item, all of its words in a row) contains it.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.execution import files
from altiplano.corpus.splits.overlap import NGRAM
from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig

MIN_WORDS = 8
"""Shorter items are in many documents by chance."""

MAX_SHARE = 0.5
"""Of an item's n-grams, that a training document may contain."""


def write_benchmark_ngrams(corpus: CorpusConfig, folder: Path) -> Path | None:
    """Write the n-grams of every item: [3, n-grams] hash, item and length, ascending. None without benchmarks.

    Raises InputError when a pattern matches no file.
    """
    if not corpus.benchmarks:
        return None
    path = folder / "benchmarks.npy"
    if path.exists():
        return path
    rows: list[U64] = []
    item = 0
    for pattern in corpus.benchmarks:
        found = sorted(corpus.root.glob(pattern))
        if not found:
            raise InputError(f"corpus.benchmarks: {pattern!r} matches no file under {corpus.root}")
        for file in found:
            for text in _items(file):
                words = word_hashes(text)
                if len(words) >= MIN_WORDS:
                    length = min(NGRAM, len(words))
                    grams = np.unique(ngram_hashes(words, length))
                    rows.append(np.stack((grams, np.full_like(grams, item), np.full_like(grams, length))))
                    item += 1
    merged = np.concatenate([np.zeros((3, 0), np.uint64), *rows], axis=1)
    files.save_array(path, merged[:, np.lexsort((merged[1], merged[0]))])
    return path


def found_in(path: Path, texts: Iterable[str]) -> NDArray[np.bool_]:
    """Which texts hold an item."""
    grams, items, lengths = np.load(path)
    total = np.bincount(items.astype(np.int64))
    sizes = np.unique(lengths).tolist()
    found = []
    for text in texts:
        words = word_hashes(text)
        here = np.unique(np.concatenate([ngram_hashes(words, int(length)) for length in sizes] or [words[:0]]))
        hits = items[np.isin(grams, here)].astype(np.int64)
        found.append(bool((np.bincount(hits, minlength=len(total)) > MAX_SHARE * total).any()))
    return np.array(found, bool)


def _items(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not file.name.endswith(".jsonl"):
                yield line
                continue
            try:
                yield " ".join(_strings(json.loads(line)))
            except json.JSONDecodeError as error:
                raise InputError(f"corpus.benchmarks: {file} line {number} is no JSON: {error.msg}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)
