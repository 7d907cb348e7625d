"""An index of benchmarks' questions and answers, and which documents hold them.

A question of eight words or more is found where most of its words stand, in runs of four, within a stretch of text
about its own length: line breaks, markup, capitals, a typing error here and there, lettered choices after it or
nothing at all after it do not matter. A shorter question, which may be anybody's, counts only as a whole and with one
of the item's answers soon after it. Long answers (solutions, programs) are found like questions.

The index is a sorted array of hashes of such runs with the questions that each belongs to. A document's runs are looked
up in a bit table first, which answers no for nearly all of them, so that time does not grow with the benchmarks.
"""

import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.decontamination.benchmark_items import Item, read_items
from altiplano.corpus.words import U64, UNSPACED, characters, matching_tables, ngram_hashes, words_of
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.recipe.schema import CorpusConfig

RUN, SHORT_RUN = 4, 3
"""Words. In scripts without spaces a word is one character, and these are doubled."""

LONG_QUESTION, LONG_ANSWER = 8, 16
"""Words from which on a text is found by itself."""

LONG_TELLING, SHORT_TELLING = 5, 2
"""Words that are more than a number or a letter."""

SHORTEST = 5
"""Words of a short question and its answer together; what has fewer is in many documents by chance."""

CONVERSATION = 4
"""Of an item with more questions than this, short ones ("What was his name?") are not looked for."""

MIN_SHARE = 0.6
COMMON = 64
"""A run in more questions than this says nothing about any of them."""

LONGEST = 4000
"""Words of a question or answer that are looked for."""

ANSWER_RUN = 8
"""Words of an answer after a short question; more need not follow."""

SOUGHT = np.dtype([("item", "<i4"), ("words", "<i4"), ("needed", "<i4"), ("answer", "<i8"), ("answers", "<i4")])
"""A question or long answer: its item, its words, how many of them must be found, and where its answers are; a question
with answers must be found with one of them."""

PLACE = np.dtype([("sought", "<i4"), ("at", "<i4")])
ANSWERS = np.dtype([("hash", "<u8"), ("words", "<i4")])
OWNERS = np.dtype([("sought", "<i4"), ("item", "<i4")])
"""Whose questions they are, in order: several items may have the same one."""

ITEMS = np.dtype([("benchmark", "<i4"), ("sought", "?")])


class Runs(NamedTuple):
    """Runs of one length: their hashes in order, and the places of each in what is sought."""

    bits: Any
    hashes: Any
    first: Any
    places: Any


class Index(NamedTuple):
    sought: Any
    owners: Any
    answers: Any
    items: Any
    """An ITEMS record of each item: its benchmark, and whether it is long enough to be looked for."""
    runs: dict[int, Runs]
    """By length."""


def benchmark_files(corpus: CorpusConfig) -> list[Path]:
    """Raises InputError when a pattern matches no file."""
    found: list[Path] = []
    for pattern in corpus.benchmarks:
        matches = sorted(path for path in corpus.root.glob(pattern) if path.is_file())
        if not matches:
            raise InputError(f"corpus.benchmarks: {pattern!r} matches no file under {corpus.root}")
        found += matches
    return list(dict.fromkeys(found))


def write_index(corpus: CorpusConfig, folder: Path) -> Path | None:
    """The index's folder; None without benchmarks. Raises InputError for files that cannot be read."""
    if not corpus.benchmarks:
        return None
    out = folder / "benchmarks"
    if (out / "items.npy").exists():
        return out
    build_index(
        (
            (item, number)
            for number, file in enumerate(benchmark_files(corpus))
            for item in read_items(corpus.root, file)
        ),
        out,
    )
    return out


def build_index(items: Iterable[tuple[Item, int]], folder: Path) -> list[int]:
    """Index items, each with the number of its benchmark; gives the number that each has in the index: the same for
    those that are the same item."""
    builder = _Builder()
    numbers = [builder.add(item, benchmark) for item, benchmark in items]
    builder.write(folder)
    return numbers


