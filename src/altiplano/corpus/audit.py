"""What happened to the raw text: the numbers behind the report's funnel."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus.columns import Columns, texts
from altiplano.corpus.decisions import STEPS
from altiplano.corpus.shards import EXAMPLE

EXAMPLES = 3
"""Per reason."""


def audit(
    columns: Columns, shards: list[Path], counted: list[dict[str, Any]], overlap: dict[str, Any], salt: str
) -> dict[str, Any]:
    """``columns`` with their decisions; ``counted`` are the shards' counts."""
    raw = {"documents": sum(c["documents"] for c in counted), "bytes": sum(c["bytes"] for c in counted)}
    found: Counter[str] = Counter()
    for counts in counted:
        found.update(counts["personal_data"])
    return {
        "raw": raw,
        "funnel": [{"step": "read", **raw}, *_funnel(columns)],
        "dropped": _tally(columns, columns["reason"] != "", ("reason", "domain", "language")),
        "kept": _tally(columns, columns["keep"], ("domain", "language", "split")),
        "personal_data": dict(sorted(found.items())),
        "bad_records": _bad(counted),
        "heldout_overlap": overlap,
        "examples": _examples(columns, shards),
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


def _tally(columns: Columns, which: Any, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    documents: Counter[tuple[str, ...]] = Counter()
    size: Counter[tuple[str, ...]] = Counter()
    for *group, length in zip(*(columns[key][which] for key in keys), columns["bytes"][which].tolist(), strict=True):
        documents[tuple(group)] += 1
        size[tuple(group)] += length
    return [
        {**dict(zip(keys, group, strict=True)), "documents": documents[group], "bytes": size[group]}
        for group in sorted(documents)
    ]


def _bad(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for counts in counted:
        for bad in counts["bad"]:
            entry = merged.setdefault(
                (counts["source"], bad["reason"]), {"source": counts["source"], **bad, "count": 0}
            )
            entry["count"] += bad["count"]
    return [merged[key] for key in sorted(merged)]


def _examples(columns: Columns, shards: list[Path]) -> list[dict[str, str]]:
    chosen: list[int] = []
    for reason in sorted(set(columns["reason"]) - {"", "no text"}):
        members = np.flatnonzero(columns["reason"] == reason)
        chosen += members[np.argsort(columns["id"][members])][:EXAMPLES].tolist()
    found = dict(texts(columns, np.array(chosen, np.int64), shards))
    return [
        {
            "reason": str(columns["reason"][document]),
            "text": found[document][:EXAMPLE],
            "source": str(columns["source"][document]),
            "language": str(columns["language"][document]),
        }
        for document in chosen
    ]
