"""What was asked and said: Parquet files of ``PORTION`` prompts, each published whole, personal data masked.

A killed run goes on after the last portion. The same plan gives the same portions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from altiplano.corpus.pii.detect import redact
from altiplano.optional_imports import extra
from altiplano.storage import listed, publish

TRANSCRIPT = "transcript"
PORTION = 512
"""Prompts that are lost when the machine is switched off."""
SHOWN = 1200
"""Characters of a prompt or an output that are kept."""


@dataclass(frozen=True)
class Asked:
    """One prompt, what the model said, and whether it and the controls were hits."""

    id: str
    """Of the prompt and the output: what labels of people refer to."""
    probe: str
    hazard: str
    mode: str
    language: str
    group: str
    prompt: str
    output: str
    score: float
    hit: bool
    blank: bool
    echo: bool
    bigram: bool
    cut: bool
    """Whether the prompt lost its beginning."""
    error: str = ""
    """What broke the detector."""


def fit_to_show(text: str, language: str) -> str:
    """Without personal data, control characters, and the end of a long text."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "�", redact(text, language)[0])[:SHOWN]


def portion_file(folder: Path, number: int) -> Path:
    return folder / TRANSCRIPT / f"{number:06d}.parquet"


def write_portion(file: Path, rows: Sequence[Asked]) -> None:
    """Publish the file: whole or not at all."""
    arrow, parquet = extra("pyarrow", "redteam", "red-teaming"), extra("pyarrow.parquet", "redteam", "red-teaming")
    kinds: dict[Any, Any] = {str: arrow.string(), float: arrow.float64(), bool: arrow.bool_()}
    schema = arrow.schema([(one.name, kinds[one.type]) for one in fields(Asked)])
    table = arrow.Table.from_pylist([asdict(row) for row in rows], schema=schema)
    publish(file, lambda temporary: parquet.write_table(table, temporary, compression="zstd"))


def read_transcript(folder: Path) -> list[Asked]:
    """All that was asked so far, in order."""
    return [row for file in listed(folder / TRANSCRIPT, "*.parquet") for row in _read(file)]


def _read(file: Path) -> Iterator[Asked]:
    parquet = extra("pyarrow.parquet", "redteam", "red-teaming")
    for row in parquet.read_table(file).to_pylist():
        yield Asked(**row)
