"""Windows of the token stream as batches: what each data-parallel rank reads at each step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.errors import InputError
from altiplano.tokens.sampler import sample_windows
from altiplano.tokens.shards import Shard

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """All [rows, sequence] int64. ``targets`` is IGNORED where the next token begins another document."""

    tokens: Tensor
    targets: Tensor
    document: Tensor

    @property
    def valid(self) -> int:
        """Tokens to be predicted."""
        return int((self.targets != IGNORED).sum())

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.tokens.to(device), self.targets.to(device), self.document.to(device))


def make_batch(windows: np.ndarray, bos: int) -> Batch:
    """A batch from windows of sequence + 1 tokens [rows, sequence + 1]."""
    stream = torch.from_numpy(windows.astype(np.int64))
    tokens, targets = stream[:, :-1].contiguous(), stream[:, 1:].clone()
    targets[targets == bos] = IGNORED
    starts = tokens == bos
    starts[:, 1:] &= tokens[:, :-1] != bos  # a run of begin tokens is padding: one document, not many
    return Batch(tokens, targets, starts.long().cumsum(dim=1))


class TrainingData:
    """The training shards as one stream of tokens, cut into windows of ``sequence`` tokens and the one that follows."""

    def __init__(self, shards: Sequence[Shard], sequence: int, bos: int, seed: int):
        self.shards, self.sequence, self.bos, self.seed = list(shards), sequence, bos, seed
        self.ends = np.cumsum([shard.tokens for shard in self.shards])
        self.tokens = int(self.ends[-1]) if self.shards else 0
        self.windows = max(0, self.tokens - 1) // sequence
        if not self.windows:
            raise InputError(
                f"the training shards hold {self.tokens:,} tokens, fewer than one sequence of {sequence:,}; add text"
            )

    def read(self, start: int, count: int) -> np.ndarray:
        """``count`` tokens from ``start`` on, across shard boundaries."""
        parts = []
        shard = int(np.searchsorted(self.ends, start, side="right"))
        while count > 0:
            data = self.shards[shard].data
            offset = start - int(self.ends[shard] - len(data))
            part = data[offset : offset + count]
            parts.append(part)
            start, count, shard = start + len(part), count - len(part), shard + 1
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def batch(self, first_sample: int, rows: int) -> Batch:
        """Samples first_sample … first_sample + rows - 1 of the run's one global order."""
        windows = sample_windows(first_sample, rows, self.windows, self.seed)
        return make_batch(np.stack([self.read(int(w) * self.sequence, self.sequence + 1) for w in windows]), self.bos)
