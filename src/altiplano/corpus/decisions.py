"""Keep or drop, with a reason: pure functions over columns. The first rule that applies names the reason.

Thresholds come from the recipe; the few that are constants here do not depend on the corpus.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.recipe.schema import Corpus

Columns = Mapping[str, NDArray[Any]]
Reasons = NDArray[np.object_]

MAX_WORD_LENGTH = 16.0
"""Mean letters per word; German prose has 6, a page of hashes or base64 far more."""

MAX_CODE_LINE = 120.0
"""Mean characters per line of source code; minified and generated files have more (StarCoder uses 100)."""

LANGUAGE_REASONS = ("language not wanted", "language uncertain")

STEPS = (
    ("extracted", ("no text",)),
    ("language", LANGUAGE_REASONS),
    ("heuristics", ("too short", "repeated lines", "repeated words", "symbols", "long words", "long lines")),
    ("perplexity", ("perplexity",)),
    ("exact duplicates", ("exact duplicate",)),
    ("near duplicates", ("near duplicate",)),
    ("held-out overlap", ("overlaps training",)),
)
"""The funnel: each step and the reasons it drops documents for."""


def quality(columns: Columns, corpus: Corpus) -> Reasons:
    """Reasons from language and heuristics; empty where a document passes."""
    limits = corpus.quality
    prose = columns["domain"] != "code"
    rules: list[tuple[str, NDArray[np.bool_]]] = [("no text", columns["characters"] == 0)]
    if corpus.languages:
        rules.append((LANGUAGE_REASONS[0], prose & ~np.isin(columns["language"], list(corpus.languages))))
    rules += [
        (LANGUAGE_REASONS[1], prose & (columns["language_score"] < limits.min_language_score)),
        ("too short", columns["characters"] < limits.min_characters),
        ("repeated lines", columns["repeated_lines"] > limits.max_repetition),
        ("repeated words", prose & (columns["repeated_words"] > limits.max_repetition)),
        ("symbols", columns["symbols"] > limits.max_symbols),
        ("long words", columns["word_length"] > MAX_WORD_LENGTH),
        ("long lines", ~prose & (columns["line_length"] > MAX_CODE_LINE)),
    ]
    reasons = np.full(len(columns["id"]), "", object)
    for reason, applies in reversed(rules):
        reasons[applies] = reason
    return reasons


def worst_perplexity(columns: Columns, reasons: Reasons, share: float) -> Reasons:
    """Drop what is less likely than the ``1 - share`` quantile of its domain × language, counting each cluster once."""
    reasons = reasons.copy()
    groups = group_names(columns)
    scored = (reasons == "") & ~np.isnan(columns["perplexity"])
    for group in np.unique(groups[scored]) if scored.any() else ():
        members = scored & (groups == group)
        counted = np.sort(columns["perplexity"][members & (columns["cluster"] == columns["id"])])
        dropped = int(share * len(counted))
        if dropped:
            reasons[members & (columns["perplexity"] > counted[len(counted) - dropped - 1])] = "perplexity"
    return reasons


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
    pairs = zip(columns["domain"], columns["language"], strict=True)
    return np.array([f"{domain}.{language}" for domain, language in pairs], object)
