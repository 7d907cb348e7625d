"""Which curated document a document of the token shards is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus.readers.formats import licence
from altiplano.execution import files
from altiplano.records import TraceIndex
from altiplano.tokens.shards import Shard
from altiplano.trace.build import curate_hash

WANTED = ("id", "source", "url", "bytes")
LICENCES = ("licence", "license")
"""Columns of an annotator that say so."""

REMEMBERED = 256
"""Files whose rows are not looked for again: matches of one text often come from the same few."""


@dataclass(frozen=True)
class Document:
    """A document of a run. None: not known."""

    shard: str
    """Such as web.en, or heldout/web.en."""
    number: int
    """In the shard."""
    domain: str
    language: str
    id: str | None = None
    source: str | None = None
    """Its name in the recipe."""
    url: str | None = None
    licence: str | None = None
    """An SPDX identifier: of the column ``licence`` of the curated documents, else what the document's own beginning
    says."""


class Documents:
    """Finds curated documents by their place in the token shards: within a domain and language both are in one
    order."""

    def __init__(self, run: Path, index: TraceIndex, shards: Sequence[Shard]):
        self.folder, self.split, self.files = run / "curate" / "documents", index.split, index.files
        same = bool(index.curate) and index.curate == curate_hash(run)
        self.known = same and all((self.folder / file.name).exists() for file in self.files)
        """Whether the curated documents that were tokenized are still there."""
        self._shards = shards
        self._rows_of = lru_cache(REMEMBERED)(self._rows)
        seen: Counter[str] = Counter()
        self._before: list[int] = []
        for shard in shards:
            self._before.append(seen[shard.name])
            seen[shard.name] += shard.documents

    def find(self, shard: int, number: int, text: str) -> Document:
        """Document ``number`` of a shard, whose text is ``text``."""
        of = self._shards[shard]
        name = of.path.name if of.split == "train" else f"{of.split}/{of.path.name}"
        row = self._row(of, self._before[shard] + number) if self.known else None
        if row is None or row["bytes"] != int(of.document_bytes[number]):
            return Document(name, number, of.domain, of.language, licence=_stated(text))
        said = next((str(row[column]) for column in LICENCES if row.get(column)), None)
        return Document(
            name, number, of.domain, of.language, row["id"], row["source"], row["url"] or None, said or _stated(text)
        )

    def _row(self, shard: Shard, number: int) -> dict[str, Any] | None:
        """Of document ``number`` of the shard's domain and language, counted over all its shards."""
        for file in self.files:
            here = file.documents.get(shard.name, 0)
            if number < here:
                row = int(self._rows_of(file.name, shard.domain, shard.language)[number])
                return files.read_row(self.folder / file.name, row, self._columns)
            number -= here
        return None

    def _rows(self, file: str, domain: str, language: str) -> np.ndarray:
        """Which rows of a file are in a group."""
        table = files.read_table(self.folder / file, ["domain", "language", "split"])
        wanted = {"domain": domain, "language": language, "split": self.split}
        columns = [np.array(table[name].to_pylist(), object) == value for name, value in wanted.items()]
        return np.flatnonzero(np.logical_and.reduce(columns))

    @cached_property
    def _columns(self) -> list[str]:
        there = set(files.schema_of(self.folder / self.files[0].name).names)
        return [*WANTED, *(name for name in LICENCES if name in there)]


def _stated(text: str) -> str | None:
    found = licence.declared(text) or licence.detect(text)
    return None if found == licence.UNKNOWN else found
