"""The curate stage on one page: from raw files to training and held-out documents, resumable at every shard.

Each step writes files under ``folder/steps`` that are whole or absent and depend on nothing but the recipe, the seed,
the raw files and the caller's functions. A run that was killed finds them and goes on; neither the engine nor the
number of processes changes anything. A step adds columns to the documents' shards, which the later steps read.
"""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from altiplano.corpus.annotate import (
    COLUMNS,
    annotate_shard,
    column_types,
    counts_path,
    personal_path,
    shard_path,
    skip_shard,
)
from altiplano.corpus.audit.audit import audit
from altiplano.corpus.classifier.classify import classify, drop_unlike
from altiplano.corpus.deduplication.clusters import find_clusters
from altiplano.corpus.deduplication.repeated_text import remove_repeated_text
from altiplano.corpus.deduplication.survivors import drop_duplicates
from altiplano.corpus.documents import LIGHT, DocumentShard, numbered, sample
from altiplano.corpus.extensions import Annotator, Extensions, Filter
from altiplano.corpus.filters.filter_documents import filter_documents
from altiplano.corpus.filters.heuristics import prose_groups
from altiplano.corpus.perplexity.ranks import drop_worst
from altiplano.corpus.perplexity.scoring import score
from altiplano.corpus.pii.detect import salt_of
from altiplano.corpus.publish import part_path, publish_documents
from altiplano.corpus.readers.listing import ShardTask, inputs, plan
from altiplano.corpus.readers.read import Reader
from altiplano.corpus.reserved_sites import find_reserved_sites
from altiplano.corpus.splits.split import split
from altiplano.errors import InputError
from altiplano.execution import files
from altiplano.execution.base import Engine
from altiplano.execution.map_shards import map_shards, open_engine
from altiplano.optional_imports import require
from altiplano.recipe.load import check_formats
from altiplano.recipe.schema import CorpusConfig
from altiplano.recipe.units import human_bytes
from altiplano.records import Audit
from altiplano.storage import listed, read_json, remove_temporaries, remove_tree

# So many lost records never stop a run: a share means nothing in a handful.
A_FEW = 10


def curate(
    corpus: CorpusConfig,
    seed: int,
    folder: Path,
    workers: int | None = None,
    engine: str = "local",
    before: Path | None = None,
    *,
    filters: Sequence[Filter] = (),
    annotators: Sequence[Annotator] = (),
    readers: Mapping[str, Reader] | None = None,
) -> dict[str, int]:
    """Write documents, hashes of personal data, counts, inputs and the audit into ``folder``; return counts.

    ``before`` is an earlier result of this run: what it annotated in the same way is taken from it. ``filters`` are
    asked about documents that pass the recipe's rules, ``annotators`` add columns, ``readers`` read the sources whose
    ``format`` they are named by; all are functions of a module (``extensions.py``), and editing one counts as a change.

    Raises InputError, naming the key or the function, when there is nothing to read, too much of it is broken, nothing
    is left, or a function cannot be used.
    """
    require()
    extensions = Extensions(tuple(filters), tuple(annotators), dict(readers or {}))
    check_formats(corpus, extensions.readers)
    column_types(extensions)
    listing = inputs(corpus)
    whole, annotation = _fingerprints(corpus, seed, listing, extensions)
    steps = folder / "steps"
    if not _finished(folder, whole):
        _start_or_resume(folder, steps, whole)
        if before is not None:
            _take_annotations(before, steps, annotation)
        with open_engine(engine, workers) as opened:
            result = _steps(corpus, seed, folder, steps, opened, extensions)
        files.write_json(folder / "inputs.json", {"fingerprint": whole, "annotation": annotation, **listing})
        result.write(folder / "audit.json")  # last: its presence means that all is there
    remove_tree(steps)
    return _counts(Audit.read(folder / "audit.json"))


def _steps(corpus: CorpusConfig, seed: int, folder: Path, steps: Path, engine: Engine, extensions: Extensions) -> Audit:
    """Every step in order; returns the audit."""
    quality, salt = corpus.quality, salt_of(seed)
    shards, counted = _read_and_annotate(corpus, salt, steps, engine, extensions)
    shards = remove_repeated_text(shards, corpus, extensions, steps, engine)

    groups = prose_groups(sample("sample", shards, LIGHT, steps / "sample", engine), corpus)
    names = [name for name in column_types(extensions) if name != "text"]
    shards = filter_documents(shards, corpus, groups, extensions.filters, names, steps, engine)
    shards = find_clusters(shards, _earlier(corpus, shards), corpus.deduplication, steps, engine)
    shards = score(shards, quality, seed, steps, engine)
    shards = classify(shards, quality.classifier, seed, steps, engine)
    shards, ranks = drop_worst(shards, quality.perplexity_drop, steps, engine)
    shards, least = drop_unlike(shards, quality.classifier, steps, engine)
    shards = drop_duplicates(shards, corpus, steps, engine)
    shards, overlap = split(shards, corpus, steps, engine)

    publish_documents(shards, folder / "documents", engine)
    for shard in shards:
        files.link(personal_path(steps, shard.number), part_path(folder / "personal_data", shard))
    files.write_json(folder / "counts.json", counted)
    parts = [replace(shard, path=part_path(folder / "documents", shard), added=()) for shard in shards]
    return audit(parts, counted, overlap, salt, corpus, groups, ranks, least, steps, engine)


