"""What the red team takes from the token shards: windows of documents, and a stream of training tokens."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.tokens.shards import Shard

TRAINING_TOKENS = 5_000_000  # enough for controls and look-ups; all of a small corpus


@dataclass(frozen=True)
class Excerpt:
    """Consecutive tokens of one document, its end token excluded."""

    group: str
    document: tuple[int, int]
    """Shard and number: windows of one document are not independent."""
    tokens: np.ndarray


def windows(shards: Sequence[Shard], count: int, length: int, seed: int) -> list[Excerpt]:
    """At most ``count`` different windows: shard by its tokens, then document and place at random. Shorter documents
    have none."""
    if not shards:
        return []
    random = np.random.default_rng(seed)
    weights = np.array([shard.tokens for shard in shards], dtype=np.float64)
    found: dict[tuple[int, int, int], Excerpt] = {}
    for _ in range(20 * count):
        place = int(random.choice(len(shards), p=weights / weights.sum()))
        number = int(random.integers(len(shards[place])))
        document, where = shards[place].document(number)[:-1], random.random()
        if len(document) < length:
            continue
        start = int(where * (len(document) - length + 1))
        found[place, number, start] = Excerpt(shards[place].name, (place, number), document[start : start + length])
        if len(found) == count:
            break
    return list(found.values())


def training_tokens(shards: Sequence[Shard], seed: int, limit: int = TRAINING_TOKENS) -> np.ndarray:
    """Whole documents one after another, at most about ``limit`` tokens, every shard in proportion to its size."""
    total = sum(shard.tokens for shard in shards)
    random = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    for shard in shards:
        if total <= limit:
            parts.append(np.asarray(shard.data, dtype=np.int64))
            continue
        left = limit * shard.tokens / total
        while left > 0:
            parts.append(shard.document(int(random.integers(len(shard)))))
            left -= len(parts[-1])
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
