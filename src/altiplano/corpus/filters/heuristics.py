"""Language and heuristic filters: pure functions over columns. The first that applies gives the reason.

Nothing here looks at a text: a threshold can be changed and judged without annotating again.
"""

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns
from altiplano.corpus.filters import limits
from altiplano.corpus.filters.limits import GroupLimits, limits_of
from altiplano.recipe.quality import CodeLimits, ProseLimits
from altiplano.recipe.schema import CorpusConfig

Reasons = NDArray[np.object_]

LANGUAGE_REASONS = ("language not wanted", "language uncertain")

HEURISTICS = tuple(
    dict.fromkeys(("too short", *(limit.reason for limit in [*limits_of(ProseLimits()), *limits_of(CodeLimits())])))
)

SURE = 0.9
"""Probability of the first language identifier above which the second one is not asked."""


def quality(columns: Columns, corpus: CorpusConfig, groups: list[GroupLimits] | None = None) -> Reasons:
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
        *limits.apply(columns, groups, corpus.quality.prose),
    ]
    for limit in limits_of(corpus.quality.code):
        rules.append((limit.reason, code & limit.broken(columns[limit.column], limit.general)))
    reasons = np.full(len(columns["id"]), "", object)
    for reason, applies in reversed(rules):
        reasons[applies] = reason
    return reasons


def prose_groups(columns: Columns, corpus: CorpusConfig) -> list[GroupLimits]:
    """The limits of each domain × language, from the documents of trusted sources whose language is certain."""
    wanted = corpus.quality.trusted
    trusted = np.isin(columns["source"], wanted) if wanted else columns["domain"] == "reference"
    trusted = trusted & (columns["characters"] >= corpus.quality.min_characters)
    trusted &= ~uncertain(columns, corpus.quality.min_language_score)
    return limits.group_limits(columns, corpus.quality, trusted)


def uncertain(columns: Columns, least: float) -> NDArray[np.bool_]:
    """Below the least probability, or not sure and contradicted by the second identifier; never if ``least`` is 0."""
    score, second = columns["language_score"], columns["second_language"]
    return (least > 0) & ((score < least) | ((score < SURE) & (columns["language"] != second)))
