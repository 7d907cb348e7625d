"""Keep or drop, with a reason: pure functions over columns. The first rule that applies names the reason.

Nothing here looks at a text: a threshold can be changed and judged without annotating again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import thresholds
from altiplano.corpus.thresholds import Group, limits_of
from altiplano.recipe.quality import CodeLimits, ProseLimits
from altiplano.recipe.schema import CorpusConfig

Columns = Mapping[str, NDArray[Any]]
Reasons = NDArray[np.object_]

LANGUAGE_REASONS = ("language not wanted", "language uncertain")

HEURISTICS = tuple(
    dict.fromkeys(("too short", *(limit.reason for limit in [*limits_of(ProseLimits()), *limits_of(CodeLimits())])))
)

STEPS = (
    ("extracted", ("no text",)),
    ("language", LANGUAGE_REASONS),
    ("heuristics", HEURISTICS),
    ("perplexity", ("perplexity",)),
    ("exact duplicates", ("exact duplicate",)),
    ("near duplicates", ("near duplicate", "in an earlier run")),
    ("held-out overlap", ("overlaps training",)),
    ("decontamination", ("benchmark text",)),
)
"""The funnel: each step and the reasons it drops documents for."""

SURE = 0.9
"""Probability of the first language identifier above which it needs no second opinion."""

COPIES = ("exact duplicate", "near duplicate", "in an earlier run")

BUCKETS = ("head", "middle", "tail")
BUCKET_SHARES = (1 / 3, 2 / 3)
"""Quantiles of perplexity that part them, as CCNet's."""


def quality(columns: Columns, corpus: CorpusConfig, groups: list[Group] | None = None) -> Reasons:
    """Reasons from language and heuristics; empty where a document passes. ``groups`` default to ``prose_groups``."""
    if groups is None:
        groups = prose_groups(columns, corpus)
    code = columns["domain"] == "code"
    rules: list[tuple[str, NDArray[np.bool_]]] = [("no text", columns["characters"] == 0)]
    if corpus.languages:
        rules.append((LANGUAGE_REASONS[0], ~code & ~np.isin(columns["language"], list(corpus.languages))))
    rules += [
        (LANGUAGE_REASONS[1], ~code & uncertain(columns, corpus.quality.min_language_score)),
        ("too short", columns["characters"] < corpus.quality.min_characters),
        *thresholds.apply(columns, groups, corpus.quality.prose),
    ]
    for limit in limits_of(corpus.quality.code):
        rules.append((limit.reason, code & limit.broken(columns[limit.column], limit.general)))
    reasons = np.full(len(columns["id"]), "", object)
    for reason, applies in reversed(rules):
        reasons[applies] = reason
    return reasons


def prose_groups(columns: Columns, corpus: CorpusConfig) -> list[Group]:
    """The limits of each domain × language, from the documents of trusted sources whose language is certain."""
    wanted = corpus.quality.trusted
    trusted = np.isin(columns["source"], wanted) if wanted else columns["domain"] == "reference"
    trusted = trusted & (columns["characters"] >= corpus.quality.min_characters)
    trusted &= ~uncertain(columns, corpus.quality.min_language_score)
    return thresholds.prose_groups(columns, corpus.quality, trusted)


def uncertain(columns: Columns, least: float) -> NDArray[np.bool_]:
    """Unlikely, or not quite sure and contradicted by the second identifier; never where ``least`` is 0."""
    score, second = columns["language_score"], columns["second_language"]
    return (least > 0) & ((score < least) | ((score < SURE) & (columns["language"] != second)))


@dataclass(frozen=True)
class Ranks:
    """Perplexities of a domain × language: where head and middle end, and the largest that is kept."""

    head: float
    middle: float
    largest: float


def perplexity_ranks(columns: Columns, share: float) -> dict[str, Ranks]:
    """Per domain × language of a sample of the survivors, one of each cluster; the worst ``share`` is to go."""
    once = (columns["reason"] == "") & ~np.isnan(columns["perplexity"]) & (columns["cluster"] == columns["id"])
    names, values = group_names(columns)[once], columns["perplexity"][once]
    ranks = {}
    for name in np.unique(names) if len(names) else ():
        counted = np.sort(values[names == name])
        dropped = int(share * len(counted))
        head, middle = np.quantile(counted, BUCKET_SHARES)
        largest = counted[len(counted) - dropped - 1] if dropped else np.inf
        ranks[str(name)] = Ranks(float(head), float(middle), float(largest))
    return ranks


def worst_perplexity(columns: Columns, ranks: Mapping[str, Ranks]) -> Reasons:
    """The reasons, with those that are beyond the largest perplexity of their domain × language."""
    reasons = columns["reason"].copy()
    largest = _of_group(columns, {name: rank.largest for name, rank in ranks.items()})
    with np.errstate(invalid="ignore"):
        reasons[(reasons == "") & (columns["perplexity"] > largest)] = "perplexity"
    return reasons


def buckets(columns: Columns, ranks: Mapping[str, Ranks]) -> NDArray[np.object_]:
    """``head``, ``middle`` or ``tail`` of its domain × language by perplexity; empty where there is no perplexity."""
    head = _of_group(columns, {name: rank.head for name, rank in ranks.items()})
    middle = _of_group(columns, {name: rank.middle for name, rank in ranks.items()})
    values = columns["perplexity"]
    found = np.full(len(values), "", object)
    with np.errstate(invalid="ignore"):
        for name, members in zip(BUCKETS, (values <= head, values > head, values > middle), strict=True):
            found[members] = name
    return found


def _of_group(columns: Columns, values: Mapping[str, float]) -> NDArray[np.float64]:
    """The value of each document's domain × language; NaN where there is none."""
    names, at = np.unique(group_names(columns).astype(str), return_inverse=True)
    return np.array([values.get(str(name), np.nan) for name in names])[at] if len(names) else np.zeros(0)


def duplicates(columns: Columns) -> Reasons:
    """The reasons of documents that have copies: of the survivors that share a text, and then of those that share a
    cluster, only the lowest id stays; none does where an earlier run has one."""
    reasons = columns["reason"].copy()
    reasons[(reasons == "") & columns["earlier"]] = COPIES[2]
    for key, reason in (("text_hash", COPIES[0]), ("cluster", COPIES[1])):
        alive = np.flatnonzero(reasons == "")
        alive = alive[np.argsort(columns["id"][alive])]
        _, first = np.unique(columns[key][alive].astype(str), return_index=True)
        later = np.ones(len(alive), bool)
        later[first] = False
        reasons[alive[later]] = reason
    return reasons


def group_names(columns: Columns) -> NDArray[np.object_]:
    """``web.en`` and so on: the unit of perplexity models, held-out sets and evaluation."""
    domains, languages = columns["domain"].astype(str), columns["language"].astype(str)
    return np.char.add(np.char.add(domains, "."), languages).astype(object)
