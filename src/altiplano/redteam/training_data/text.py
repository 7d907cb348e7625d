"""Training text as bytes, to be searched for given strings."""

from collections.abc import Sequence

import numpy as np

from altiplano.tokens.shards import Shard
from altiplano.tokens.tokenizer import Tokenizer

SEARCHED_BYTES = 50_000_000


def training_text(tokenizer: Tokenizer, train: Sequence[Shard], seed: int) -> bytes:
    """All of it, or of every shard as many documents, at random, as fit; parted by a byte that no text has."""
    random, parts = np.random.default_rng(seed), []
    share = _share(train)
    for shard in train:
        # without a list of all documents, which may be very many
        some = min(len(shard), int(share * len(shard)) + 1)
        numbers = np.arange(len(shard)) if share == 1 else random.choice(len(shard), some, replace=False)
        parts += [tokenizer.decode_bytes(shard.document(int(number)).tolist()) for number in numbers]
    return b"\xff".join(parts)


def searched(train: Sequence[Shard]) -> str:
    """In words, where a string that is not in ``training_text`` does not stand."""
    share = _share(train)
    return "the training text" if share == 1 else f"{share:.2g} of the training text, documents at random"


def _share(train: Sequence[Shard]) -> float:
    return min(1.0, SEARCHED_BYTES / max(1, sum(shard.bytes for shard in train)))
