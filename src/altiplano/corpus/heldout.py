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


def is_held_out(document_hashes: NDArray[Any], groups: NDArray[Any], settings: Heldout) -> NDArray[np.bool_]:
    """For kept documents: which ones are set aside. Groups below twice ``min_documents`` give none."""
    place = np.array([int(value[:16], 16) / 2.0**64 for value in document_hashes])
    chosen = np.zeros(len(groups), bool)
    for group in np.unique(groups) if len(groups) else ():
        members = np.flatnonzero(groups == group)
        if len(members) < 2 * settings.min_documents:
            continue
        lowest = np.sort(place[members])[settings.min_documents - 1]
        chosen[members] = place[members] <= max(settings.fraction, lowest)
        if chosen[members].all():
            chosen[members] = False  # pieces of one document: nothing would be left to train on
    return chosen


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
