"""Which documents hold an item of a benchmark: a look-up of each of their runs of words in the index."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.decontamination.index import Index, load_index
from altiplano.corpus.words import BASE, U64, characters, matching_tables, mix_one, words_of

ANSWER_WITHIN = 200
"""Words after a short question."""


class Hit(NamedTuple):
    """An item that a document holds, and the number of its benchmark."""

    item: int
    benchmark: int


def found_in(folder: Path, texts: Iterable[str]) -> Iterator[list[Hit]]:
    """For each text the items that it holds, in order of their numbers."""
    index = load_index(folder)
    for text in texts:
        yield _find(index, words_of(characters(text), matching_tables()).hash)


def _find(index: Index, words: U64) -> list[Hit]:
    found: set[int] = set()
    for length, runs in index.runs.items():
        sought, at, where = _places(words, length, *runs)
        if not len(sought):
            continue
        order = np.lexsort((where, sought))
        numbers = _found(
            sought[order], at[order], where[order], length, words,
            index.sought["words"], index.sought["needed"], index.sought["answer"], index.sought["answers"],
            index.answers["hash"], index.answers["words"],
        )  # fmt: skip
        low, high = np.searchsorted(index.owners["sought"], (numbers, numbers + 1))
        for begin, end in zip(low, high, strict=True):
            found.update(index.owners["item"][begin:end].tolist())
    return [Hit(item, int(index.items["benchmark"][item])) for item in sorted(found)]


def _places(
    words: U64, length: int, bits: Any, hashes: Any, first: Any, places: Any
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Every run of the words that the index has: whose it is, where it stands there, and where in the words."""
    where, number = _look_up(words, length, bits, hashes)
    if not len(where):
        none = np.zeros(0, np.int64)
        return none, none, none
    counts = first[number + 1] - first[number]
    total = int(counts.sum())
    # the places of one run follow one another
    inside = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = places[np.repeat(first[number], counts) + inside]
    return chosen["sought"].astype(np.int64), chosen["at"].astype(np.int64), np.repeat(where, counts)


@numba.njit(cache=True)
def _look_up(words, length, bits, hashes):  # type: ignore[no-untyped-def]
    """Positions of runs that the index has, and their numbers in it."""
    mask = np.uint64(len(bits) * 8 - 1)
    where = np.empty(16, np.int64)
    number = np.empty(16, np.int64)
    found = 0
    for begin in range(len(words) - length + 1):
        value = _hash(words, begin, length)
        place = value & mask
        if not bits[place >> np.uint64(3)] >> np.uint8(place & np.uint64(7)) & 1:
            continue
        at = np.searchsorted(hashes, value)
        if at < len(hashes) and hashes[at] == value:
            if found == len(where):
                where, number = np.append(where, where), np.append(number, number)
            where[found], number[found] = begin, at
            found += 1
    return where[:found], number[:found]


@numba.njit(cache=True, inline="always")
def _hash(words, begin, length):  # type: ignore[no-untyped-def]
    """As ``ngram_hashes``."""
    value = np.uint64(0)
    for word in words[begin : begin + length]:
        value = mix_one(value * np.uint64(BASE) + word)
    return value


@numba.njit(cache=True)
def _found(sought, at, where, length, words, sizes, needed, answer, answers, hashes, lengths):  # type: ignore[no-untyped-def]
    """What of the sought the document holds. Places are ordered by ``sought``, ``where``."""
    found = np.empty(16, np.int64)
    held = 0
    start = 0
    while start < len(sought):
        number = sought[start]
        end = start
        while end < len(sought) and sought[end] == number:
            end += 1
        size, least = sizes[number], needed[number]
        if (end - start) * length >= least > 0:
            stretch = size + size // 4 + 4 if answers[number] == 0 else size
            counts = np.zeros(size, np.int32)
            covered = 0  # words of what is sought
            present = 0  # words of the document: one phrase of it may stand for several like it
            low = start
            for high in range(start, end):
                for word in range(at[high], at[high] + length):
                    covered += counts[word] == 0
                    counts[word] += 1
                present += length if high == low else min(length, where[high] - where[high - 1])
                while where[high] + length - where[low] > stretch:
                    for word in range(at[low], at[low] + length):
                        counts[word] -= 1
                        covered -= counts[word] == 0
                    low += 1
                    present -= min(length, where[low] - where[low - 1])
                if min(covered, present) >= least and (
                    answers[number] == 0
                    or _answered(words, where[high], answer[number], answers[number], hashes, lengths)
                ):
                    if held == len(found):
                        found = np.append(found, found)
                    found[held] = number
                    held += 1
                    break
        start = end
    return found[:held]


@numba.njit(cache=True)
def _answered(words, begin, first, number, hashes, lengths):  # type: ignore[no-untyped-def]
    """Whether one of the answers stands within ``ANSWER_WITHIN`` words after a place."""
    for one in range(first, first + number):
        for at in range(begin, min(begin + ANSWER_WITHIN, len(words) - lengths[one] + 1)):
            if _hash(words, at, lengths[one]) == hashes[one]:
                return True
    return False
