"""Text by which a person can judge a rule in a minute: some that it dropped, and what it only just kept."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import files
from altiplano.corpus.columns import Columns, Shard
from altiplano.corpus.decisions import group_names
from altiplano.corpus.thresholds import Group, limits_of
from altiplano.recipe.schema import Corpus

EXAMPLES = 3
"""Per rule and side."""

EXCERPT = 500
"""Characters."""

Ranked = tuple[str, NDArray[np.float64], NDArray[np.float64], bool]
"""A reason, each document's value and limit (NaN where the rule does not apply); whether the limit is the largest."""


def samples(columns: Columns, shards: list[Shard], corpus: Corpus, groups: list[Group]) -> list[dict[str, Any]]:
    """Per reason up to three dropped documents, the lowest ids first, and the three kept ones nearest to the limit.

    Of a duplicate the document that was kept in its place stands on the kept side.
    """
    ranked = {rule[0]: rule for rule in _ranked(columns, corpus, groups)}
    chosen: list[tuple[int, dict[str, Any]]] = []
    for reason in sorted(set(columns["reason"].tolist()) - {"", "no text"}):
        members = np.flatnonzero(columns["reason"] == reason)
        dropped = members[np.argsort(columns["id"][members])][:EXAMPLES]
        rule = ranked.get(reason)
        values, limits = rule[1:3] if rule else (None, None)
        for document in dropped.tolist():
            chosen.append((document, {"reason": reason, "kept": False, **_numbers(values, limits, document)}))
        if rule is None:
            kept = np.flatnonzero(columns["keep"] & np.isin(columns["id"], columns["cluster"][dropped]))
        else:
            kept = _borderline(*rule[1:], columns["keep"])
        for document in kept.tolist():
            chosen.append((document, {"reason": reason, "kept": True, **_numbers(values, limits, document)}))
    found = _cells(columns, np.array(sorted({document for document, _ in chosen}), np.int64), shards)
    return [
        {
            **about,
            **found[document],
            "source": str(columns["source"][document]),
            "language": str(columns["language"][document]),
        }
        for document, about in chosen
    ]


def _ranked(columns: Columns, corpus: Corpus, groups: list[Group]) -> list[Ranked]:
    """Every rule that compares a number. The code's limit of a name takes the place of prose's for code."""
    code = columns["domain"] == "code"
    names = {(group.domain, group.language): group.limits for group in groups}
    pairs = list(zip(columns["domain"].tolist(), columns["language"].tolist(), strict=True))
    rules: dict[str, Ranked] = {}
    for limit in limits_of(corpus.quality.prose):
        limits = np.array([names.get(pair, {}).get(limit.column, np.nan) for pair in pairs])
        rules[limit.reason] = (limit.reason, columns[limit.column].astype(np.float64), limits, limit.largest)
    for limit in limits_of(corpus.quality.code):
        before = rules[limit.reason][2] if limit.reason in rules else np.full(len(code), np.nan)
        limits = np.where(code, limit.general, before)
        rules[limit.reason] = (limit.reason, columns[limit.column].astype(np.float64), limits, limit.largest)
    whole = np.full(len(code), float(corpus.quality.min_characters))
    score = np.where(code, np.nan, corpus.quality.min_language_score)
    return [
        *rules.values(),
        ("too short", columns["characters"].astype(np.float64), whole, False),
        ("language uncertain", columns["language_score"].astype(np.float64), score, False),
        ("perplexity", columns["perplexity"], _worst_kept(columns), True),
    ]


def _worst_kept(columns: Columns) -> NDArray[np.float64]:
    """Per document the highest perplexity that its domain × language has among the kept: where its rank was cut."""
    groups, number = np.unique(group_names(columns).astype(str), return_inverse=True)
    highest = np.full(len(groups), np.nan)
    kept = np.flatnonzero(columns["keep"] & ~np.isnan(columns["perplexity"]))
    np.fmax.at(highest, number[kept], columns["perplexity"][kept])
    return highest[number]


def _borderline(
    values: NDArray[np.float64], limits: NDArray[np.float64], largest: bool, keep: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The kept documents whose values come nearest to their limits."""
    asked = np.flatnonzero(keep & ~np.isnan(values) & ~np.isnan(limits))
    distance = limits[asked] - values[asked] if largest else values[asked] - limits[asked]
    return asked[np.argsort(distance, kind="stable")][:EXAMPLES]


def _numbers(values: Any, limits: Any, document: int) -> dict[str, float | None]:
    value = None if values is None or np.isnan(values[document]) else round(float(values[document]), 4)
    limit = None if limits is None or not np.isfinite(limits[document]) else round(float(limits[document]), 4)
    return {"value": value, "limit": limit}


def _cells(columns: Columns, which: NDArray[np.int64], shards: list[Shard]) -> dict[int, dict[str, str]]:
    """Excerpt and address of each document, shard by shard."""
    found = {}
    for shard in np.unique(columns["shard"][which]):
        members = which[columns["shard"][which] == shard]
        table = files.read_table(shards[shard].path, ["text", "url"])
        for document in members.tolist():
            row = int(columns["row"][document])
            found[document] = {"text": table["text"][row].as_py()[:EXCERPT], "url": table["url"][row].as_py()}
    return found
