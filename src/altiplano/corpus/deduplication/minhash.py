"""Nearly the same text: MinHash signatures of word n-grams, and the keys of locality-sensitive hashing.

Documents whose signatures agree on all rows of a band are candidates: with 14 bands of 8 rows half of the pairs with
Jaccard similarity 0.72 are. ``edges.py`` confirms a pair only when the whole signatures agree well enough (an estimate
from 112 hashes has a standard error of 0.045).

Words are those of ``words.py``: folded, without punctuation, and one a character in scripts without spaces.
"""

from collections.abc import Iterable

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import DocumentShard, texts
from altiplano.corpus.words import BASE, mix, ngram_hashes, word_hashes
from altiplano.recipe.schema import DeduplicationConfig

Signatures = NDArray[np.uint32]


def signatures(
    shard: DocumentShard, rows: NDArray[np.int64], settings: DeduplicationConfig
) -> tuple[NDArray[np.int64], Signatures]:
    """``(rows, signatures)`` of those of the given rows of a shard, ascending, that have enough words for an n-gram."""
    signed, values = sign(texts(shard, rows), settings)
    return rows[signed], values


def sign(documents: Iterable[str], settings: DeduplicationConfig) -> tuple[NDArray[np.int64], Signatures]:
    """Places of those texts that have a whole n-gram, and their signatures [documents, hashes].

    Hash ``i`` of an n-gram is ``a[i] * x + b[i]`` modulo 2**32 of its 32 well-mixed bits ``x``, with odd ``a[i]``.
    """
    size = settings.bands * settings.rows
    factors, terms = mix(np.arange(1, 2 * size + 1, dtype=np.uint64)).astype(np.uint32).reshape(2, size)
    factors |= np.uint32(1)
    places: list[int] = []
    found: list[Signatures] = [np.zeros((0, size), np.uint32)]
    for place, text in enumerate(documents):
        grams = ngram_hashes(word_hashes(text), settings.ngram)
        if len(grams):
            places.append(place)
            found.append(_minima(grams, factors, terms)[None])
    return np.array(places, np.int64), np.concatenate(found)


@numba.njit(cache=True)
def _minima(grams, factors, terms):  # type: ignore[no-untyped-def]
    least = np.full(len(factors), np.uint32(0xFFFFFFFF), np.uint32)
    for gram in grams:
        x = np.uint32(gram >> np.uint64(32))
        for i in range(len(factors)):
            least[i] = min(least[i], np.uint32(x * factors[i] + terms[i]))
    return least


def band_keys(values: Signatures, settings: DeduplicationConfig) -> NDArray[np.uint64]:
    """``[documents, bands]``: one 64-bit hash of the band's number and its rows."""
    bands = values.reshape(len(values), settings.bands, settings.rows).astype(np.uint64)
    keys = np.broadcast_to(mix(np.arange(1, settings.bands + 1, dtype=np.uint64)), bands.shape[:2]).copy()
    for row in range(settings.rows):
        keys = mix(keys * np.uint64(BASE) + bands[:, :, row])
    return keys
