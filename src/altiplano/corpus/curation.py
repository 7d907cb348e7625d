"""The curate stage on one page: from raw files to decided documents, resumable at every shard.

Each step writes files under ``folder/steps`` that are whole or absent and depend on nothing but the recipe, the seed
and the raw files. A run that was killed finds them and goes on; neither the engine nor the number of processes changes
anything. What is decided about a document is computed from its columns whenever it is needed (``decided.py``); only
what documents have to do with one another is stored.
"""

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from altiplano.corpus import documents as cols
from altiplano.corpus import filters
from altiplano.corpus.annotate import annotate_shard, counts_path, give_up_shard, personal_path, shard_path
from altiplano.corpus.audit.audit import audit
from altiplano.corpus.deduplication.clusters import choose, find_clusters
from altiplano.corpus.deduplication.repeated_text import cut_repeats
from altiplano.corpus.documents import Shard, numbered
from altiplano.corpus.execution import files
from altiplano.corpus.execution.engine import Engine, map_shards, open_engine
from altiplano.corpus.filtered import Rules, decide
from altiplano.corpus.perplexity.scoring import score
from altiplano.corpus.pii.detect import salt_of
from altiplano.corpus.publish import part_path, publish_documents
from altiplano.corpus.readers.listing import Task, inputs, plan
from altiplano.corpus.splits import split
from altiplano.errors import InputError
from altiplano.optional_imports import require
from altiplano.recipe.schema import CorpusConfig
from altiplano.recipe.units import human_bytes
from altiplano.records import Audit
from altiplano.storage import read_json, remove_temporaries

# So many lost records never stop a run: a share means nothing in a handful.
A_FEW = 10

SAMPLE = 2000
"""Documents per domain × language that thresholds, ranks and the audit's excerpts come from."""


def curate(
    corpus: CorpusConfig,
    seed: int,
    folder: Path,
    workers: int | None = None,
    engine: str = "local",
    before: Path | None = None,
) -> dict[str, int]:
    """Write documents, hashes of personal data, counts, inputs and the audit into ``folder``; return counts.

    ``before`` is an earlier result of this run: what it annotated in the same way is taken from it. Raises InputError,
    naming the key, when there is nothing to read, too much of it is broken, or nothing is left.
    """
    require()
    listing = inputs(corpus)
    whole, annotation = _fingerprints(corpus, seed, listing)
    steps = folder / "steps"
    if not _finished(folder, whole):
        _start_or_resume(folder, steps, whole)
        if before is not None:
            _take_annotations(before, steps, annotation)
        with open_engine(engine, workers) as opened:
            result = _steps(corpus, seed, folder, steps, opened)
        files.write_json(folder / "inputs.json", {"fingerprint": whole, "annotation": annotation, **listing})
        result.write(folder / "audit.json")  # last: its presence means that all is there
    shutil.rmtree(steps, ignore_errors=True)
    return _counts(Audit.read(folder / "audit.json"))


def _steps(corpus: CorpusConfig, seed: int, folder: Path, steps: Path, engine: Engine) -> Audit:
    """Read, annotate, decide, publish; returns the audit."""
    salt = salt_of(seed)
    tasks = plan(corpus)
    map_shards(
        "reading",
        partial(annotate_shard, corpus=corpus, salt=salt, folder=steps),
        tasks,
        lambda task: counts_path(steps, task.number),
        lambda task: task.size,
        engine,
        partial(give_up_shard, folder=steps),
    )
    counted = [read_json(counts_path(steps, task.number)) for task in tasks]
    _check_readable(corpus, tasks, counted)
    shards = numbered([shard_path(steps, task.number) for task in tasks])
    shards = cut_repeats(shards, corpus, steps, engine)
    everything = [*shards, *_earlier(corpus, shards)]

    groups = filters.prose_groups(cols.sample(shards, cols.load_columns, SAMPLE), corpus)
    rules = Rules(corpus, groups, steps)
    rules = replace(rules, clusters=find_clusters(everything, rules, engine))
    rules = replace(rules, scores=score(shards, rules, seed, engine))
    ranks = filters.perplexity_ranks(
        cols.sample(shards, partial(decide, rules=rules), SAMPLE), corpus.quality.perplexity_drop
    )
    rules = replace(rules, ranks=ranks)
    rules = replace(rules, dropped_duplicates=choose(shards, rules))
    _check_left(shards, rules)
    parted, overlap = split(shards, rules, engine)

    publish_documents(shards, rules, parted, folder / "documents", engine)
    for shard in shards:
        files.link(personal_path(steps, shard.number), part_path(folder / "personal_data", shard))
    files.write_json(folder / "counts.json", counted)
    parts = [replace(shard, path=part_path(folder / "documents", shard)) for shard in shards]
    return audit(parts, counted, overlap, salt, corpus, groups, ranks, SAMPLE)


