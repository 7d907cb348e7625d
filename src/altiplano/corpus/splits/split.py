"""Training or held-out, the proof that they do not overlap, and benchmarks' texts out of training.

Memory is bounded by the held-out text.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.decontamination.index import benchmark_files, load_index, write_index
from altiplano.corpus.decontamination.search import found_in
from altiplano.corpus.documents import Columns, DocumentShard, add_columns, group_names, load_columns, summarise, texts
from altiplano.corpus.splits.heldout import Chooser, held_out, place
from altiplano.corpus.splits.overlap import MAX_OVERLAP, NGRAM, ngrams_of, overlaps, seen_in
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards
from altiplano.recipe.schema import CorpusConfig, HeldoutConfig

NAMES = ["domain", "language", "document_hash", "reason"]


def split(
    shards: list[DocumentShard], corpus: CorpusConfig, steps: Path, engine: Engine
) -> tuple[list[DocumentShard], dict[str, Any]]:
    """The shards with ``split`` (train, heldout or empty) and the last reasons; and what the audit says of overlap.

    Raises InputError, with the most frequent reason, when no document is left.
    """
    folder = steps / "splits"
    places = _heldout_places(shards, corpus.heldout, folder, engine)
    parted = add_columns("held-out", partial(_part, places=places), shards, folder / "parted", engine)

    map_shards("held-out n-grams", partial(_write_held, folder=folder), parted, partial(_owners, folder), _size, engine)
    grams, owners, documents = _merge_held(parted, folder)
    sought = folder / "heldout.npy"
    if not sought.exists():
        files.save_array(sought, np.unique(grams))
    index = write_index(corpus, folder)
    seen = partial(_write_seen, folder=folder, sought=sought, index=index)
    map_shards("held-out overlap", seen, parted, partial(_benchmarked, folder), _size, engine)
    seen_grams = np.load(sought)[:0]
    for shard in parted:
        seen_grams = np.union1d(seen_grams, np.load(_seen(folder, shard)))
    share = overlaps(grams, owners, len(documents), seen_grams)
    clean = share <= MAX_OVERLAP
    counts = {
        "ngram": NGRAM,
        "documents": len(documents),
        "dropped": int((~clean).sum()),
        "with_any_overlap": int((share[clean] > 0).sum()),
        "mean_overlap": round(float(share[clean].mean()), 6) if clean.any() else 0.0,
        "benchmarks": _benchmarks(corpus, parted, folder, index) if index else [],
    }
    work = partial(_drop, overlapping=documents[~clean], folder=folder)
    return add_columns("splits", work, parted, folder / "final", engine), counts


def _heldout_places(
    shards: list[DocumentShard], settings: HeldoutConfig, folder: Path, engine: Engine
) -> dict[str, float]:
    """The largest held-out place of each domain × language."""
    chooser = Chooser(settings)
    for found in summarise("held-out hashes", partial(_places, settings=settings), shards, folder / "places", engine):
        chooser.add(found["place"], found["group"])
    if not chooser.lowest:
        raise _nothing_left(shards)
    return chooser.places()


def _places(shard: DocumentShard, settings: HeldoutConfig) -> Columns:
    columns = load_columns(shard, NAMES)
    alive = columns["reason"] == ""
    chooser = Chooser(settings)
    chooser.add(place(columns["document_hash"][alive]), group_names(columns)[alive])
    return chooser.remembered()


def _nothing_left(shards: list[DocumentShard]) -> InputError:
    reasons: dict[str, int] = {}
    for shard in shards:
        for reason in load_columns(shard, ["reason"])["reason"].tolist():
            reasons[reason] = reasons.get(reason, 0) + 1
    name = max(sorted(reasons), key=lambda reason: reasons[reason])
    return InputError(
        f"corpus.quality keeps none of {sum(reasons.values()):,} documents ({reasons[name]:,} dropped as {name!r}); "
        "relax corpus.quality or corpus.languages"
    )


def _part(shard: DocumentShard, places: dict[str, float]) -> Columns:
    columns = load_columns(shard, NAMES)
    aside, alive = held_out(columns, places), columns["reason"] == ""
    return {"split": np.where(alive, np.where(aside, "heldout", "train"), "").astype(object)}


def _write_held(shard: DocumentShard, folder: Path) -> None:
    """The held-out documents' n-grams, end to end, and per document its number and how many it has."""
    rows = np.flatnonzero(load_columns(shard, ["split"])["split"] == "heldout")
    grams, owners = ngrams_of(texts(shard, rows))
    files.save_array(_grams(folder, shard), grams)
    counts = np.bincount(owners, minlength=len(rows)) if len(rows) else np.zeros(0, np.int64)
    files.save_array(_owners(folder, shard), np.stack((shard.first + rows, counts)))