class _Text(NamedTuple):
    """``scale`` is 2 where most words are single characters of a script without spaces; ``telling`` are words that are
    more than a number or a letter: sequences of those are everywhere."""

    words: U64
    scale: int
    telling: NDArray[np.bool_]

    @property
    def different(self) -> int:
        """Distinct words that tell something."""
        return len(np.unique(self.words[self.telling]))


def _read(text: str) -> _Text:
    codes = characters(text)
    words = words_of(codes, matching_tables())
    single = words.end - words.start == 1
    unspaced = single & (codes[words.start] >= UNSPACED[0][0])
    scale = 2 if len(words.hash) and unspaced.mean() > 0.5 else 1
    telling = words.alphabetic & (~single | unspaced)
    return _Text(words.hash[:LONGEST], scale, telling[:LONGEST])


class _Builder:
    def __init__(self) -> None:
        self.benchmarks: list[int] = []
        """Of each item."""
        self.sought: list[tuple[int, int, int, int, int]] = []
        self.texts: dict[int, list[tuple[int, _Text]]] = {}
        """By length of runs: number of what is sought, and its text."""
        self.answers: list[tuple[int, int]] = []
        self.choices: dict[int, list[_Text]] = {}
        """Of items with questions, their answers."""
        self.known: dict[bytes, int] = {}
        self.shared: dict[int, list[int]] = {}
        """Other items with the same text."""
        self.seen: dict[tuple[int, int], int] = {}

    def add(self, item: Item, benchmark: int) -> int:
        """Variants of a task say an item several times: it is one item. Gives its number."""
        number = len(self.benchmarks)
        key = benchmark, hash((*item.questions, "", *item.answers))
        if (before := self.seen.setdefault(key, number)) != number:
            return before
        self.benchmarks.append(benchmark)
        answers = [read for text in item.answers if len((read := _read(text)).words)]
        self.choices[number] = answers
        for question in map(_read, item.questions):
            if len(question.words) >= LONG_QUESTION * question.scale:
                self._add_long(number, question)
            elif len(item.questions) <= CONVERSATION:
                self._add_short(number, question)
        for answer in answers:
            if len(answer.words) >= LONG_ANSWER * answer.scale:
                self._add_long(number, answer)
        return number

    def _add_long(self, item: int, text: _Text) -> None:
        key = text.words.tobytes()
        if text.different < LONG_TELLING * text.scale:
            return
        if key in self.known:  # in another variant of the task
            self.shared.setdefault(self.known[key], []).append(item)
        else:
            self.known[key] = len(self.sought)
            self.texts.setdefault(RUN * text.scale, []).append((len(self.sought), text))
            self.sought.append((item, len(text.words), 0, 0, 0))

    def _add_short(self, item: int, question: _Text) -> None:
        scale, size = question.scale, len(question.words)
        enough = [
            answer.words[: ANSWER_RUN * scale]
            for answer in self.choices[item]
            if size + len(answer.words) >= SHORTEST * scale
        ]
        if enough and size >= SHORT_RUN * scale and question.different >= SHORT_TELLING * scale:
            self.texts.setdefault(SHORT_RUN * scale, []).append((len(self.sought), question))
            self.sought.append((item, size, 0, len(self.answers), len(enough)))
            self.answers += [(int(ngram_hashes(answer, len(answer))[0]), len(answer)) for answer in enough]

    def write(self, folder: Path) -> None:
        needed: dict[int, int] = {}
        for length in (2 * RUN, RUN, 2 * SHORT_RUN, SHORT_RUN):  # long texts may turn out to be like short ones
            texts = self.texts.get(length, [])
            hashes, places = _runs(texts, length)
            covered = _covered(places, np.array([words for _, words, *_ in self.sought], np.int64), length)
            for number, text in texts:
                if length in (SHORT_RUN, 2 * SHORT_RUN):
                    needed[number] = covered[number]
                elif covered[number] >= (least := LONG_QUESTION * text.scale):
                    needed[number] = max(least, math.ceil(MIN_SHARE * covered[number]))
                else:  # too much of it is what many questions say
                    for item in (self.sought[number][0], *self.shared.get(number, ())):
                        self._add_short(item, text)
            _write_runs(folder, length, hashes, places)
        sought = np.array(self.sought, SOUGHT)
        sought["needed"][list(needed)] = list(needed.values())
        items = np.zeros(len(self.benchmarks), ITEMS)
        items["benchmark"] = self.benchmarks
        pairs = [*enumerate(sought["item"].tolist())]
        pairs += [(number, other) for number, others in self.shared.items() for other in others]
        owners = np.array(sorted(pairs), OWNERS)
        items["sought"][owners["item"][sought["needed"][owners["sought"]] > 0]] = True
        files.save_array(folder / "owners.npy", owners)
        files.save_array(folder / "sought.npy", sought)
        files.save_array(folder / "answers.npy", np.array(self.answers, ANSWERS))
        files.save_array(folder / "items.npy", items)


