"""An index of benchmarks' questions and answers, and which documents hold them.

A long text (a question or solution of more than 24 words) is found where most of its words stand, in runs of four,
within a stretch of text about its own length. A short question is compared word by word, with each of the item's
answers after it, where a run of three words agrees: what agrees in order must be most of it and carry enough
information, by the frequency of its words. So line breaks, markup, escapes, capitals, punctuation and one word in ten
do not matter, and what says too little to be told from ordinary text is not looked for, and counted.

The index is a sorted array of hashes of such runs with the texts that each belongs to. A document's runs are looked up
in a bit table first, which answers no for nearly all of them, so that time does not grow with the benchmarks.
"""

import functools
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.decontamination.benchmark_items import Item, read_items
from altiplano.corpus.decontamination.text import Text, read_text
from altiplano.corpus.readers.listing import walk
from altiplano.corpus.words import U64, ngram_hashes
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.recipe.schema import CorpusConfig

RUN, SHORT_RUN = 4, 3
"""Words. In scripts without spaces a word is one character, and these are doubled."""

LONG, LONG_ANSWER = 25, 16
"""Words: of texts that are found by runs of four; of answers that are looked for by themselves."""

LONG_TELLING = 5
"""Words that are more than a number or a letter, in a long text."""

FEW_WORDS = 4
"""Different words of a short question and its answer."""

CONVERSATION = 4
"""Of an item with more questions than this it is not known which answer belongs to which: they count by themselves."""

MIN_SHARE, MIN_SHORT_SHARE = 0.6, 0.75
"""Of a long text's words; of the information of a short question, and of it and its answer."""

LONG_LEAST = 8
"""Words of a long text that must be found at least."""

MIN_BITS = 52.0
"""Information that a short question and its answer must have in common with a text."""

ALONE_BITS, ALONE_SHARE = 80.0, 0.65
"""The same of a question without its answer."""

RUN_BITS, KEPT_RUNS = 28.0, 3
"""Runs of three words that are looked up: those with so much information, and at least so many of a text. Others ("what
is the") are in every document."""

PRIOR_WORDS = 10_000
"""How many words of benchmarks weigh as much as what a word's length says of its frequency."""

COMMON = 64
"""A run in more items than this says nothing about any of them."""

ANSWER_RUN = 12
"""Words of an answer after a short question; more need not follow."""

SOUGHT = np.dtype([("item", "<i4"), ("words", "<i4"), ("needed", "<i4"), ("question", "<i4"), ("first", "<i8")])
"""A long text: its item, its words, how many of them must be found. Or a question and an answer, one after the other:
``question`` is how many of the words are the question's, ``first`` where they begin among TERMS."""

TERMS = np.dtype([("hash", "<u8"), ("bits", "<f4")])
"""A word and the information that it carries: -log2 of its frequency."""

PLACE = np.dtype([("sought", "<i4"), ("at", "<i4")])
OWNERS = np.dtype([("sought", "<i4"), ("item", "<i4")])
"""Whose questions they are, in order: several items may have the same one."""

ITEMS = np.dtype([("benchmark", "<i4"), ("sought", "?")])


class Runs(NamedTuple):
    """Runs of one length: their hashes in order, and the places of each in what is sought."""

    bits: Any
    begins: NDArray[np.int64]
    """Where hashes with each value of their first 16 bits begin."""
    hashes: Any
    first: Any
    places: Any


class Index(NamedTuple):
    sought: Any
    owners: Any
    terms: Any
    items: Any
    """An ITEMS record of each item: its benchmark, and whether it says enough to be looked for."""
    runs: dict[int, Runs]
    """By length."""


def benchmark_files(corpus: CorpusConfig) -> list[Path]:
    """Raises InputError when a pattern matches no file, or may match some in a folder that cannot be listed."""

    def unlisted(error: OSError) -> None:
        raise InputError(f"corpus.benchmarks: {error.filename} cannot be listed: {error.strerror}") from error

    found: list[Path] = []
    for pattern in corpus.benchmarks:
        walk(pattern, corpus.root, unlisted)
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