def _merge_held(shards: list[DocumentShard], folder: Path) -> tuple[Any, NDArray[np.int64], NDArray[np.int64]]:
    """N-grams of all held-out documents, which of them each belongs to, and their numbers."""
    grams = np.concatenate([np.load(_grams(folder, shard)) for shard in shards])
    documents, counts = np.concatenate([np.load(_owners(folder, shard)) for shard in shards], axis=1)
    return grams, np.repeat(np.arange(len(documents)), counts), documents


def _write_seen(shard: DocumentShard, folder: Path, sought: Path, index: Path | None) -> None:
    """Which held-out n-grams the shard's training documents have; and of each of these that holds benchmarks'
    items its number, and the numbers of item and benchmark, a row for each item."""
    train = np.flatnonzero(load_columns(shard, ["split"])["split"] == "train")
    hits = list(found_in(index, texts(shard, train))) if index else [[] for _ in train]
    bad = np.array([bool(here) for here in hits], bool)
    found = [(shard.first + row, *hit) for row, here in zip(train, hits, strict=True) for hit in here]
    grams = np.load(sought)
    seen = seen_in(grams, texts(shard, train[~bad])) if len(grams) else grams
    files.save_array(_seen(folder, shard), seen)
    files.save_array(_benchmarked(folder, shard), np.array(found, np.int64).reshape(-1, 3))


def _benchmarks(
    corpus: CorpusConfig, shards: list[DocumentShard], folder: Path, index: Path
) -> list[dict[str, int | str]]:
    """What the audit says of each file of benchmarks."""
    found = np.concatenate([np.load(_benchmarked(folder, shard)) for shard in shards])
    items = load_index(index).items
    result: list[dict[str, int | str]] = []
    for number, file in enumerate(benchmark_files(corpus)):
        mine, here = items["benchmark"] == number, found[found[:, 2] == number]
        result.append(
            {
                "name": file.relative_to(corpus.root).as_posix(),
                "items": int(mine.sum()),
                "too_short": int((mine & ~items["sought"]).sum()),
                "items_found": len(np.unique(here[:, 1])),
                "documents": len(np.unique(here[:, 0])),
            }
        )
    return result


def _drop(shard: DocumentShard, overlapping: NDArray[np.int64], folder: Path) -> Columns:
    """``overlapping`` are held-out documents that share too much with training; ascending."""
    columns = load_columns(shard, ["reason", "split"])
    low, high = np.searchsorted(overlapping, (shard.first, shard.first + shard.rows))
    benchmarked = np.unique(np.load(_benchmarked(folder, shard))[:, 0])
    for documents, reason in ((overlapping[low:high], "overlaps training"), (benchmarked, "benchmark text")):
        rows = documents - shard.first
        columns["reason"][rows], columns["split"][rows] = reason, ""
    return {"reason": columns["reason"], "split": columns["split"]}


def _size(shard: DocumentShard) -> int:
    return shard.size


def _grams(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"grams-{shard.number:05d}.npy"


def _owners(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"held-{shard.number:05d}.npy"


def _seen(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"seen-{shard.number:05d}.npy"


def _benchmarked(folder: Path, shard: DocumentShard) -> Path:
    return folder / f"benchmarked-{shard.number:05d}.npy"
