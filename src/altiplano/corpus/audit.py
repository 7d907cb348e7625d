"""What happened to the raw text: the numbers behind the report's funnel, and text by which to judge each rule."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.columns import Columns
from altiplano.corpus.decisions import STEPS, group_names
from altiplano.corpus.samples import samples
from altiplano.corpus.thresholds import Group, limits_of
from altiplano.corpus.untranslated import untranslated
from altiplano.recipe.schema import Corpus


def audit(
    columns: Columns,
    shards: list[Path],
    counted: list[dict[str, Any]],
    overlap: dict[str, Any],
    salt: str,
    corpus: Corpus,
    groups: list[Group],
) -> dict[str, Any]:
    """``columns`` with their decisions; ``counted`` are the shards' counts; ``groups`` the limits that were applied."""
    raw = {"documents": sum(c["documents"] for c in counted), "bytes": sum(c["bytes"] for c in counted)}
    found: Counter[str] = Counter()
    for counts in counted:
        found.update(counts["personal_data"])
    return {
        "raw": raw,
        "funnel": [{"step": "read", **raw}, *_funnel(columns)],
        "groups": _groups(columns),
        "dropped": _tally(columns, columns["reason"] != "", ("reason", "domain", "language")),
        "kept": _tally(columns, columns["keep"], ("domain", "language", "split")),
        "thresholds": _thresholds(groups, corpus),
        "untranslated": untranslated(columns, shards),
        "personal_data": dict(sorted(found.items())),
        "bad_records": _bad(counted),
        "heldout_overlap": overlap,
        "examples": samples(columns, shards, corpus, groups),
        "salt": salt,
    }


def _funnel(columns: Columns) -> list[dict[str, Any]]:
    """What is left after each step. Text that was cut into several documents counts as several from here on."""
    left = np.ones(len(columns["id"]), bool)
    steps = []
    for step, reasons in STEPS:
        left &= ~np.isin(columns["reason"], reasons)
        steps.append({"step": step, "documents": int(left.sum()), "bytes": int(columns["bytes"][left].sum())})
    return steps


def _groups(columns: Columns) -> list[dict[str, Any]]:
    """The funnel of each domain × language: documents at first and after each step."""
    names, group = np.unique(group_names(columns).astype(str), return_inverse=True)
    left = np.ones(len(group), bool)
    counts = [np.bincount(group, minlength=len(names))]
    for _, reasons in STEPS:
        left &= ~np.isin(columns["reason"], reasons)
        counts.append(np.bincount(group, left, len(names)).astype(np.int64))
    table = np.stack(counts, axis=1).tolist() if len(names) else []
    return [{"group": str(name), "documents": row} for name, row in zip(names, table, strict=True)]


def _tally(columns: Columns, which: NDArray[np.bool_], keys: tuple[str, ...]) -> list[dict[str, Any]]:
    documents: Counter[tuple[str, ...]] = Counter()
    size: Counter[tuple[str, ...]] = Counter()
    for *group, length in zip(*(columns[key][which] for key in keys), columns["bytes"][which].tolist(), strict=True):
        documents[tuple(group)] += 1
        size[tuple(group)] += length
    return [
        {**dict(zip(keys, group, strict=True)), "documents": documents[group], "bytes": size[group]}
        for group in sorted(documents)
    ]


def _thresholds(groups: list[Group], corpus: Corpus) -> dict[str, Any]:
    """The general limits, and for each domain × language its basis and those that gave way to trusted text."""
    general = {limit.column: limit for limit in limits_of(corpus.quality.prose)}
    return {
        "trusted_share": corpus.quality.trusted_share,
        "general": [
            {"column": column, "largest": limit.largest, "limit": limit.general} for column, limit in general.items()
        ],
        "groups": [
            {
                "domain": group.domain,
                "language": group.language,
                "basis": group.basis,
                "trusted": group.trusted,
                "limits": _moved(group.limits, general),
            }
            for group in groups
        ],
    }


def _moved(limits: Mapping[str, float], general: Mapping[str, Any]) -> dict[str, float]:
    return {column: value for column, value in limits.items() if value != general[column].general}


def _bad(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for counts in counted:
        for bad in counts["bad"]:
            entry = merged.setdefault(
                (counts["source"], bad["reason"]), {"source": counts["source"], **bad, "count": 0}
            )
            entry["count"] += bad["count"]
    return [merged[key] for key in sorted(merged)]
