"""Text in common between held-out documents and training, by 13-grams of words."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import U64, ngram_hashes, word_hashes

NGRAM = 13
"""Words (GPT-3's and Llama's decontamination length)."""

MAX_OVERLAP = 0.5
"""Share of a held-out document's n-grams that training may contain."""


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