def _earlier(corpus: CorpusConfig, shards: list[Shard]) -> list[Shard]:
    """The documents of earlier runs. Raises InputError when a folder has none."""
    found: list[Path] = []
    for folder in corpus.deduplication.against:
        parts = sorted((folder / "documents").glob("part-*.parquet"))
        if not parts or not (folder / "audit.json").exists():
            raise InputError(f"corpus.deduplication.against: {folder} is no finished curate folder (runs/NAME/curate)")
        found += parts
    return numbered(found, shards[-1].first + shards[-1].rows, len(shards), earlier=True)


def _fingerprints(corpus: CorpusConfig, seed: int, listing: dict[str, Any]) -> tuple[str, str]:
    """Of all that determines the result, and of all that determines the annotations; where the corpus lies does not."""
    settings: dict[str, Any] = corpus.model_dump(mode="json", exclude={"root"})
    later = ("quality", "languages", "deduplication", "heldout", "benchmarks", "max_bad_records")
    read = {name: value for name, value in settings.items() if name not in later}
    read["quality"] = {name: settings["quality"][name] for name in ("max_characters", "word_lists")}

    def digest(*parts: Any) -> str:
        return hashlib.sha256(json.dumps([*parts, seed, listing], sort_keys=True).encode()).hexdigest()

    return digest(settings), digest(read, sorted(cols.COLUMNS))


def _finished(folder: Path, fingerprint: str) -> bool:
    done = folder / "inputs.json"
    return (folder / "audit.json").exists() and done.exists() and read_json(done)["fingerprint"] == fingerprint


def _start_or_resume(folder: Path, steps: Path, fingerprint: str) -> None:
    """Keep the steps of an interrupted run of the same thing; clear away anything else of ours."""
    begun = steps / "fingerprint.json"
    if not begun.exists() or read_json(begun) != fingerprint:
        for path in (steps, folder / "documents", folder / "personal_data"):
            shutil.rmtree(path, ignore_errors=True)
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


def _check_readable(corpus: CorpusConfig, tasks: list[Task], counted: list[dict[str, Any]]) -> None:
    lost, read = sum(c["lost"] for c in counted), sum(c["documents"] for c in counted)
    worst = max((bad for c in counted for bad in c["bad"]), key=lambda bad: bad["count"], default=None)
    what = f" (most often: {worst['reason']}, such as {worst['example']})" if worst else ""
    for source in corpus.sources:
        if not any(c["documents"] for task, c in zip(tasks, counted, strict=True) if task.source == source):
            raise InputError(
                f"corpus.sources {source.name!r}: {source.path!r} matches no {source.format} document{what}; "
                "check path and format"
            )
    given_up = sum(c["given_up_bytes"] for c in counted)
    if given_up > corpus.max_bad_records * sum(task.size for task in tasks):
        raise InputError(
            f"corpus.max_bad_records: {human_bytes(given_up)} of raw files cannot be read{what}; "
            "repair them or allow more"
        )
    if lost > max(A_FEW, corpus.max_bad_records * (lost + read)):
        raise InputError(
            f"corpus.max_bad_records: {lost:,} of {lost + read:,} records cannot be read{what}; "
            "repair them or allow more"
        )


def _check_left(shards: list[Shard], rules: Rules) -> None:
    """Raise InputError, with the most frequent reason, when every document is dropped."""
    reasons: dict[str, int] = {}
    for shard in shards:
        for reason in decide(shard, rules)["reason"].tolist():
            if not reason:
                return
            reasons[reason] = reasons.get(reason, 0) + 1
    name = max(sorted(reasons), key=lambda reason: reasons[reason])
    raise InputError(
        f"corpus.quality keeps none of {sum(reasons.values()):,} documents ({reasons[name]:,} dropped as {name!r}); "
        "relax corpus.quality or corpus.languages"
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
