"""``altiplano trace``: the longest pieces of a text that stand in a run's token shards, and where each comes from."""

from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.trace.documents import Document, Documents
from altiplano.trace.index import LEAST_TOKENS, Index, Match, open_index
from altiplano.trace.spelling import BOUNDARY
from altiplano.trace.training_order import Steps, TrainingOrder

SHOWN = 5
PLACES = 100
"""Of a match in one document whose steps are looked up: boilerplate repeats itself, and so do its steps."""

BEGINNING = 1 << 16
"""Bytes of a document in which its licence is looked for."""


@dataclass(frozen=True)
class Origin:
    """A document that a match stands in."""

    document: Document
    times: int
    """How often it stands there."""
    first_token: int
    """Of its first place there; the document's begin token is 0."""
    last_token: int
    steps: Steps | None
    """That read it; None for held-out text, and where the order of training is not known."""
    steps_of_all: bool
    """False: ``steps`` are those of its first ``PLACES`` places there."""


@dataclass(frozen=True)
class TracedMatch:
    """A match with the first documents that it stands in."""

    start: int
    """Characters of the text before it."""
    end: int
    text: str
    tokens: int
    """Whole tokens of the text within it."""
    count: int
    """How often it stands in the searched text."""
    documents: int
    """In how many documents."""
    origins: list[Origin]


@dataclass(frozen=True)
class Searched:
    """What was searched."""

    split: str
    """train or heldout."""
    index: Path
    documents: int
    tokens: int
    bytes: int
    sources_known: bool
    """Whether the curated documents that were tokenized are still there."""
    pretrained: bool
    """Whether training began with weights of another model, whose text is not searched."""
    steps_done: int
    steps: int
    """Of the whole run."""
    steps_note: str
    """Why the steps are not known; empty when they are."""


@dataclass(frozen=True)
class Trace:
    """The matches of one text in one split of a run."""

    searched: Searched
    text: str
    """As the run's tokenizer reads it."""
    tokens: int
    least_tokens: int
    matches: list[TracedMatch]

    @property
    def covered(self) -> int:
        """Characters of the text that are part of a match."""
        inside = np.zeros(len(self.text), bool)
        for match in self.matches:
            inside[match.start : match.end] = True
        return int(inside.sum())

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        plain = asdict(self) | {"covered": self.covered}
        plain["searched"]["index"] = str(self.searched.index)
        return plain


class Tracer:
    """A run's index, documents and order of training, opened for any number of texts."""

    def __init__(self, run: Path | str, split: str = "train"):
        """Raises as ``open_index``."""
        self.index: Index = open_index(run, split)
        self.documents = Documents(self.index.run, self.index.record, self.index.shards)
        self.order = TrainingOrder(self.index.run) if split == "train" else None

    def trace(self, text: str, least_tokens: int = LEAST_TOKENS, documents: int = SHOWN) -> Trace:
        """The matches of ``text``, each with the first ``documents`` documents that it stands in."""
        query = self.index.query(text)
        matches = self.index.matches(text, least_tokens)
        least = min(least_tokens, query.tokens)
        traced = [self._traced(match, query.piece(match.start, match.end), documents) for match in matches]
        return Trace(self.searched(), query.text, query.tokens, least, traced)

    def searched(self) -> Searched:
        shards, order = self.index.shards, self.order
        return Searched(
            split=self.index.record.split,
            index=self.index.folder,
            documents=sum(shard.documents for shard in shards),
            tokens=sum(shard.tokens for shard in shards),
            bytes=sum(shard.bytes for shard in shards),
            sources_known=self.documents.known,
            pretrained=order is not None and order.pretrained,
            steps_done=order.done if order else 0,
            steps=order.total if order else 0,
            steps_note=order.note if order else "",
        )

    def _traced(self, match: Match, pattern: bytes, limit: int) -> TracedMatch:
        hits = self.index.hits(pattern)
        some = islice(hits.by_document(), limit)
        origins = [self._origin(document, offsets, len(pattern)) for document, offsets in some]
        text = pattern.decode("utf-8", "replace")
        return TracedMatch(match.start, match.end, text, match.tokens, match.count, hits.distinct, origins)

    def _origin(self, document: int, offsets: NDArray[np.int64], size: int) -> Origin:
        places = self.index.places_in(document, offsets[:PLACES], size)
        text = self.index.text_of(document)[:BEGINNING].strip(BOUNDARY).decode("utf-8", "replace")
        return Origin(
            self.documents.find(places[0].shard, places[0].document, text),
            len(offsets),
            places[0].first,
            places[0].last,
            self.order.steps_of(places) if self.order is not None and not self.order.note else None,
            len(offsets) <= PLACES,
        )
