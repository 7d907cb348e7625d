"""Where a text stands in the token shards of a run: how often, in which documents, its longest matches.

Matches are of text, byte for byte: how a document or what is looked for was cut into tokens does not matter. None
reaches over the end of a document, and a special token matches nothing.
"""

import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from altiplano.errors import InputError
from altiplano.records import TraceIndex
from altiplano.storage import ABSENT, Damaged, read_object, write_json
from altiplano.tokens.shards import Shard
from altiplano.tokens.tokenizer import Tokenizer
from altiplano.trace.build import INDEX, index_folder, key_of, part_path, read_index, shards_of
from altiplano.trace.query import Query, Text, make_query
from altiplano.trace.spelling import BOUNDARY, Spelling
from altiplano.trace.text_part import TextPart, damaged

LEAST_TOKENS = 8
VERIFIED = "verified.json"


@dataclass(frozen=True)
class Match:
    """A piece of a text that stands in the index and is not part of a longer piece that does."""

    start: int
    """In characters of a text, or in tokens if those were given."""
    end: int
    tokens: int
    """Whole tokens of what was looked for."""
    count: int
    """How often it stands in the index; overlapping ones count."""


@dataclass(frozen=True)
class Place:
    """Where a text stands: tokens ``first`` … ``last`` of a document spell it, the outer ones perhaps only in part."""

    shard: int
    """Number in ``Index.shards``."""
    document: int
    """Number in the shard."""
    first: int
    """Counted from the document's begin token, which is 0."""
    last: int


