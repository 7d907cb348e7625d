"""Keep or drop, with a reason: pure functions over columns. The first rule that applies names the reason.

Nothing here looks at a text: a threshold can be changed and judged without annotating again.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus import thresholds
from altiplano.corpus.thresholds import Group, limits_of
from altiplano.recipe.quality import CodeLimits, ProseLimits
from altiplano.recipe.schema import Corpus

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
    ("near duplicates", ("near duplicate",)),
    ("held-out overlap", ("overlaps training",)),
)
"""The funnel: each step and the reasons it drops documents for."""

SURE = 0.9
"""Probability of the first language identifier above which it needs no second opinion."""

BUCKETS = ("head", "middle", "tail")
BUCKET_SHARES = (1 / 3, 2 / 3)
"""Quantiles of perplexity that part them, as CCNet's."""


def quality(columns: Columns, corpus: Corpus, groups: list[Group] | None = None) -> Reasons:
    """Reasons from language and heuristics; empty where a document passes. ``groups`` default to ``prose_groups``."""
    if groups is None:
        groups = prose_groups(columns, corpus)
    code = columns["domain"] == "code"
    rules: list[tuple[str, NDArray[np.bool_]]] = [("no text", columns["characters"] == 0)]
    if corpus.languages:
        rules.append((LANGUAGE_REASONS[0], ~code & ~np.isin(columns["language"], list(corpus.languages))))
    rules += [
        (LANGUAGE_REASONS[1], ~code & _uncertain(columns, corpus.quality.min_language_score)),
        ("too short", columns["characters"] < corpus.quality.min_characters),
        *thresholds.apply(columns, groups, corpus.quality.prose),
    ]
    for limit in limits_of(corpus.quality.code):
        rules.append((limit.reason, code & limit.broken(columns[limit.column], limit.general)))
    reasons = np.full(len(columns["id"]), "", object)
    for reason, applies in reversed(rules):
        reasons[applies] = reason
    return reasons


def prose_groups(columns: Columns, corpus: Corpus) -> list[Group]:
    """The limits of each domain × language, from the documents of trusted sources whose language is certain."""
    wanted = corpus.quality.trusted
    trusted = np.isin(columns["source"], wanted) if wanted else columns["domain"] == "reference"
    trusted = trusted & (columns["characters"] >= corpus.quality.min_characters)
    trusted &= ~_uncertain(columns, corpus.quality.min_language_score)
    return thresholds.prose_groups(columns, corpus.quality, trusted)


def _uncertain(columns: Columns, least: float) -> NDArray[np.bool_]:
    """Unlikely, or not quite sure and contradicted by the second identifier."""
    score, second = columns["language_score"], columns["second_language"]
    return (score < least) | ((score < SURE) & (columns["language"] != second))


def worst_perplexity(columns: Columns, reasons: Reasons, share: float) -> Reasons:
    """Drop what is less likely than the ``1 - share`` quantile of its domain × language, counting each cluster once."""
    reasons = reasons.copy()
    for members, counted in _scored_groups(columns, reasons):
        dropped = int(share * len(counted))
        if dropped:
            reasons[members[columns["perplexity"][members] > counted[len(counted) - dropped - 1]]] = "perplexity"
    return reasons


def buckets(columns: Columns, reasons: Reasons) -> NDArray[np.object_]:
    """``head``, ``middle`` or ``tail`` of its domain × language by perplexity; empty where there is no perplexity."""
    found = np.full(len(reasons), "", object)
    for members, counted in _scored_groups(columns, reasons):
        edges = np.quantile(counted, BUCKET_SHARES)
        found[members] = np.array(BUCKETS, object)[np.searchsorted(edges, columns["perplexity"][members], side="left")]
    return found


def _scored_groups(columns: Columns, reasons: Reasons) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Per domain × language the scored survivors, and their perplexities, one per cluster, ascending."""
    scored = np.flatnonzero((reasons == "") & ~np.isnan(columns["perplexity"]))
    names = group_names(columns)[scored]
    found = []
    for name in np.unique(names) if len(names) else ():
        members = scored[names == name]
        first = members[columns["cluster"][members] == columns["id"][members]]
        if len(first):
            found.append((members, np.sort(columns["perplexity"][first])))
    return found


def duplicates(columns: Columns, reasons: Reasons) -> Reasons:
    """Of the survivors that share a text, and then of those that share a cluster, only the lowest id stays."""
    reasons = reasons.copy()
    for key, reason in (("text_hash", "exact duplicate"), ("cluster", "near duplicate")):
        alive = np.flatnonzero(reasons == "")
        alive = alive[np.argsort(columns["id"][alive])]
        _, first = np.unique(columns[key][alive], return_index=True)
        later = np.ones(len(alive), bool)
        later[first] = False
        reasons[alive[later]] = reason
    return reasons


def group_names(columns: Columns) -> NDArray[np.object_]:
    """``web.en`` and so on: the unit of perplexity models, held-out sets and evaluation."""
    domains, languages = columns["domain"].astype(str), columns["language"].astype(str)
    return np.char.add(np.char.add(domains, "."), languages).astype(object)
