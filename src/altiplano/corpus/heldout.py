"""Documents set aside for evaluation, per domain × language, by hash of their text.

A document whose hash falls into the lowest ``fraction`` of all hashes is held out: the same one in every run, however
the corpus grows. A group with fewer than ``min_documents`` of them is filled up with its next lowest hashes. This
happens after deduplication, so that no held-out document has a near duplicate in training; the pieces of a long
document share its hash and stay together. What is left to find is text in common: a held-out document with half of
its 13-grams in training is dropped.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.recipe.schema import Heldout

NGRAM = 13
"""Words (GPT-3's and Llama's decontamination length)."""

MAX_OVERLAP = 0.5
"""Share of a held-out document's n-grams that training may contain."""


def place(document_hashes: NDArray[Any]) -> NDArray[np.float64]:
    """Where each hash lies among all hashes, from 0 to 1."""
    return np.array([int(value[:16], 16) / 2.0**64 for value in document_hashes])


class Chooser:
    """Finds, shard by shard, up to which place each domain × language is held out. Remembers a few places of each."""

    def __init__(self, settings: Heldout):
        self.settings = settings
        self.lowest: dict[str, NDArray[np.float64]] = {}
        self.highest: dict[str, float] = {}

    def add(self, document_hashes: NDArray[Any], groups: NDArray[Any]) -> None:
        """Kept documents."""
        places = place(document_hashes)
        for group in np.unique(groups.astype(str)) if len(groups) else ():
            here = places[groups == group]
            merged = np.sort(np.concatenate((self.lowest.get(group, here[:0]), here)))
            self.lowest[str(group)] = merged[: 2 * self.settings.min_documents]
            self.highest[str(group)] = max(self.highest.get(group, 0.0), float(here.max()))

    def places(self) -> dict[str, float]:
        """The largest held-out place per group; groups below twice ``min_documents`` have none."""
        found = {}
        for group, lowest in self.lowest.items():
            if len(lowest) < 2 * self.settings.min_documents:
                continue
            largest = max(self.settings.fraction, float(lowest[self.settings.min_documents - 1]))
            if largest < self.highest[group]:  # else all are pieces of one document
                found[group] = largest
        return found


def ngrams_of(texts: Iterable[str]) -> tuple[U64, NDArray[np.int64]]:
    """The distinct n-grams of each text, end to end, and the number of the text that each belongs to."""
    grams = [np.unique(ngram_hashes(word_hashes(text), NGRAM)) for text in texts]
    owners = np.repeat(np.arange(len(grams)), [len(g) for g in grams])
    return (np.concatenate(grams) if grams else np.zeros(0, np.uint64)), owners


def seen_in(grams: U64, texts: Iterable[str]) -> U64:
    """Which of the n-grams (ascending, distinct) occur in the texts."""
    found = [np.zeros(0, np.uint64)]
    for text in texts:
        here = ngram_hashes(word_hashes(text), NGRAM)
        at = np.minimum(np.searchsorted(grams, here), len(grams) - 1)
        found.append(here[grams[at] == here] if len(grams) else here[:0])
    return np.unique(np.concatenate(found))


def overlaps(grams: U64, owners: NDArray[np.int64], texts: int, seen: U64) -> NDArray[np.float64]:
    """For each held-out text the share of its n-grams that training contains; 0 for a text without n-grams."""
    hits = np.bincount(owners, np.isin(grams, seen), texts)
    return hits / np.maximum(np.bincount(owners, minlength=texts), 1)
