"""Held-out text for calibration: which documents fit the temperature and which report on it.

Halves are by hash of a document, within each domain × language, so both hold every group that has two documents.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.tokens.shards import Shard


@dataclass(frozen=True)
class Window:
    """Consecutive tokens of a document, at most as many as the model reads at once; the first is not predicted."""

    group: str
    document: int
    tokens: np.ndarray


def halves(shards: Sequence[Shard], seed: int, context: int, max_tokens: int) -> tuple[list[Window], list[Window]]:
    """Windows to fit on and windows to test on, at most ``max_tokens`` together, groups in proportion to their size."""
    total = sum(shard.tokens for shard in shards)
    parts: tuple[list[Window], list[Window]] = ([], [])
    count = [0, 0]
    for shard in sorted(shards, key=lambda shard: shard.name):
        keyed = []
        for number in range(len(shard)):
            tokens = shard.document(number)
            keyed.append((hashlib.sha256(f"{seed}/".encode() + tokens.tobytes()).digest(), number))
        keyed.sort()
        # Every second one in the order of hashes; a document alone in its group goes where its hash says.
        first = keyed[0][0][0] % 2 if len(keyed) == 1 else 0
        budget = max_tokens * min(1.0, shard.tokens / max(1, total)) / 2
        left = [budget, budget]
        for place, (_, number) in enumerate(keyed):
            half = (place + first) % 2
            if left[half] <= 0:
                continue
            tokens = shard.document(number)
            # Windows overlap by one token, so that every token but the first is predicted once.
            for start in range(0, len(tokens) - 1, context - 1):
                if left[half] <= 0:
                    break
                window = tokens[start : start + context][: int(left[half]) + 2]
                parts[half].append(Window(shard.name, count[half], window))
                left[half] -= len(window) - 1
            count[half] += 1
    return parts
