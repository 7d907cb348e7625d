"""Data files as rows: JSON lines, JSON, Parquet, CSV, and compressed ones."""

import csv
import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from altiplano.errors import InputError
from altiplano.optional_imports import extra

MAX_ROWS = 1_000_000
"""A benchmark has thousands; whoever names a training set by mistake learns it before the memory is full."""
SUFFIXES = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".csv.gz")


def read_rows(file: Path) -> tuple[list[dict[str, Any]], int]:
    """The rows, and how many lines were none. Raises InputError when the file cannot be read or is no benchmark."""
    if not file.is_file():
        raise InputError(f"{file} is not there: benchmark data is read from files, nothing is fetched")
    name = file.name.removesuffix(".gz")
    rows: list[dict[str, Any]] = []
    broken = 0
    try:
        for row in _parquet(file) if name.endswith(".parquet") else _text(file, name):
            if row is None:
                broken += 1
            else:
                rows.append(row)
            if len(rows) + broken > MAX_ROWS:
                raise InputError(
                    f"{file} has more than {MAX_ROWS:,} rows: that is no benchmark; cut it to those to ask"
                )
    except (UnicodeDecodeError, json.JSONDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    if not rows:
        raise InputError(f"{file} has no rows" + (f": {broken:,} lines are not JSON objects" if broken else ""))
    return rows, broken


def _text(file: Path, name: str) -> Iterator[dict[str, Any] | None]:
    opened: IO[str]
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as opened:
        if name.endswith((".csv", ".tsv")):
            csv.field_size_limit(sys.maxsize)
            yield from csv.DictReader(opened, delimiter="\t" if name.endswith(".tsv") else ",")
        elif name.endswith(".json"):
            found = json.load(opened)
            listed = next((v for v in found.values() if isinstance(v, list)), []) if isinstance(found, dict) else found
            yield from (row if isinstance(row, dict) else None for row in listed)
        else:
            for line in opened:
                if line.strip():
                    yield _object(line)


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _parquet(file: Path) -> Iterator[dict[str, Any]]:
    parquet = extra("pyarrow.parquet", "analysis", "Parquet")
    try:
        for batch in parquet.ParquetFile(file).iter_batches(1024):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:  # ArrowInvalid is a ValueError
        raise InputError(f"{file} cannot be read: {error}") from error
