"""Documents set aside for evaluation, per domain × language, by hash of their text.

A document whose hash falls into the lowest ``fraction`` of all hashes is held out: the same one in every run, however
the corpus grows. A group with fewer than ``min_documents`` of them is filled up with its next lowest hashes. This
happens after deduplication, so that no held-out document has a near duplicate in training; the pieces of a long
document share its hash and stay together. What is left to find is text in common: a held-out document with half of
its 13-grams in training is dropped.

Decontamination: training documents that hold a benchmark's text go.

A benchmark's item is a line of a text file, or the strings of a JSON line. A document that has more than half of its
13-grams (of a shorter item, all of its words in a row) holds it.

Training or held-out, and the proof that they do not overlap; benchmarks' texts out of training.

A document whose hash falls into the lowest share of all hashes is held out. What training has in common with it, or
with a benchmark that the recipe names, is found by 13-grams of words. Memory is bounded by the held-out text.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns, Shard, texts
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards
from altiplano.corpus.filtered import Rules, decide
from altiplano.corpus.filters import group_names
from altiplano.corpus.words import U64, ngram_hashes, word_hashes
from altiplano.errors import InputError
from altiplano.recipe.schema import CorpusConfig, HeldoutConfig

NGRAM = 13
"""Words (GPT-3's and Llama's decontamination length)."""

MAX_OVERLAP = 0.5
"""Share of a held-out document's n-grams that training may contain."""


def place(document_hashes: NDArray[Any]) -> NDArray[np.float64]:
    """Where each hash lies among all hashes, from 0 to 1."""
    return np.array([int(value[:16], 16) / 2.0**64 for value in document_hashes])


class Chooser:
    """Finds, shard by shard, up to which place each domain × language is held out. Remembers a few places of each."""

    def __init__(self, settings: HeldoutConfig):
        self.settings = settings
        self.lowest: dict[str, NDArray[np.float64]] = {}
        self.highest: dict[str, float] = {}

    def add(self, document_hashes: NDArray[Any], groups: NDArray[Any]) -> None:
        """Kept documents."""
        places = place(document_hashes)
        for group in np.unique(groups.astype(str)) if len(groups) else ():
            here = places[groups == group]
            merged = np.sort(np.concatenate((self.lowest.get(group, here[:0]), here)))
            self.lowest[str(group)] = merged[: 2 * self.settings.min_documents]
            self.highest[str(group)] = max(self.highest.get(group, 0.0), float(here.max()))

    def places(self) -> dict[str, float]:
        """The largest held-out place per group; groups below twice ``min_documents`` have none."""
        found = {}
        for group, lowest in self.lowest.items():
            if len(lowest) < 2 * self.settings.min_documents:
                continue
            largest = max(self.settings.fraction, float(lowest[self.settings.min_documents - 1]))
            if largest < self.highest[group]:  # else all are pieces of one document
                found[group] = largest
        return found


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


MIN_WORDS = 8
"""Shorter items are in many documents by chance."""

MAX_SHARE = 0.5


def write_ngrams(corpus: CorpusConfig, folder: Path) -> Path | None:
    """Write the n-grams of every item: [3, n-grams] hash, item and length, ascending. None without benchmarks.

    Raises InputError when a pattern matches no file.
    """
    if not corpus.benchmarks:
        return None
    path = folder / "benchmarks.npy"
    if path.exists():
        return path
    rows: list[U64] = []
    item = 0
    for pattern in corpus.benchmarks:
        found = sorted(corpus.root.glob(pattern))
        if not found:
            raise InputError(f"corpus.benchmarks: {pattern!r} matches no file under {corpus.root}")
        for file in found:
            for text in _items(file):
                words = word_hashes(text)
                if len(words) >= MIN_WORDS:
                    length = min(NGRAM, len(words))
                    grams = np.unique(ngram_hashes(words, length))
                    rows.append(np.stack((grams, np.full_like(grams, item), np.full_like(grams, length))))
                    item += 1
    merged = np.concatenate([np.zeros((3, 0), np.uint64), *rows], axis=1)
    files.save_array(path, merged[:, np.lexsort((merged[1], merged[0]))])
    return path


def found_in(path: Path, texts: Iterable[str]) -> NDArray[np.bool_]:
    """Which texts hold an item."""
    grams, items, lengths = np.load(path)
    total = np.bincount(items.astype(np.int64))
    sizes = np.unique(lengths).tolist()
    found = []
    for text in texts:
        words = word_hashes(text)
        here = np.unique(np.concatenate([ngram_hashes(words, int(length)) for length in sizes] or [words[:0]]))
        hits = items[np.isin(grams, here)].astype(np.int64)
        found.append(bool((np.bincount(hits, minlength=len(total)) > MAX_SHARE * total).any()))
    return np.array(found, bool)


