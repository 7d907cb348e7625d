"""Training or held-out, and the proof that they do not overlap; benchmarks' texts out of training.

A document whose hash falls into the lowest share of all hashes is held out. What training has in common with it, or
with a benchmark that the recipe names, is found by 13-grams of words. Memory is bounded by the held-out text.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import benchmarks, files, heldout
from altiplano.corpus.columns import Columns, Shard, texts
from altiplano.corpus.decided import Rules, decide
from altiplano.corpus.decisions import group_names
from altiplano.corpus.engine import Engine, map_shards


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
    chooser = heldout.Chooser(corpus.heldout)
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
    items = benchmarks.write_ngrams(corpus, folder)
    seen = partial(_write_seen, rules=rules, folder=folder, places=places, sought=sought, items=items)
    map_shards("held-out overlap", seen, shards, partial(_benchmarked, folder), size, engine)
    seen_grams = np.load(sought)[:0]
    for shard in shards:
        seen_grams = np.union1d(seen_grams, np.load(_seen(folder, shard)))
    share = heldout.overlaps(grams, owners, len(documents), seen_grams)
    clean = share <= heldout.MAX_OVERLAP
    found = [np.load(_benchmarked(folder, shard)) for shard in shards]
    counts = {
        "ngram": heldout.NGRAM,
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
    return heldout.place(columns["document_hash"]) <= largest


def _write_held(shard: Shard, rules: Rules, folder: Path, places: dict[str, float]) -> None:
    """The held-out documents' n-grams, end to end, and per document its number and how many it has."""
    columns = decide(shard, rules)
    rows = np.flatnonzero((columns["reason"] == "") & held_out(columns, places))
    grams, owners = heldout.ngrams_of(texts(shard, rows))
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
    bad = benchmarks.found_in(items, texts(shard, train)) if items else np.zeros(len(train), bool)
    grams = np.load(sought)
    seen = heldout.seen_in(grams, texts(shard, train[~bad])) if len(grams) else grams
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
