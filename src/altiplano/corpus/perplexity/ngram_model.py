"""Perplexity under an interpolated modified Kneser-Ney model over words, in vectorised NumPy.

Chen and Goodman (1999), as lmplz estimates it: adjusted (continuation) counts below the highest order, one discount for
counts 1, 2 and 3+, interpolation down to a uniform distribution over the vocabulary and the unknown word.

Words are the 64-bit hashes of ``words.py`` (letters folded, digits read as 0, one per character where no spaces are
written): no vocabulary file, no segmenter, any language. An n-gram is the hash of its words, so each order is a sorted
array of keys beside its log probabilities; a lookup is an interpolation search.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import BASE, U64, mix

BEGIN, END = np.uint64(1), np.uint64(2)
"""Marks around a document; no word hashes to them, but for a chance of 2**-63."""

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts when too few n-grams occur once to four times to estimate them (lmplz --discount_fallback)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NgramModel:
    """Per order: n-gram keys in ascending order, natural-log probabilities, and log back-off weights as contexts.

    ``words[k]``, if kept, are the hashes of each n-gram's k + 1 words, ``[n-grams, k + 1]``: what an ARPA file spells.
    """

    keys: tuple[U64, ...]
    log_probability: tuple[Any, ...]
    log_backoff: tuple[Any, ...]
    log_unknown: float
    words: tuple[U64, ...] = ()


@dataclass(frozen=True)
class _Text:
    """Documents end to end with their marks. ``hashes[k][i]`` is the key of the k words from i; ``end[i]`` i's end."""

    words: U64
    end: NDArray[np.int64]
    hashes: list[U64]

    def starts(self, order: int) -> NDArray[np.int64]:
        """Where an n-gram of that order fits inside its document."""
        positions = np.arange(len(self.words))
        return positions[positions + order <= self.end]


def _lay_out(documents: list[U64], order: int) -> _Text:
    lengths = np.array([len(document) + 2 for document in documents], np.int64)
    ends = np.cumsum(lengths)
    words = np.empty(int(lengths.sum()), np.uint64)
    for document, stop in zip(documents, ends, strict=True):
        words[stop - len(document) - 2] = BEGIN
        words[stop - len(document) - 1 : stop - 1] = document
        words[stop - 1] = END
    hashes = [np.zeros(len(words), np.uint64)]
    for k in range(1, order + 1):
        following = np.concatenate((words[k - 1 :], np.zeros(min(k - 1, len(words)), np.uint64)))
        hashes.append(mix(hashes[-1] * np.uint64(BASE) + following))
    return _Text(words, np.repeat(ends, lengths), hashes)


def train(documents: list[U64], order: int, min_counts: tuple[int, ...] = (1,), keep_words: bool = False) -> NgramModel:
    """A model of the given order; every document is one sequence.

    An n-gram of k words that occurs fewer than ``min_counts[k - 1]`` times is left out and its mass goes to the
    back-off, as lmplz ``--prune`` does; the last entry repeats, single words always stay. ``keep_words`` is for
    ``arpa.py``. Raises ValueError when a longer n-gram has the lower minimum: it would stand without its parts.
    """
    least = [1, *(min_counts[min(k, len(min_counts) - 1)] for k in range(1, order))]
    if sorted(least) != least:
        raise ValueError(f"min_counts must not fall with the order: {least}")
    text = _lay_out(documents, order)
    keys: list[U64] = []
    first: list[NDArray[np.int64]] = []
    counts: list[NDArray[np.int64]] = []
    kept: list[NDArray[np.bool_]] = []
    for k in range(1, order + 1):
        starts = text.starts(k)
        found, index, number = np.unique(text.hashes[k][starts], return_index=True, return_counts=True)
        keys.append(found)
        first.append(starts[index])
        counts.append(number.astype(np.int64))
        kept.append(number >= least[k - 1])
    begins = [text.words[index] == BEGIN for index in first]
    for k in range(order - 1):  # below the top a count is the number of distinct words seen before the n-gram
        suffixes = np.searchsorted(keys[k], text.hashes[k + 1][first[k + 1] + 1])
        before = np.bincount(suffixes, minlength=len(keys[k]))
        counts[k] = np.where(begins[k], counts[k], before)  # nothing precedes the begin mark

    probability: list[Floats] = []
    backoff: list[Floats] = []
    unknown = 0.0
    for k in range(order):
        if k == 0:
            counts[0] = np.where(begins[0], 0, counts[0])  # the begin mark is given, never predicted
        discount = _discounts(counts[k])[np.minimum(counts[k], 3)]
        if k == 0:
            total = max(int(counts[0].sum()), 1)
            unknown = float(discount.sum()) / total / (len(keys[0]) + 1 - bool(begins[0].any()))
            probability.append((counts[0] - discount) / total + unknown)
            continue
        context = np.searchsorted(keys[k - 1], text.hashes[k][first[k]])
        total_by_context = np.bincount(context, counts[k], len(keys[k - 1]))
        removed = np.where(kept[k], discount, counts[k])  # the whole count of a pruned n-gram goes to the back-off
        freed = np.bincount(context, removed, len(keys[k - 1])) / np.maximum(total_by_context, 1)
        backoff.append(np.where(total_by_context > 0, freed, 1.0))
        lower = probability[k - 1][np.searchsorted(keys[k - 1], text.hashes[k][first[k] + 1])]
        probability.append((counts[k] - discount) / total_by_context[context] + freed[context] * lower)
    backoff.append(np.ones(len(keys[-1])))
    with np.errstate(divide="ignore"):  # a model of a handful of words may leave nothing for the unknown one
        logs = [
            tuple(np.log(values[stays]) for values, stays in zip(column, kept, strict=True))
            for column in (probability, backoff)
        ]
        log_unknown = float(np.log(unknown)) if unknown else float("-inf")
    grams = [
        text.words[index[stays, None] + np.arange(k + 1)]
        for k, (index, stays) in enumerate(zip(first, kept, strict=True))
    ]
    remaining = tuple(key[stays] for key, stays in zip(keys, kept, strict=True))
    return NgramModel(remaining, logs[0], logs[1], log_unknown, tuple(grams) if keep_words else ())


