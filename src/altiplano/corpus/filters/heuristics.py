"""Language and heuristic filters: pure functions over columns. The first that applies gives the reason.

Nothing here looks at a text: a threshold can be changed and judged without annotating again.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.annotations.language_tags import NO_LANGUAGE, differs
from altiplano.corpus.documents import Columns
from altiplano.corpus.filters import limits
from altiplano.corpus.filters.limits import GroupLimits, limits_of
from altiplano.recipe.quality import CodeLimits, ProseLimits
from altiplano.recipe.schema import CorpusConfig

Reasons = NDArray[np.object_]

LANGUAGE_REASONS = ("no known language", "language not wanted", "language uncertain")

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
    least = corpus.quality.min_language_score
    rules: list[tuple[str, NDArray[np.bool_]]] = [
        ("no text", columns["characters"] == 0),
        ("no known language", ~code & unknown(columns, least)),
    ]
    if corpus.languages:
        rules.append(("language not wanted", ~code & ~wanted(columns["language"], corpus.languages)))
    rules += [
        ("language uncertain", ~code & uncertain(columns, least)),
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
    least = corpus.quality.min_language_score
    trusted &= ~uncertain(columns, least) & ~unknown(columns, least)
    return limits.group_limits(columns, corpus.quality, trusted)


def unknown(columns: Columns, least: float) -> NDArray[np.bool_]:
    """In a language that no identifier knows, or in none; never if ``least`` is 0."""
    return (least > 0) & np.isin(columns["language"].astype(str), NO_LANGUAGE)


def wanted(language: NDArray[Any], languages: Sequence[str]) -> NDArray[np.bool_]:
    """``sr`` is Serbian in any script, ``sr-Latn`` in Latin."""
    return np.isin(language.astype(str), languages) | np.isin(_primary(language), languages)


def uncertain(columns: Columns, least: float) -> NDArray[np.bool_]:
    """Below the least probability, or not sure and contradicted by the second identifier; never if ``least`` is 0."""
    score = columns["language_score"]
    contradicted = np.array(
        [differs(*pair) for pair in zip(columns["language"], columns["second_language"], strict=True)], bool
    )
    return (least > 0) & ((score < least) | ((score < SURE) & contradicted))


def _primary(language: NDArray[Any]) -> NDArray[np.str_]:
    return np.strings.partition(language.astype(str), "-")[0] if len(language) else language.astype(str)
