"""One shard's documents with all that is decided about them so far: nothing is stored that can be computed again."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from altiplano.corpus import filters
from altiplano.corpus.documents import Columns, Shard, load_columns
from altiplano.corpus.thresholds import Group
from altiplano.recipe.schema import CorpusConfig


@dataclass(frozen=True)
class Rules:
    """What decisions about a shard need beside its own columns. Later steps fill in the later fields."""

    corpus: CorpusConfig
    groups: list[Group]
    steps: Path
    clusters: Path | None = None
    """Documents that have copies, ascending: ``clusters.CLUSTER`` records."""
    scores: Path | None = None
    """Folder of ``scores-NNNNN.npy``: perplexities."""
    ranks: dict[str, filters.Ranks] = field(default_factory=dict)
    """Per domain × language, ranks of perplexity."""
    dropped_duplicates: Path | None = None
    """Copies that go, ascending: ``clusters.LOSER`` records."""


def decide(shard: Shard, rules: Rules) -> Columns:
    """Its columns with ``reason``, ``cluster``, ``perplexity`` and ``bucket`` as far as they are known."""
    columns = load_columns(shard)
    columns["reason"] = filters.quality(columns, rules.corpus, rules.groups)
    columns["cluster"] = columns["id"].copy()
    if rules.clusters is not None:
        records = within(np.load(rules.clusters, mmap_mode="r"), shard)
        columns["cluster"][records["document"] - shard.first] = records["cluster"].astype(str)
    if rules.scores is not None:
        columns["perplexity"] = np.load(rules.scores / f"scores-{shard.number:05d}.npy")
        columns["bucket"] = filters.buckets(columns, rules.ranks)
        columns["reason"] = filters.worst_perplexity(columns, rules.ranks)
    if rules.dropped_duplicates is not None:
        records = within(np.load(rules.dropped_duplicates, mmap_mode="r"), shard)
        columns["reason"][records["document"] - shard.first] = np.array(filters.COPIES, object)[records["reason"]]
    return columns


def within(records: np.ndarray, shard: Shard) -> np.ndarray:
    """Of records ordered by document, those of the shard."""
    low, high = np.searchsorted(records["document"], (shard.first, shard.first + shard.rows))
    return np.array(records[low:high])
