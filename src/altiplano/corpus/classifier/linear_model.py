"""Logistic regression on the mean of hashed word n-grams: what fastText's supervised mode learns for two classes.

(Joulin and others 2017, "Bag of Tricks for Efficient Text Classification": the linear map of an average of embeddings
is, for two classes, one weight per n-gram.) Trained by AdaGrad, one example after another in a fixed order, so that the
same text gives the same weights.
"""

from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.execution import files

BUCKETS = 1 << 20
"""Weights. N-grams that fall into one share it."""

WORD_NGRAMS = 2
EPOCHS = 5
LEARNING_RATE = 0.5

Weights = NDArray[np.float32]
"""[BUCKETS + 1]; the last is the bias."""


def features(text: str) -> NDArray[np.int64]:
    """The bucket of every word and pair of words."""
    words = word_hashes(text)
    grams: list[U64] = [ngram_hashes(words, length) for length in range(1, WORD_NGRAMS + 1)]
    return (np.concatenate(grams) % np.uint64(BUCKETS)).astype(np.int64)


def train(positive: list[NDArray[np.int64]], negative: list[NDArray[np.int64]]) -> Weights:
    """Weights from the features of both classes, which count alike however many documents each has."""
    documents = [*positive, *negative]
    truth = np.repeat(np.array([1.0, 0.0], np.float32), (len(positive), len(negative)))
    share = np.array([len(documents) / (2 * len(side)) for side in (positive, negative)], np.float32)
    importance = np.repeat(share, (len(positive), len(negative)))
    ends = np.append(0, np.cumsum([len(document) for document in documents]))
    order = np.random.default_rng(0).permutation(len(documents))
    weights = np.zeros(BUCKETS + 1, np.float32)
    _train(weights, np.concatenate(documents), ends, truth, importance, order, EPOCHS, LEARNING_RATE)
    return weights


@numba.njit(cache=True)
def _train(weights, grams, ends, truth, importance, order, epochs, rate):  # type: ignore[no-untyped-def]
    squares = np.full(len(weights), np.float32(1e-8), np.float32)
    bias = len(weights) - 1
    for _ in range(epochs):
        for document in order:
            begin, end = ends[document], ends[document + 1]
            if begin == end:
                continue
            error = (_probability(weights, grams[begin:end]) - truth[document]) * importance[document]
            step = np.float32(error / (end - begin))
            for gram in grams[begin:end]:
                squares[gram] += step * step
                weights[gram] -= rate * step / np.sqrt(squares[gram])
            squares[bias] += error * error
            weights[bias] -= rate * error / np.sqrt(squares[bias])


@numba.njit(cache=True)
def _probability(weights, grams):  # type: ignore[no-untyped-def]
    total = 0.0
    for gram in grams:
        total += weights[gram]
    return 1 / (1 + np.exp(-(total / max(len(grams), 1) + weights[-1])))


def probability(weights: Weights, text: str) -> float:
    """That the text is of the positive kind."""
    return float(_probability(weights, features(text)))


def save(weights: Weights, path: Path) -> None:
    files.save_array(path, weights)


def load(path: Path) -> Any:
    return np.load(path, mmap_mode="r")