def _runs(texts: list[tuple[int, _Text]], length: int) -> tuple[U64, NDArray[Any]]:
    """Hashes of the texts' runs in order and the place of each, without those that are common or say nothing."""
    all_hashes, all_places = [np.zeros(0, np.uint64)], [np.zeros(0, PLACE)]
    for number, text in texts:
        hashes = ngram_hashes(text.words, length)
        telling = np.append(0, np.cumsum(text.telling))
        at = np.flatnonzero(telling[length:] - telling[: len(telling) - length] >= length // 2)
        places = np.zeros(len(at), PLACE)
        places["sought"], places["at"] = number, at
        all_hashes.append(hashes[at])
        all_places.append(places)
    hashes, places = np.concatenate(all_hashes), np.concatenate(all_places)
    order = np.lexsort((places["at"], places["sought"], hashes))
    hashes, places = hashes[order], places[order]
    _, which, count = np.unique(hashes, return_inverse=True, return_counts=True)
    rare = count[which] <= COMMON
    return hashes[rare], places[rare]


def _write_runs(folder: Path, length: int, hashes: U64, places: NDArray[Any]) -> None:
    unique, first = np.unique(hashes, return_index=True)
    files.save_array(folder / f"hashes-{length}.npy", unique)
    files.save_array(folder / f"first-{length}.npy", np.append(first, len(hashes)))
    files.save_array(folder / f"places-{length}.npy", places)
    files.save_array(folder / f"bits-{length}.npy", _bits(unique))


def _covered(places: NDArray[Any], words: NDArray[Any], length: int) -> NDArray[np.int64]:
    """Of each text, how many words are in a run that the index has."""
    begin = np.append(0, np.cumsum(words.astype(np.int64)))
    marks = np.zeros(begin[-1] + 1, np.int64)
    at = begin[places["sought"]] + places["at"]
    np.add.at(marks, at, 1)
    np.add.at(marks, at + length, -1)
    inside = np.append(0, np.cumsum(np.cumsum(marks)[:-1] > 0))
    return inside[begin[1:]] - inside[begin[:-1]]


def _bits(hashes: U64) -> NDArray[np.uint8]:
    """Sixteen bits for each hash, at least 64 kB: one bit of sixteen is set."""
    size = 1 << max(19, int(16 * len(hashes) - 1).bit_length())
    bits = np.zeros(size // 8, np.uint8)
    place = hashes & np.uint64(size - 1)
    np.bitwise_or.at(bits, (place >> np.uint64(3)).astype(np.int64), (1 << (place & np.uint64(7))).astype(np.uint8))
    return bits


@functools.lru_cache(maxsize=1)
def load_index(folder: Path) -> Index:
    def array(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r")

    lengths = sorted(int(path.stem.partition("-")[2]) for path in folder.glob("hashes-*.npy"))
    runs = {
        length: Runs(*(array(f"{name}-{length}") for name in ("bits", "hashes", "first", "places")))
        for length in lengths
    }
    return Index(array("sought"), array("owners"), array("answers"), array("items"), runs)