class _Builder:
    def __init__(self) -> None:
        self.benchmarks: list[int] = []
        """Of each item."""
        self.sought: list[tuple[int, int, int, int, int]] = []
        self.texts: dict[int, list[tuple[int, Text]]] = {}
        """By length of runs: number of what is sought, and its text."""
        self.answers: dict[int, list[list[Text]]] = {}
        """Of each item, in the forms of each."""
        self.known: dict[bytes, int] = {}
        self.shared: dict[int, list[int]] = {}
        """Other items with the same text."""
        self.seen: dict[tuple[int, int], int] = {}
        self.terms = 0

    def add(self, item: Item, benchmark: int) -> int:
        """Variants of a task say an item several times: it is one item. Gives its number."""
        number = len(self.benchmarks)
        key = benchmark, hash((*item.questions, "", *item.answers))
        if (before := self.seen.setdefault(key, number)) != number:
            return before
        self.benchmarks.append(benchmark)
        answers = [read_text(text) for text in item.answers]
        self.answers[number] = answers if len(item.questions) <= CONVERSATION else []
        for text in item.questions:
            for form, question in enumerate(read_text(text)):
                if len(question.words) >= LONG * question.scale:
                    self._add_long(number, question)
                else:
                    self._add_short(number, question, form)
        for answer in (form for forms in answers for form in forms):
            if len(answer.words) >= LONG * answer.scale:
                self._add_long(number, answer)
            elif len(answer.words) >= LONG_ANSWER * answer.scale:
                self._add(number, answer, len(answer.words), SHORT_RUN)
        return number

    def _add_long(self, item: int, text: Text) -> None:
        if text.different >= LONG_TELLING * text.scale:
            self._add(item, text, 0, RUN)

    def _add_short(self, item: int, question: Text, form: int) -> None:
        for forms in self.answers[item]:
            text = question.followed_by(forms[form], ANSWER_RUN * question.scale)
            self._add(item, text, len(question.words), SHORT_RUN)
        if not self.answers[item]:
            self._add(item, question, len(question.words), SHORT_RUN)

    def _add(self, item: int, text: Text, question: int, run: int) -> None:
        """``question``: how many of the words are a short question's; 0 of a long text."""
        if (not question and run == SHORT_RUN) or len(text.words) < run * text.scale:
            return
        key = text.words.tobytes() + question.to_bytes(4, "little")
        if (before := self.known.setdefault(key, len(self.sought))) != len(self.sought):
            if self.sought[before][0] != item:
                self.shared.setdefault(before, []).append(item)  # in another variant of the task
            return
        self.texts.setdefault(run * text.scale, []).append((len(self.sought), text))
        self.sought.append((item, len(text.words), 0, question, self.terms if question else 0))
        self.terms += len(text.words) if question else 0

    def write(self, folder: Path) -> None:
        needed: dict[int, int] = {}
        for length in (2 * RUN, RUN):
            texts = self.texts.get(length, [])
            hashes, places = _runs(texts, length, self._column("item"))
            covered = _covered(places, self._column("words"), length)
            for number, text in texts:
                if covered[number] >= (least := LONG_LEAST * text.scale):
                    needed[number] = max(least, math.ceil(MIN_SHARE * covered[number]))
                else:  # too much of it is what many questions say
                    for item in (self.sought[number][0], *self.shared.get(number, ())):
                        self._add(item, text, len(text.words), SHORT_RUN)
            _write_runs(folder, length, hashes, places)
        terms = self._terms()
        for length in (2 * SHORT_RUN, SHORT_RUN):
            texts = self.texts.get(length, [])
            kept = []
            for number, text in texts:
                _, size, _, question, first = self.sought[number]
                bits = terms["bits"][first : first + size]
                enough = MIN_BITS if size > question else ALONE_BITS
                if bits.sum() >= enough and _is_told_apart(text, bits, enough):
                    needed[number] = 1
                    of_runs = np.convolve(bits, np.ones(length), "valid")
                    looked_up = of_runs >= min(RUN_BITS, *np.sort(of_runs)[-KEPT_RUNS:])
                    kept.append((number, text._replace(telling=looked_up)))
            _write_runs(folder, length, *_runs(kept, length, self._column("item")))
        sought: Any = np.array(self.sought, SOUGHT)
        sought["needed"][list(needed)] = list(needed.values())
        items = np.zeros(len(self.benchmarks), ITEMS)
        items["benchmark"] = self.benchmarks
        pairs = [*enumerate(sought["item"].tolist())]
        pairs += [(number, other) for number, others in self.shared.items() for other in others]
        owners: Any = np.array(sorted(pairs), OWNERS)
        items["sought"][owners["item"][sought["needed"][owners["sought"]] > 0]] = True
        files.save_array(folder / "owners.npy", owners)
        files.save_array(folder / "sought.npy", sought)
        files.save_array(folder / "terms.npy", terms)
        files.save_array(folder / "items.npy", items)

    def _column(self, name: str) -> Any:
        return np.array(self.sought, SOUGHT)[name].astype(np.int64)

    def _terms(self) -> NDArray[Any]:
        """The words of short texts. A word's frequency is its share of all that benchmarks say, and, as long as that is
        little, what its length says: short words are frequent."""
        texts = [text for some in self.texts.values() for _, text in some]
        none = [np.zeros(0, np.uint64)]
        words, which, counts = np.unique(
            np.concatenate(none + [text.words for text in texts]), return_inverse=True, return_counts=True
        )
        sizes = np.zeros(len(words))
        sizes[which] = np.concatenate([np.zeros(0, np.int32)] + [text.sizes for text in texts])
        expected = PRIOR_WORDS * 2.0 ** -_length_bits(sizes)
        bits = -np.log2((counts + expected) / (counts.sum() + PRIOR_WORDS))
        telling = np.zeros(len(words), bool)
        telling[which] = np.concatenate([np.zeros(0, bool)] + [text.telling for text in texts])
        bits[~telling] /= 2
        terms = np.zeros(self.terms, TERMS)
        short = sorted(
            (pair for run in (SHORT_RUN, 2 * SHORT_RUN) for pair in self.texts.get(run, [])), key=lambda p: p[0]
        )
        if short:
            terms["hash"] = np.concatenate([text.words for _, text in short])
            again = np.concatenate([_is_repeated(text.words) for _, text in short])
            terms["bits"] = np.where(again, 0, bits[np.searchsorted(words, terms["hash"])])
        return terms