def _items(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not file.name.endswith(".jsonl"):
                yield line
                continue
            try:
                yield " ".join(_strings(json.loads(line)))
            except json.JSONDecodeError as error:
                raise InputError(f"corpus.benchmarks: {file} line {number} is no JSON: {error.msg}") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


@dataclass(frozen=True)
class Split:
    """How the survivors are divided: the largest place that is held out of each group, and who goes after all."""

    places: dict[str, float]
    overlapping: frozenset[int]
    """Held-out documents that overlap training."""
    benchmarked: frozenset[int]
    """Training documents with a benchmark's text."""

    def apply(self, shard: Shard, columns: Columns) -> None:
        """Write ``split`` and the last reasons into the columns."""
        aside = held_out(columns, self.places)
        alive = columns["reason"] == ""
        columns["split"] = np.where(alive, np.where(aside, "heldout", "train"), "").astype(object)
        for documents, reason in ((self.overlapping, "overlaps training"), (self.benchmarked, "benchmark text")):
            rows = np.array([d - shard.first for d in documents if shard.first <= d < shard.first + shard.rows], int)
            columns["reason"][rows], columns["split"][rows] = reason, ""
        columns["keep"] = columns["reason"] == ""


def split(shards: list[Shard], rules: Rules, engine: Engine) -> tuple[Split, dict[str, Any]]:
    """Decide the split; also counts of what the held-out text has in common with training."""
    folder, corpus = rules.steps / "overlap", rules.corpus
    chooser = Chooser(corpus.heldout)
    for shard in shards:
        columns = decide(shard, rules)
        alive = columns["reason"] == ""
        chooser.add(columns["document_hash"][alive], group_names(columns)[alive])
    places = chooser.places()

    held = partial(_write_held, rules=rules, folder=folder, places=places)
    size = _size_of_shard
    map_shards("held-out n-grams", held, shards, partial(_owners, folder), size, engine)
    grams, owners, documents = _merge_held(shards, folder)
    sought = folder / "heldout.npy"
    if not sought.exists():
        files.save_array(sought, np.unique(grams))
    items = write_ngrams(corpus, folder)
    seen = partial(_write_seen, rules=rules, folder=folder, places=places, sought=sought, items=items)
    map_shards("held-out overlap", seen, shards, partial(_benchmarked, folder), size, engine)
    seen_grams = np.load(sought)[:0]
    for shard in shards:
        seen_grams = np.union1d(seen_grams, np.load(_seen(folder, shard)))
    share = overlaps(grams, owners, len(documents), seen_grams)
    clean = share <= MAX_OVERLAP
    found = [np.load(_benchmarked(folder, shard)) for shard in shards]
    counts = {
        "ngram": NGRAM,
        "documents": len(documents),
        "dropped": int((~clean).sum()),
        "with_any_overlap": int((share[clean] > 0).sum()),
        "mean_overlap": round(float(share[clean].mean()), 6) if clean.any() else 0.0,
        "benchmark_documents": sum(map(len, found)),
    }
    benchmarked = frozenset(int(document) for part in found for document in part)
    return Split(places, frozenset(documents[~clean].tolist()), benchmarked), counts


def held_out(columns: Columns, places: dict[str, float]) -> NDArray[np.bool_]:
    """Documents whose hash is at most the largest place of their domain × language."""
    names, at = np.unique(group_names(columns).astype(str), return_inverse=True)
    largest = np.array([places.get(str(name), -1.0) for name in names])[at] if len(names) else np.zeros(0)
    return place(columns["document_hash"]) <= largest


def _write_held(shard: Shard, rules: Rules, folder: Path, places: dict[str, float]) -> None:
    """The held-out documents' n-grams, end to end, and per document its number and how many it has."""
    columns = decide(shard, rules)
    rows = np.flatnonzero((columns["reason"] == "") & held_out(columns, places))
    grams, owners = ngrams_of(texts(shard, rows))
    files.save_array(_grams(folder, shard), grams)
    counts = np.bincount(owners, minlength=len(rows)) if len(rows) else np.zeros(0, np.int64)
    files.save_array(_owners(folder, shard), np.stack((shard.first + rows, counts)))


def _merge_held(shards: list[Shard], folder: Path) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
    """N-grams of all held-out documents, which of them each belongs to, and their numbers."""
    grams = np.concatenate([np.load(_grams(folder, shard)) for shard in shards])
    documents, counts = np.concatenate([np.load(_owners(folder, shard)) for shard in shards], axis=1)
    return grams, np.repeat(np.arange(len(documents)), counts), documents


def _write_seen(
    shard: Shard, rules: Rules, folder: Path, places: dict[str, float], sought: Path, items: Path | None
) -> None:
    """Which held-out n-grams the shard's training documents have, and which of these have a benchmark's text."""
    columns = decide(shard, rules)
    train = np.flatnonzero((columns["reason"] == "") & ~held_out(columns, places))
    bad = found_in(items, texts(shard, train)) if items else np.zeros(len(train), bool)
    grams = np.load(sought)
    seen = seen_in(grams, texts(shard, train[~bad])) if len(grams) else grams
    files.save_array(_seen(folder, shard), seen)
    files.save_array(_benchmarked(folder, shard), shard.first + train[bad])


def _size_of_shard(shard: Shard) -> int:
    return shard.size


def _grams(folder: Path, shard: Shard) -> Path:
    return folder / f"grams-{shard.number:05d}.npy"


def _owners(folder: Path, shard: Shard) -> Path:
    return folder / f"held-{shard.number:05d}.npy"


def _seen(folder: Path, shard: Shard) -> Path:
    return folder / f"seen-{shard.number:05d}.npy"


def _benchmarked(folder: Path, shard: Shard) -> Path:
    return folder / f"benchmarked-{shard.number:05d}.npy"
