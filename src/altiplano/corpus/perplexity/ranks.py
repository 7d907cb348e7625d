"""Drop the worst share of each domain × language by perplexity, and part the rest into buckets, as CCNet does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from altiplano.corpus.documents import Columns, DocumentShard, add_columns, group_names, load_columns, sample
from altiplano.execution.base import Engine

BUCKETS = ("head", "middle", "tail")
BUCKET_SHARES = (1 / 3, 2 / 3)
"""Quantiles of perplexity between them, as CCNet's."""


NAMES = ["id", "domain", "language", "reason", "cluster", "perplexity"]


@dataclass(frozen=True)
class PerplexityRanks:
    """Perplexities of a domain × language: where head and middle end, and the largest that is kept."""

    head: float
    middle: float
    largest: float


def drop_worst(
    shards: list[DocumentShard], share: float, steps: Path, engine: Engine
) -> tuple[list[DocumentShard], dict[str, PerplexityRanks]]:
    """The shards with ``bucket`` and the reason of the worst ``share``; and the ranks per domain × language."""
    ranks = perplexity_ranks(sample("perplexity ranks", shards, NAMES, steps / "perplexity-sample", engine), share)
    work = partial(_rank, ranks=ranks)
    return add_columns("perplexity filter", work, shards, steps / "perplexity-filter", engine), ranks


def _rank(shard: DocumentShard, ranks: dict[str, PerplexityRanks]) -> Columns:
    columns = load_columns(shard, NAMES)
    return {"bucket": buckets(columns, ranks), "reason": worst_perplexity(columns, ranks)}


def perplexity_ranks(columns: Mapping[str, NDArray[Any]], share: float) -> dict[str, PerplexityRanks]:
    """Per domain × language of a sample, from its survivors, one of each cluster; the worst ``share`` is dropped."""
    once = (columns["reason"] == "") & ~np.isnan(columns["perplexity"]) & (columns["cluster"] == columns["id"])
    names, values = group_names(columns)[once], columns["perplexity"][once]
    ranks = {}
    for name in np.unique(names) if len(names) else ():
        counted = np.sort(values[names == name])
        dropped = int(share * len(counted))
        head, middle = np.quantile(counted, BUCKET_SHARES)
        largest = counted[len(counted) - dropped - 1] if dropped else np.inf
        ranks[str(name)] = PerplexityRanks(float(head), float(middle), float(largest))
    return ranks


def worst_perplexity(columns: Mapping[str, NDArray[Any]], ranks: Mapping[str, PerplexityRanks]) -> NDArray[np.object_]:
    """The reasons, with that of survivors above the largest perplexity of their domain × language."""
    reasons = columns["reason"].copy()
    largest = _of_group(columns, {name: rank.largest for name, rank in ranks.items()})
    with np.errstate(invalid="ignore"):
        reasons[(reasons == "") & (columns["perplexity"] > largest)] = "perplexity"
    return reasons


def buckets(columns: Mapping[str, NDArray[Any]], ranks: Mapping[str, PerplexityRanks]) -> NDArray[np.object_]:
    """``head``, ``middle`` or ``tail`` of its domain × language by perplexity; empty where there is no perplexity."""
    head = _of_group(columns, {name: rank.head for name, rank in ranks.items()})
    middle = _of_group(columns, {name: rank.middle for name, rank in ranks.items()})
    values = columns["perplexity"]
    found = np.full(len(values), "", object)
    with np.errstate(invalid="ignore"):
        for name, members in zip(BUCKETS, (values <= head, values > head, values > middle), strict=True):
            found[members] = name
    return found


def _of_group(columns: Mapping[str, NDArray[Any]], values: Mapping[str, float]) -> NDArray[np.float64]:
    """The value of each document's domain × language; NaN where there is none."""
    names, at = np.unique(group_names(columns).astype(str), return_inverse=True)
    return np.array([values.get(str(name), np.nan) for name in names])[at] if len(names) else np.zeros(0)