def _is_told_apart(text: Text, bits: NDArray[Any], enough: float) -> bool:
    """Of ``FEW_WORDS`` different words or fewer each tells no more than its length allows, however seldom benchmarks
    say it: "alpha beta gamma", "delta" is in every formula."""
    if text.different > FEW_WORDS * text.scale:
        return True
    return bool(np.minimum(bits, _length_bits(text.sizes)).sum() >= enough)


def _length_bits(sizes: NDArray[Any]) -> NDArray[Any]:
    """What a word's letters say of its information: short words are frequent."""
    return np.minimum(4 + 1.6 * sizes, 16)


def _is_repeated(words: U64) -> NDArray[np.bool_]:
    again = np.ones(len(words), bool)
    again[np.unique(words, return_index=True)[1]] = False
    return again


def _runs(texts: list[tuple[int, Text]], length: int, items: NDArray[np.int64]) -> tuple[U64, NDArray[Any]]:
    """Hashes of the texts' runs in order and the place of each, without those that are common or say nothing."""
    all_hashes, all_places = [np.zeros(0, np.uint64)], [np.zeros(0, PLACE)]
    for number, text in texts:
        hashes = ngram_hashes(text.words, length)
        if len(text.telling) == len(text.words):  # of each word: of runs
            telling = np.append(0, np.cumsum(text.telling))
            at = np.flatnonzero(telling[length:] - telling[: len(telling) - length] >= length // 2)
        else:
            at = np.flatnonzero(text.telling)
        places = np.zeros(len(at), PLACE)
        places["sought"], places["at"] = number, at
        all_hashes.append(hashes[at])
        all_places.append(places)
    hashes, places = np.concatenate(all_hashes), np.concatenate(all_places)
    order = np.lexsort((places["at"], places["sought"], hashes))
    hashes, places = hashes[order], places[order]
    of = items[places["sought"]]
    # an item says a run once for each of its answers: counted once
    another = np.append(True, (hashes[1:] != hashes[:-1]) | (of[1:] != of[:-1]))[: len(hashes)]
    _, which = np.unique(hashes, return_inverse=True)
    rare = np.bincount(which, another, 1)[which] <= COMMON
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


@numba.njit(cache=True, inline="always")
def three_bits(value):  # type: ignore[no-untyped-def]
    """Of a hash, those that are set in its word of the bit table."""
    one = np.uint64(1)
    low, middle, high = value >> np.uint64(24), value >> np.uint64(30), value >> np.uint64(36)
    return one << (low & np.uint64(63)) | one << (middle & np.uint64(63)) | one << (high & np.uint64(63))


@numba.njit(cache=True)
def _bits(hashes):  # type: ignore[no-untyped-def]
    """A Bloom filter of words of 64 bits (Putze et al. 2007): a hash has three bits of one word, chosen by its last
    bits; there are sixteen bits or more for each hash, and it says yes to about one other hash of fifty."""
    size = 1 << 13
    while 4 * size < len(hashes):
        size *= 2
    bits = np.zeros(size, np.uint64)
    for value in hashes:
        bits[value & np.uint64(size - 1)] |= three_bits(value)
    return bits


def _begins(hashes: U64) -> NDArray[np.int64]:
    values = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    return np.append(np.searchsorted(hashes, values), len(hashes))


@functools.lru_cache(maxsize=1)
def load_index(folder: Path) -> Index:
    def array(name: str) -> Any:
        return np.load(folder / f"{name}.npy", mmap_mode="r").view(np.ndarray)

    lengths = sorted(int(path.stem.partition("-")[2]) for path in folder.glob("hashes-*.npy"))
    runs = {
        length: Runs(
            array(f"bits-{length}"),
            _begins(array(f"hashes-{length}")),
            *(array(f"{name}-{length}") for name in ("hashes", "first", "places")),
        )
        for length in lengths
    }
    return Index(array("sought"), array("owners"), array("terms"), array("items"), runs)
