"""The way of one document through curation: every measure beside its limit, copies, personal data, split."""

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from altiplano.corpus.documents import LIGHT, Columns
from altiplano.corpus.filters.heuristics import uncertain, unknown, wanted
from altiplano.corpus.filters.limits import limits_by_document, limits_of
from altiplano.execution import files
from altiplano.inspect.curated_run import Curated, rows
from altiplano.optional_imports import extra

MEMBERS = 20
"""Copies that are listed."""


@dataclass(frozen=True)
class Check:
    """A rule that was asked: ``value`` may be at most (``largest``) or at least ``limit``."""

    reason: str
    value: float
    limit: float
    largest: bool
    passed: bool


def trace(curated: Curated, row: dict[str, Any]) -> dict[str, Any]:
    """Everything that is known about the document whose row ``documents.find`` gave."""
    group = next((g for g in curated.groups if (g.domain, g.language) == (row["domain"], row["language"])), None)
    names = ("id", "source", "url", "domain", "language", "code_language", "keep", "reason", "split", "text")
    sizes = ("characters", "words", "bytes")
    return {
        **{name: row[name] for name in names},
        "language_identified": {
            name: row[name] for name in ("language", "language_score", "second_language", "english", "declared")
        },
        "size": {name: row[name] for name in sizes},
        "limits_from": {"basis": group.basis, "trusted": group.trusted} if group else None,
        "checks": [asdict(check) for check in checks(curated, row)],
        "perplexity": perplexity(curated, row),
        "personal_data": personal_data(curated, row),
        "copies": copies(curated, row),
    }


def checks(curated: Curated, row: dict[str, Any]) -> list[Check]:
    """The rules of language and heuristics as they are asked: the first that failed names the reason.

    Limits that do not apply to the document are left out.
    """
    columns: Columns = {name: np.array([row[name]], _kind(row[name])) for name in LIGHT}
    quality, code = curated.corpus.quality, row["domain"] == "code"
    found = []
    if not code:
        least = quality.min_language_score
        if unknown(columns, least)[0]:
            found.append(Check("no known language", math.nan, math.nan, False, False))
        languages = curated.corpus.languages
        if languages and not wanted(columns["language"], languages)[0]:
            found.append(Check("language not wanted", math.nan, math.nan, False, False))
        doubtful = bool(uncertain(columns, least)[0])
        found.append(Check("language uncertain", float(row["language_score"]), least, False, not doubtful))
    short = row["characters"] < quality.min_characters
    found.append(Check("too short", row["characters"], quality.min_characters, False, not short))
    limits = limits_by_document(columns, curated.groups)
    for limit in limits_of(quality.code if code else quality.prose):
        bound = limit.general if code else limits(limit.column)
        broken = bool(limit.broken(columns[limit.column], bound)[0])
        value, most = float(row[limit.column]), float(np.atleast_1d(bound)[0])
        if not math.isnan(value) and not math.isnan(most):
            found.append(Check(limit.reason, value, most, limit.largest, not broken))
    return found


def _kind(value: Any) -> Any:
    """As in the files: annotations are float32, which decides at a limit's edge."""
    return object if isinstance(value, str) else np.float32 if isinstance(value, float) else None


def perplexity(curated: Curated, row: dict[str, Any]) -> dict[str, Any] | None:
    """With the ranks of its domain × language; None where it was not scored."""
    if row["perplexity"] is None or math.isnan(row["perplexity"]):
        return None
    ranks = curated.audit.perplexity.get(f"{row['domain']}.{row['language']}")
    return {"value": row["perplexity"], "bucket": row["bucket"], **(ranks.as_json() if ranks else {})}


def personal_data(curated: Curated, row: dict[str, Any]) -> dict[str, Any]:
    """Pieces found, how many of each kind were removed, and their number per 1,000 characters."""
    path = curated.folder / "personal_data" / row["part"].name
    kinds: Counter[str] = Counter()
    if row["personal_spans"] and path.exists():
        of_document = extra("pyarrow.dataset").field("document") == row["id"]
        kinds.update(files.read_table(path, ["kind"], of_document)["kind"].to_pylist())
    return {
        "found": row["personal_spans"],
        "removed": dict(sorted(kinds.items())),
        "per_1000_characters": row["personal_data"],
    }


def copies(curated: Curated, row: dict[str, Any]) -> dict[str, Any]:
    """The documents with (nearly) the same text, and which of them stayed for this one (None: none did)."""
    same = extra("pyarrow.dataset").field("cluster") == row["cluster"]
    count, kept = 0, row["id"] if row["keep"] else row["copy_of"] or None
    others: list[dict[str, Any]] = []
    for member in rows(curated.parts, ["id", "source", "url", "keep", "reason"], same):
        count += 1
        if member["id"] != row["id"] and len(others) < MEMBERS:
            others.append(member)
    return {"cluster": row["cluster"], "documents": count, "kept": kept, "others": others}
