"""What happened to the raw text: the numbers of the report's funnel, and examples of what each filter dropped."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from altiplano.corpus.audit.balance import balances
from altiplano.corpus.audit.examples import disagreements, samples, untranslated
from altiplano.corpus.classifier.classify import unlike
from altiplano.corpus.deduplication.survivors import COPIES
from altiplano.corpus.documents import (
    LIGHT,
    SAMPLE,
    Columns,
    DocumentShard,
    group_names,
    load_columns,
    sample,
    summarise,
)
from altiplano.corpus.filters.heuristics import HEURISTICS, LANGUAGE_REASONS
from altiplano.corpus.filters.limits import WEB_ONLY, GroupLimits, limits_of
from altiplano.corpus.perplexity.ranks import PerplexityRanks
from altiplano.corpus.publish import FILTERED
from altiplano.execution.base import Engine
from altiplano.recipe.quality import ClassifierConfig
from altiplano.recipe.schema import CorpusConfig
from altiplano.records import Audit, Thresholds

FUNNEL = (
    ("extracted", ("no text",)),
    ("language", LANGUAGE_REASONS),
    ("heuristics", HEURISTICS),
    ("perplexity", ("perplexity",)),
    ("classifier", ("classifier",)),
    ("exact duplicates", COPIES[:1]),
    ("near duplicates", COPIES[1:]),
    ("held-out overlap", ("overlaps training",)),
    ("decontamination", ("benchmark text",)),
)
"""Each step and the reasons it drops documents for. Reasons of the caller's filters come after the heuristics."""

VERDICTS = ("both_keep", "only_perplexity_drops", "only_classifier_drops", "both_drop")

KEY = ("domain", "language", "reason", "split")
Key = tuple[str, str, str, str]


@dataclass
class Tally:
    """Documents and bytes of text by domain, language, reason and split: small, however large the corpus."""

    documents: Counter[Key] = field(default_factory=Counter)
    bytes: Counter[Key] = field(default_factory=Counter)

    def add(self, columns: Columns) -> None:
        """``documents`` is how many a row stands for."""
        names = (columns[name].tolist() for name in (*KEY, "documents", "bytes"))
        for domain, language, reason, split, documents, size in zip(*names, strict=True):
            self.documents[domain, language, reason, split] += documents
            self.bytes[domain, language, reason, split] += size

    def columns(self) -> Columns:
        """A row per key."""
        keys = list(self.documents)
        found = {name: np.array([key[at] for key in keys], object) for at, name in enumerate(KEY)}
        for name, counts in (("documents", self.documents), ("bytes", self.bytes)):
            found[name] = np.array([counts[key] for key in keys], np.int64)
        return found

    def by(self, kept: bool, *names: str) -> list[dict[str, Any]]:
        """Kept or dropped documents, summed up by some of the key's parts."""
        places = [KEY.index(name) for name in names]
        sums: dict[tuple[str, ...], list[int]] = {}
        for key, documents in self.documents.items():
            if (key[2] == "") == kept:
                entry = sums.setdefault(tuple(key[at] for at in places), [0, 0])
                entry[0] += documents
                entry[1] += self.bytes[key]
        return [
            {**dict(zip(names, group, strict=True)), "documents": sums[group][0], "bytes": sums[group][1]}
            for group in sorted(sums)
        ]

    def left(self) -> Iterator[tuple[str, Counter[str], int]]:
        """After each step: its name, documents by ``domain.language``, and bytes of text in all."""
        known = {reason for _, reasons in FUNNEL for reason in reasons}
        own = tuple(sorted({key[2] for key in self.documents} - known - {""}))
        own_step = (("filters", own),) if own else ()
        gone: set[str] = set()
        for step, reasons in (("", ()), *FUNNEL[:3], *own_step, *FUNNEL[3:]):
            if step == "classifier" and not any(key[2] == step for key in self.documents):
                continue  # few recipes have one
            gone.update(reasons)
            documents: Counter[str] = Counter()
            size = 0
            for key, count in self.documents.items():
                if key[2] not in gone:
                    documents[f"{key[0]}.{key[1]}"] += count
                    size += self.bytes[key]
            yield step, documents, size