@dataclass(frozen=True)
class Hits:
    """All occurrences of a text, in the order of documents."""

    documents: NDArray[np.int64]
    """Counted over all shards [occurrences]."""
    offsets: NDArray[np.int64]
    """Bytes from the beginning of the document, its begin token included [occurrences]."""
    size: int
    """Bytes of the text."""

    def by_document(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each document and the offsets there."""
        which, first = np.unique(self.documents, return_index=True)
        yield from zip(which.tolist(), np.split(self.offsets, first)[1:], strict=True)

    @property
    def distinct(self) -> int:
        """Documents."""
        return len(np.unique(self.documents))


class Index:
    """The index of one split of a run. Open it with ``open_index``."""

    def __init__(self, run: Path, record: TraceIndex, shards: list[Shard], parts: list[TextPart]):
        self.run, self.record, self.shards = run, record, shards
        self.tokenizer = Tokenizer.load(run / "tokenize" / "tokenizer")
        self.folder = index_folder(run, record.split)
        self._spelling = Spelling(self.tokenizer)
        self._parts = parts
        self._first_documents = np.cumsum([0, *(shard.documents for shard in shards)])

    def query(self, text: Text) -> Query:
        """``text`` as bytes, with the places where a match may begin and end."""
        return make_query(text, self.tokenizer, self._spelling)

    def count(self, text: Text) -> int:
        """How often ``text`` stands in the index; of an empty text, 0."""
        return self._count(self.query(text).data)

    def longest_match(self, text: Text, at: int = 0) -> int:
        """How many characters of ``text`` (or tokens, if those are given), from number ``at`` on, stand in the index as
        one piece. Raises ValueError for a place outside of the text."""
        query = self.query(text)
        if not 0 <= at <= query.units:
            raise ValueError(f"at = {at} is outside of a text of {query.units}")
        return self._end(query, at) - at

    def matches(self, text: Text, least_tokens: int = LEAST_TOKENS) -> list[Match]:
        """The longest pieces of ``text`` that stand in the index, in order: those of at least ``least_tokens`` whole
        tokens that are not part of a longer one. They may overlap. A shorter text is looked for as a whole."""
        query = self.query(text)
        return [
            Match(start, end, query.whole_tokens(start, end), self._count(query.piece(start, end)))
            for start, end in self._spans(query, min(least_tokens, query.tokens))
        ]

    def places(self, text: Text, limit: int | None = None) -> list[Place]:
        """Where ``text`` stands, in the order of documents; the first ``limit``."""
        hits = self.hits(self.query(text).data)
        found: list[Place] = []
        for document, offsets in hits.by_document():
            if limit is not None and len(found) >= limit:
                break
            found += self.places_in(document, offsets, hits.size)
        return found[:limit]

    def hits(self, pattern: bytes) -> Hits:
        """Where the bytes of a query, or of a piece of it, stand."""
        documents, offsets = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for (first, _), part in zip(self.record.parts, self._parts, strict=True):
            places = part.places(part.occurrences(pattern)) if _sought(pattern) else documents[0]
            own = np.searchsorted(part.begins, places, side="right") - 1
            documents.append(own + first)
            offsets.append(places - part.begins[own])
        return Hits(np.concatenate(documents), np.concatenate(offsets), len(pattern))

    def places_in(self, document: int, offsets: NDArray[np.int64], size: int) -> list[Place]:
        """Of ``size`` bytes from each of ``offsets`` on in a document, counted over all shards.

        Raises InputError when its tokens spell something else than the index has there.
        """
        shard = int(np.searchsorted(self._first_documents, document, side="right")) - 1
        number = document - int(self._first_documents[shard])
        tokens, text = self.shards[shard].document(number), self.text_of(document)
        edges = np.concatenate([[0], np.cumsum(self._spelling.sizes[tokens])])
        first = np.searchsorted(edges, offsets, side="right") - 1
        last = np.searchsorted(edges, offsets + size, side="left") - 1
        for low, high in zip(first.tolist(), last.tolist(), strict=True):
            spelt = self._spelling.spell(tokens[low : high + 1].tolist())
            if edges[-1] != len(text) or spelt != text[edges[low] : edges[high + 1]]:
                raise damaged(self.folder / INDEX, f"document {number} of {self.shards[shard].name} has another text")
        return [Place(shard, number, low, high) for low, high in zip(first.tolist(), last.tolist(), strict=True)]

    def text_of(self, document: int) -> bytes:
        """The bytes of a document, counted over all shards, with those of its begin and end tokens."""
        number = bisect_right(self.record.parts, document, key=lambda part: part[0]) - 1
        return self._parts[number].document(document - self.record.parts[number][0])

    def _count(self, pattern: bytes) -> int:
        return sum(len(part.occurrences(pattern)) for part in self._parts) if _sought(pattern) else 0

    def _occurs(self, pattern: bytes) -> bool:
        return not pattern or (BOUNDARY not in pattern and any(part.occurs(pattern) for part in self._parts))

    def _end(self, query: Query, start: int) -> int:
        """The unit at which the longest match from ``start`` on ends."""
        pattern = query.piece(start, query.units).partition(BOUNDARY)[0]
        longest = max((part.longest(pattern) for part in self._parts), default=0)
        return bisect_right(query.edges, query.edges[start] + longest) - 1

    def _spans(self, query: Query, least: int) -> Iterator[tuple[int, int]]:
        """First unit, and unit after the last, of every match.

        A match that begins later must end later, too. So each look-up either finds a match, or tells from the last
        bytes that one would need where it could begin at the earliest: most places are never looked up.
        """
        start = 0
        while start < query.units and (end := query.end_of(start, least)) is not None:
            if end > start and self._occurs(query.piece(start, end)):
                end = self._end(query, start)
                yield start, end
                end += 1
            if end > query.units:
                return
            later = range(start + 1, end)
            start = later.start + bisect_left(later, True, key=lambda at: self._occurs(query.piece(at, end)))


def open_index(run: Path | str, split: str = "train") -> Index:
    """The index of ``run``'s training text, or of its held-out text (``split`` "heldout").

    Parts that were not opened before, or that have changed since, are read whole and compared with their digests.
    Raises InputError when there is no index, it is of other token shards, or it is damaged.
    """
    run = Path(run)
    shards, folder = shards_of(run, split), index_folder(run, split)
    record = read_index(folder)
    if record is None or record.key != key_of(run, split, shards):
        which = "no index" if record is None else "an index of other token shards"
        raise InputError(f"{run} has {which}: altiplano trace {run} TEXT builds it")
    paths = [part_path(folder, number) for number in range(len(record.parts))]
    missing = [path for path in paths if not path.exists()]
    if missing:
        raise InputError(
            f"{folder} is not whole ({missing[0].name} is missing): altiplano trace {run} TEXT completes it"
        )
    parts = [TextPart(path, bytes.fromhex(record.key)) for path in paths]
    _verify(folder, parts)
    return Index(run, record, shards, parts)


def _verify(folder: Path, parts: list[TextPart]) -> None:
    try:
        known = read_object(folder / VERIFIED)
    except (*ABSENT, Damaged):  # all are verified again
        known = {}
    now = {part.path.name: [(stat := part.path.stat()).st_size, stat.st_mtime_ns] for part in parts}
    changed = [part for part in parts if known.get(part.path.name) != now[part.path.name]]
    for part in changed:
        part.verify()
    if changed and os.access(folder, os.W_OK):
        write_json(folder / VERIFIED, now)


def _sought(pattern: bytes) -> bool:
    return bool(pattern) and BOUNDARY not in pattern
