"""Which documents hold an item of a benchmark: a look-up of each of their runs of words in the index."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.decontamination.index import (
    ALONE_BITS,
    ALONE_SHARE,
    MIN_BITS,
    MIN_SHORT_SHARE,
    Index,
    load_index,
    three_bits,
)
from altiplano.corpus.decontamination.text import plain_characters
from altiplano.corpus.words import BASE, U64, matching_tables, mix_one, words_of

ANSWER_WITHIN = 200
"""Words after a short question within which its answer begins."""

ASKED_BEFORE = 40
"""Words between a question and an answer by which it was looked up."""


class Hit(NamedTuple):
    """An item that a document holds, and the number of its benchmark."""

    item: int
    benchmark: int


def found_in(folder: Path, texts: Iterable[str]) -> Iterator[list[Hit]]:
    """For each text the items that it holds, in order of their numbers."""
    index = load_index(folder)
    for text in texts:
        yield _find(index, words_of(plain_characters(text), matching_tables()).hash)


def _find(index: Index, words: U64) -> list[Hit]:
    found: set[int] = set()
    for length, runs in index.runs.items():
        if not len(runs.hashes):
            continue
        sought, at, where = _places(words, length, *runs)
        if not len(sought):
            continue
        order = np.lexsort((where, sought))
        numbers = _found(
            sought[order], at[order], where[order], length, words,
            index.sought["words"], index.sought["needed"], index.sought["question"], index.sought["first"],
            index.terms["hash"], index.terms["bits"],
        )  # fmt: skip
        if not len(numbers):
            continue
        low, high = np.searchsorted(index.owners["sought"], (numbers, numbers + 1))
        for begin, end in zip(low, high, strict=True):
            found.update(index.owners["item"][begin:end].tolist())
    return [Hit(item, int(index.items["benchmark"][item])) for item in sorted(found)]


def _places(
    words: U64, length: int, bits: Any, begins: Any, hashes: Any, first: Any, places: Any
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Every run of the words that the index has: whose it is, where it stands there, and where in the words."""
    where, number = _look_up(words, length, bits, begins, hashes)
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
def _look_up(words, length, bits, begins, hashes):  # type: ignore[no-untyped-def]
    """Positions of runs that the index has, and their numbers in it."""
    last = np.uint64(len(bits) - 1)
    where = np.empty(16, np.int64)
    number = np.empty(16, np.int64)
    found = 0
    for begin in range(len(words) - length + 1):
        value = _hash(words, begin, length)
        three = three_bits(value)
        if bits[value & last] & three != three:
            continue
        group = value >> np.uint64(48)
        at, end = begins[group], begins[group + np.uint64(1)]
        while end - at > 1:  # the last that is not above it
            middle = (at + end) // 2
            if hashes[middle] <= value:
                at = middle
            else:
                end = middle
        if end > at and hashes[at] == value:
            if found == len(where):
                where, number = np.append(where, where), np.append(number, number)
            where[found], number[found] = begin, at
            found += 1
    return where[:found], number[:found]


@numba.njit(cache=True, inline="always")
def _hash(words, begin, length):  # type: ignore[no-untyped-def]
    """As ``ngram_hashes``."""
    value = np.uint64(0)
    for at in range(begin, begin + length):
        value = mix_one(value * np.uint64(BASE) + words[at])
    return value


@numba.njit(cache=True)
def _found(sought, at, where, length, words, sizes, needed, question, first, terms, bits):  # type: ignore[no-untyped-def]
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
        if question[number] > 0:
            place = first[number]
            holds = _agrees(
                at[start:end], where[start:end], words, question[number],
                terms[place : place + size], bits[place : place + size],
            )  # fmt: skip
        else:
            holds = (end - start) * length >= least > 0 and _covers(
                at[start:end], where[start:end], length, size, least
            )
        if holds:
            if held == len(found):
                found = np.append(found, found)
            found[held] = number
            held += 1
        start = end
    return found[:held]


@numba.njit(cache=True)
def _covers(at, where, length, size, least):  # type: ignore[no-untyped-def]
    """Whether runs at these places of a long text cover enough of its words within a stretch of the document."""
    stretch = size + size // 4 + 4
    counts = np.zeros(size, np.int32)
    covered = 0  # words of what is sought
    present = 0  # words of the document: one phrase of it may stand for several like it
    low = 0
    for high in range(len(at)):
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
        if min(covered, present) >= least:
            return True
    return False


@numba.njit(cache=True)
def _agrees(at, where, words, question, terms, bits):  # type: ignore[no-untyped-def]
    """Whether the document says a question, or it and its answer, about one of the places."""
    asked, total = bits[:question].sum(), bits.sum()
    room = question // 4 + 2
    before = -2 * len(words)
    for hit in range(len(at)):
        begin = where[hit] - at[hit]
        if abs(begin - before) <= 1:  # has been looked at
            continue
        before = begin
        # from an answer's words, the question stands before other choices
        low = max(0, begin - room - (ASKED_BEFORE if at[hit] >= question else 0))
        high = min(len(words), begin + question + room)
        needed = min(MIN_SHORT_SHARE * asked, max(ALONE_BITS, ALONE_SHARE * asked))
        if not _has(terms[:question], bits[:question], words[low:high], needed):
            continue
        said = _in_order(terms[:question], bits[:question], words[low:high])
        if said >= max(ALONE_BITS, ALONE_SHARE * asked):
            return True
        least = max(MIN_BITS, MIN_SHORT_SHARE * total)
        if said >= MIN_SHORT_SHARE * asked and said + total - asked >= least:
            answer = _answer(terms[question:], bits[question:], words[max(0, high - 2 * room) : high + ANSWER_WITHIN])
            if said + answer >= least:
                return True
    return False


@numba.njit(cache=True)
def _has(terms, bits, words, needed):  # type: ignore[no-untyped-def]
    """Whether terms of so many bits are among the words, in whatever order: cheaper than ``_in_order``, which never has
    more."""
    spare = bits.sum() - needed + np.float32(1e-3)
    for one in range(len(terms)):
        present = False
        for at in range(len(words)):
            present |= words[at] == terms[one]
        if not present:
            spare -= bits[one]
            if spare < 0:
                return False
    return True


@numba.njit(cache=True)
def _in_order(terms, bits, words):  # type: ignore[no-untyped-def]
    """Bits of the heaviest common subsequence."""
    best = np.zeros(len(words) + 1, np.float32)
    for one in range(len(terms)):
        diagonal = np.float32(0)
        for at in range(len(words)):
            above = best[at + 1]
            if words[at] == terms[one]:
                best[at + 1] = max(above, diagonal + bits[one])
            best[at + 1] = max(best[at + 1], best[at])
            diagonal = above
    return best[-1]


@numba.njit(cache=True)
def _answer(terms, bits, words):  # type: ignore[no-untyped-def]
    """Bits of the answer's words that stand in their places, where most do."""
    best = np.float32(0)
    for begin in range(len(words)):
        here = np.float32(0)
        for at in range(min(len(terms), len(words) - begin)):
            if words[begin + at] == terms[at]:
                here += bits[at]
        best = max(best, here)
    return best