def _discounts(counts: NDArray[np.int64]) -> Floats:
    """``D[c]`` for a count of c, 3 standing for more; Chen and Goodman's closed-form estimate."""
    once, twice, thrice, four = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if min(once, twice, thrice, four) == 0:
        return np.array([0.0, *FALLBACK])
    y = once / (once + 2 * twice)
    estimate = np.array([0.0, 1 - 2 * y * twice / once, 2 - 3 * y * thrice / twice, 3 - 4 * y * four / thrice])
    usable = (estimate[1:] > 0).all() and (estimate[1:] <= [1, 2, 3]).all()
    return estimate if usable else np.array([0.0, *FALLBACK])


def perplexities(model: NgramModel, documents: list[U64]) -> Floats:
    """``exp(-mean log p)`` over each document's words and its end mark."""
    if not documents:
        return np.zeros(0)
    order = len(model.keys)
    text = _lay_out(documents, order)
    begin = text.words == BEGIN
    start = np.maximum.accumulate(np.where(begin, np.arange(len(begin)), 0))
    log_p = np.zeros(len(begin))
    open_ = np.flatnonzero(~begin)  # words not yet found at some order
    for k in range(order, 0, -1):
        fits = open_[open_ - k + 1 >= start[open_]]
        index, found = _look_up(model.keys[k - 1], text.hashes[k][fits - k + 1])
        log_p[fits[found]] += _take(model.log_probability[k - 1], index[found])
        missed = fits[~found]
        if k > 1:
            index, known = _look_up(model.keys[k - 2], text.hashes[k - 1][missed - k + 1])
            log_p[missed[known]] += _take(model.log_backoff[k - 2], index[known])
        else:
            log_p[missed] += model.log_unknown
        done = np.zeros(len(begin), bool)
        done[fits[found]] = True
        open_ = open_[~done[open_]]
    sums = np.add.reduceat(log_p, np.flatnonzero(begin))
    return np.exp(-sums / np.array([len(document) + 1 for document in documents]))


def _take(column: Any, index: NDArray[np.int64]) -> Any:
    """Values of an array, or of a quantised column of ``model_file.py``."""
    return column.at(index) if hasattr(column, "at") else column[index]


def _look_up(keys: U64, wanted: U64) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The places of the keys that are there, and which are."""
    index, found = np.zeros(len(wanted), np.int64), np.zeros(len(wanted), np.bool_)
    if len(keys):  # the corpus may have had only empty documents
        _interpolation_search(keys, wanted, index, found)
    return index, found


@numba.njit(cache=True)
def _interpolation_search(keys, wanted, index, found):  # type: ignore[no-untyped-def]
    """Keys are hashes and so spread evenly: a key tells about where it is, which costs one or two cache misses."""
    last = len(keys) - 1
    scale = len(keys) / 2.0**64
    for i in range(len(wanted)):
        key = wanted[i]
        low: Any = min(last, np.int64(np.float64(key) * scale))
        high: Any = low
        step = 64
        while low > 0 and keys[low] > key:
            low = max(0, low - step)
            step *= 2
        step = 64
        while high < last and keys[high] < key:
            high = min(last, high + step)
            step *= 2
        while low < high:
            middle = (low + high) // 2
            if keys[middle] < key:
                low = middle + 1
            else:
                high = middle
        if keys[low] == key:
            index[i], found[i] = low, True
