"""A perplexity model in one file, read through the page cache: a model larger than memory can be used.

Layout: a line of JSON, padding, then per order the keys (uint64), log probabilities and log back-offs, each at a
multiple of 64 bytes. Exact values are float64; quantised ones are one byte each, the place in a table of 256 means
(kenlm's ``-q 8``): 10 bytes for an n-gram where exact values take 24.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.perplexity.ngram_model import NgramModel

ALIGN = 64
HEADER = 4096
LEVELS = 256


class Quantised(NamedTuple):
    """Values as places in a table."""

    places: NDArray[np.uint8]
    table: NDArray[np.float64]

    def at(self, index: Any) -> Any:
        return self.table[self.places[index]]


def quantise(values: NDArray[np.float64]) -> Quantised:
    """Bins of equally many values, each standing for its mean; zero (no back-off) keeps a place of its own."""
    zero = values == 0
    other = np.sort(values[~zero & np.isfinite(values)])
    parts = np.array_split(other, min(LEVELS - 2, max(len(other), 1)))
    means = np.array([part.mean() for part in parts if len(part)])
    table = np.unique(np.concatenate(([0.0], means)))
    edges = (table[1:] + table[:-1]) / 2
    places = np.searchsorted(edges, values).astype(np.uint8)
    places[zero] = np.searchsorted(table, 0.0)
    return Quantised(places, table)


def save(model: NgramModel, path: Path, quantised: bool = False) -> None:
    columns = [(key, p, b) for key, p, b in zip(model.keys, model.log_probability, model.log_backoff, strict=True)]
    tables: list[list[list[float]]] = []
    with path.open("wb") as stream:
        stream.write(b"\0" * HEADER)
        for key, *values in columns:
            _write(stream, key)
            stored = [quantise(value) for value in values] if quantised else []
            for array in [q.places for q in stored] if quantised else values:
                _write(stream, array)
            tables.append([q.table.tolist() for q in stored])
        begin = stream.tell()
        about = {"lengths": [len(key) for key in model.keys], "unknown": model.log_unknown, "tables": tables}
        stream.write(json.dumps(about).encode())
        stream.seek(0)
        stream.write(json.dumps({"format": "altiplano perplexity 1", "about": begin}).encode() + b"\n")


def load(path: Path) -> NgramModel:
    """Memory-mapped; nothing is read but what scoring looks up."""
    with path.open("rb") as stream:
        begin = json.loads(stream.readline())["about"]
        stream.seek(begin)
        about = json.loads(stream.read())
    data = np.memmap(path, np.uint8, "r")
    at = HEADER
    keys, columns = [], []
    for length, tables in zip(about["lengths"], about["tables"], strict=True):
        kinds: list[Any] = [np.uint64, *([np.uint8] * 2 if tables else [np.float64] * 2)]
        arrays = []
        for kind in kinds:
            size = length * np.dtype(kind).itemsize
            arrays.append(data[at : at + size].view(kind))
            at += -(-size // ALIGN) * ALIGN
        keys.append(arrays[0])
        columns.append(
            [Quantised(places, np.array(table)) for places, table in zip(arrays[1:], tables, strict=True)]
            if tables
            else arrays[1:]
        )
    return NgramModel(tuple(keys), tuple(c[0] for c in columns), tuple(c[1] for c in columns), about["unknown"])


def _write(stream: BinaryIO, array: NDArray[Any]) -> None:
    stream.write(np.ascontiguousarray(array).tobytes())
    stream.write(b"\0" * (-stream.tell() % ALIGN))
