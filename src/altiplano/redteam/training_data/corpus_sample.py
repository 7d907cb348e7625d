"""What the red team takes from the token shards: windows of documents, and a stream of training tokens."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.tokens.shards import Shard

LISTED = 1_000_000
"""Documents that are listed before they are drawn from."""
TRAINING_TOKENS = 5_000_000  # enough for controls and look-ups; all of a small corpus
COUNTED_TOKENS = 1_000_000_000
"""Tokens whose occurrences are counted: seconds of reading, where all of 15T tokens would take hours."""
PIECE = 1 << 20


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


def random_documents(shards: Sequence[Shard], seed: int) -> Iterator[tuple[Shard, int]]:
    """Different documents in random order: all of a corpus that can be listed; of a larger one a shard by its tokens,
    then a document, again and again."""
    random = np.random.default_rng(seed)
    if sum(len(shard) for shard in shards) <= LISTED:
        places = [(shard, number) for shard in shards for number in range(len(shard))]
        yield from (places[at] for at in random.permutation(len(places)))
        return
    weights = np.array([shard.tokens for shard in shards], dtype=np.float64)
    drawn = set[tuple[int, int]]()
    while len(drawn) < LISTED // 2:  # what is new grows rare
        at = int(random.choice(len(shards), p=weights / weights.sum()))
        place = at, int(random.integers(len(shards[at])))
        if place not in drawn:
            drawn.add(place)
            yield shards[at], place[1]


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


def token_counts(shards: Sequence[Shard], vocabulary: int, seed: int, limit: int = COUNTED_TOKENS) -> np.ndarray:
    """How often every token stands in the shards [vocabulary], int64: in all of a corpus of at most ``limit`` tokens,
    of a larger one in so many, in pieces of ``PIECE`` at random."""
    ends = np.cumsum([-(-shard.tokens // PIECE) for shard in shards], dtype=np.int64)
    count = int(ends[-1]) if len(ends) else 0
    chosen = np.arange(count)
    if sum(shard.tokens for shard in shards) > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(count, max(1, limit // PIECE), replace=False))
    counts = np.zeros(vocabulary, np.int64)
    for place in chosen:
        at = int(np.searchsorted(ends, place, side="right"))
        begin = (int(place) - (int(ends[at - 1]) if at else 0)) * PIECE
        counts += np.bincount(shards[at].data[begin : begin + PIECE], minlength=vocabulary)[:vocabulary]
    return counts


def part(read: int, shards: Sequence[Shard]) -> str:
    """What to say of a test that has looked at ``read`` tokens; nothing where those are all."""
    total = sum(shard.tokens for shard in shards)
    return f" (looked at {read:,} of {total:,} tokens)" if read < total else ""