def _read_and_annotate(
    corpus: CorpusConfig, salt: str, steps: Path, engine: Engine, extensions: Extensions
) -> tuple[list[DocumentShard], list[dict[str, Any]]]:
    """The annotated shards, and what was read and lost for each."""
    tasks, run = plan(corpus), time.time_ns()
    sites = find_reserved_sites(tasks, steps, engine) if any(source.robots for source in corpus.sources) else None
    map_shards(
        "reading",
        partial(annotate_shard, corpus=corpus, salt=salt, folder=steps, extensions=extensions, sites=sites, run=run),
        tasks,
        lambda task: counts_path(steps, task.number),
        lambda task: task.size,
        engine,
        partial(skip_shard, folder=steps, extensions=extensions),
    )
    counted = [read_json(counts_path(steps, task.number)) for task in tasks]
    _check_readable(corpus, tasks, counted)
    return numbered([shard_path(steps, task.number) for task in tasks]), counted


def _earlier(corpus: CorpusConfig, shards: list[DocumentShard]) -> list[DocumentShard]:
    """The documents of earlier runs. Raises InputError when a folder has none."""
    found: list[Path] = []
    for folder in corpus.deduplication.against:
        parts = listed(folder / "documents", "part-*.parquet")
        if not parts or not (folder / "audit.json").exists():
            raise InputError(f"corpus.deduplication.against: {folder} is no finished curate folder (runs/NAME/curate)")
        found += parts
    return numbered(found, shards[-1].first + shards[-1].rows, len(shards), earlier=True)


def _fingerprints(corpus: CorpusConfig, seed: int, listing: dict[str, Any], extensions: Extensions) -> tuple[str, str]:
    """Of all that determines the result, and of all that determines the annotations; where the corpus lies does not."""
    settings: dict[str, Any] = corpus.model_dump(mode="json", exclude={"root"})
    later = ("quality", "languages", "deduplication", "heldout", "benchmarks", "max_bad_records")
    read = {name: value for name, value in settings.items() if name not in later}
    read["quality"] = {name: settings["quality"][name] for name in ("max_characters", "word_lists")}

    def digest(*parts: Any) -> str:
        return hashlib.sha256(json.dumps([*parts, seed, listing], sort_keys=True).encode()).hexdigest()

    own = extensions.fingerprint(filters=True), extensions.fingerprint(filters=False)
    return digest(settings, *own[0]), digest(read, sorted(COLUMNS), *own[1])


def _finished(folder: Path, fingerprint: str) -> bool:
    done = folder / "inputs.json"
    return (folder / "audit.json").exists() and done.exists() and read_json(done)["fingerprint"] == fingerprint


def _start_or_resume(folder: Path, steps: Path, fingerprint: str) -> None:
    """Keep the steps of an interrupted run of the same thing; clear away anything else of ours."""
    begun = steps / "fingerprint.json"
    if not begun.exists() or read_json(begun) != fingerprint:
        for path in (steps, folder / "documents", folder / "personal_data"):
            remove_tree(path)
        for name in ("audit.json", "inputs.json", "counts.json"):
            (folder / name).unlink(missing_ok=True)
        files.write_json(begun, fingerprint)
    remove_temporaries(folder)


def _take_annotations(before: Path, steps: Path, annotation: str) -> None:
    """Another threshold needs no other annotations: an earlier result's documents are the shards, by hard link."""
    done = before / "inputs.json"
    if not done.exists() or read_json(done).get("annotation") != annotation or counts_path(steps, 0).exists():
        return
    for number, counts in enumerate(read_json(before / "counts.json")):
        files.link(before / "documents" / f"part-{number:05d}.parquet", shard_path(steps, number))
        files.link(before / "personal_data" / f"part-{number:05d}.parquet", personal_path(steps, number))
        files.write_json(counts_path(steps, number), counts)


def _check_readable(corpus: CorpusConfig, tasks: list[ShardTask], counted: list[dict[str, Any]]) -> None:
    lost, read = sum(c["lost"] for c in counted), sum(c["documents"] for c in counted)
    worst = max((bad for c in counted for bad in c["bad"]), key=lambda bad: bad["count"], default=None)
    what = f" (most often: {worst['reason']}, such as {worst['example']})" if worst else ""
    for source in corpus.sources:
        if not any(c["documents"] for task, c in zip(tasks, counted, strict=True) if task.source == source):
            raise InputError(
                f"corpus.sources {source.name!r}: {source.path!r} matches no {source.format} document{what}; "
                "check path and format"
            )
    skipped = sum(c["given_up_bytes"] for c in counted)
    if skipped > corpus.max_bad_records * sum(task.size for task in tasks):
        raise InputError(
            f"corpus.max_bad_records: {human_bytes(skipped)} of raw files cannot be read{what}; "
            "repair them or allow more"
        )
    if lost > max(A_FEW, corpus.max_bad_records * (lost + read)):
        raise InputError(
            f"corpus.max_bad_records: {lost:,} of {lost + read:,} records cannot be read{what}; "
            "repair them or allow more"
        )


def _counts(result: Audit) -> dict[str, int]:
    splits = ("train", "heldout")
    total = {name: sum(group.documents for group in result.kept if group.split == name) for name in splits}
    size = {name: sum(group.bytes for group in result.kept if group.split == name) for name in splits}
    return {
        "raw_documents": result.raw.documents,
        "raw_bytes": result.raw.bytes,
        "documents": sum(total.values()),
        "bytes": sum(size.values()),
        "train_documents": total["train"],
        "train_bytes": size["train"],
        "heldout_documents": total["heldout"],
        "heldout_bytes": size["heldout"],
        "personal_data": sum(result.personal_data.values()),
        "bad_records": sum(bad.count for bad in result.bad_records),
    }