def audit(
    parts: list[DocumentShard],
    counted: list[dict[str, Any]],
    overlap: dict[str, Any],
    salt: str,
    corpus: CorpusConfig,
    groups: list[GroupLimits],
    ranks: Mapping[str, PerplexityRanks],
    least: Mapping[str, float],
    steps: Path,
    engine: Engine,
) -> Audit:
    """Of the published parts. ``counted`` are the shards' counts; ``groups``, ``ranks`` and the classifier's ``least``
    are the limits that were applied. Excerpts are of at most ``SAMPLE`` documents of each domain × language."""
    raw = {"documents": sum(c["documents"] for c in counted), "bytes": sum(c["bytes"] for c in counted)}
    found: Counter[str] = Counter()
    for counts in counted:
        found.update(counts["personal_data"])
    tally = Tally()
    for counts in summarise("counts", _tally, parts, steps / "tally", engine):
        tally.add(counts)
    some = sample("examples", parts, [*LIGHT, *FILTERED], steps / "examples", engine)
    left = list(tally.left())
    return Audit.model_validate(
        {
            "raw": raw,
            # of the documents after long ones were cut, as in every other step: shares of one another make sense then
            "funnel": [
                {"step": "read", "documents": sum(left[0][1].values()), "bytes": raw["bytes"]},
                *(
                    {"step": step, "documents": sum(by_group.values()), "bytes": size}
                    for step, by_group, size in left[1:]
                ),
            ],
            "groups": [
                {"group": group, "documents": [by_group[group] for _, by_group, _ in left]}
                for group in sorted(left[0][1])
            ],
            "dropped": tally.by(False, "reason", "domain", "language"),
            "kept": tally.by(True, "domain", "language", "split"),
            "thresholds": _thresholds(groups, corpus),
            "perplexity": {
                name: {
                    "head": rank.head,
                    "middle": rank.middle,
                    "largest": rank.largest if isfinite(rank.largest) else None,
                }
                for name, rank in sorted(ranks.items())
            },
            "classifier": _verdicts(parts, corpus, least, steps, engine),
            "untranslated": untranslated(some, parts),
            "personal_data": dict(sorted(found.items())),
            "bad_records": _bad(counted),
            "balance": balances(counted),
            "heldout_overlap": overlap,
            "disagreements": disagreements(some, parts, corpus, least),
            "examples": samples(some, parts, corpus, groups, least),
            "sampled": {"per_group": SAMPLE, "documents": len(some["id"])},
            "salt": salt,
        }
    )


def _tally(part: DocumentShard) -> Columns:
    columns = load_columns(part, [*KEY, "bytes"])
    tally = Tally()
    tally.add(columns | {"documents": np.ones(part.rows, np.int64)})
    return tally.columns()


def _thresholds(groups: list[GroupLimits], corpus: CorpusConfig) -> dict[str, Any]:
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


def groups_of(thresholds: Thresholds) -> list[GroupLimits]:
    """The limits that an audit's ``thresholds`` say were applied, per domain × language."""
    general = {limit.column: limit.limit for limit in thresholds.general}
    return [
        GroupLimits(
            group.domain,
            group.language,
            {
                column: group.limits.get(column, limit)
                for column, limit in general.items()
                if group.domain == "web" or column not in WEB_ONLY
            },
            group.basis,
            group.trusted,
        )
        for group in thresholds.groups
    ]


def _moved(limits: Mapping[str, float], general: Mapping[str, Any]) -> dict[str, float]:
    return {column: value for column, value in limits.items() if value != general[column].general}


def _bad(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: dict[tuple[str, str], dict[str, Any]] = {}
    for counts in counted:
        for bad in counts["bad"]:
            entry = merged.setdefault(
                (counts["source"], bad["reason"]), {"source": counts["source"], **bad, "count": 0, "bytes": 0}
            )
            entry["count"] += bad["count"]
            entry["bytes"] += bad.get("bytes", 0)
    return [merged[key] for key in sorted(merged)]


def _verdicts(
    parts: list[DocumentShard], corpus: CorpusConfig, least: Mapping[str, float], steps: Path, engine: Engine
) -> list[dict[str, Any]]:
    """Of each domain × language that the classifier judged, how it and perplexity decided."""
    if corpus.quality.classifier is None:
        return []
    found: Counter[tuple[str, str]] = Counter()
    work = partial(_decisions, settings=corpus.quality.classifier, least=dict(least))
    for counts in summarise("verdicts", work, parts, steps / "verdicts", engine):
        for group, verdict, documents in zip(counts["group"], counts["verdict"], counts["documents"], strict=True):
            found[group, verdict] += int(documents)
    return [
        {"group": group, "smallest": least[group], **{verdict: found[group, verdict] for verdict in VERDICTS}}
        for group in sorted(least)
    ]


def _decisions(shard: DocumentShard, settings: ClassifierConfig, least: dict[str, float]) -> Columns:
    columns = load_columns(shard, ["domain", "language", "source", "classifier", "reason"])
    groups = group_names(columns).astype(str)
    by_perplexity, by_classifier = columns["reason"] == "perplexity", unlike(columns, settings, least)
    judged = np.isin(columns["source"].astype(str), settings.negative) & ~np.isnan(columns["classifier"])
    verdict = np.array(VERDICTS)[by_perplexity + 2 * by_classifier]
    pairs, documents = np.unique(np.stack((groups, verdict))[:, judged], axis=1, return_counts=True)
    return {"group": pairs[0].astype(object), "verdict": pairs[1].astype(object), "documents": documents}
