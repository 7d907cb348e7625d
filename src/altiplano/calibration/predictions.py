"""Held-out text for calibration: which documents fit the temperature and which report on it.

Halves are by hash of a document, within each domain × language, so both hold every group that has two documents.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.inference.log_probabilities import hidden_rows
from altiplano.model.llama import Llama
from altiplano.progress import track
from altiplano.tokens.shards import Shard


@dataclass(frozen=True)
class Window:
    """Consecutive tokens of a document, at most as many as the model reads at once; the first is not predicted."""

    group: str
    document: int
    tokens: np.ndarray


@dataclass(frozen=True)
class Predictions:
    """All the model knew before each of n tokens: its final hidden states, n × width instead of n × vocabulary."""

    hidden: Tensor
    targets: Tensor
    document: Tensor
    """Number of the document [n], counting documents of this half from 0."""
    groups: list[str]
    """Domain × language of every document."""

    @property
    def documents(self) -> int:
        return len(self.groups)

    def of_documents(self, wanted: list[bool]) -> "Predictions":
        """Those of some documents [documents]; of neighbours without a copy of their states."""
        mask = torch.tensor(wanted)[self.document]
        places = mask.nonzero()[:, 0]
        together = len(places) > 0 and int(places[-1]) - int(places[0]) == len(places) - 1
        chosen: Tensor | slice = slice(int(places[0]), int(places[-1]) + 1) if together else mask
        numbers = torch.tensor(wanted).cumsum(0) - 1
        groups = [group for group, yes in zip(self.groups, wanted, strict=True) if yes]
        return Predictions(self.hidden[chosen], self.targets[chosen], numbers[self.document[chosen]], groups)


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


def predict(model: Llama, windows: Sequence[Window], what: str) -> Predictions:
    """Run the model once over the windows and keep its hidden states (float32, on the CPU)."""
    total = sum(len(window.tokens) - 1 for window in windows)
    hidden = torch.empty(total, model.shape.hidden_size)
    starts = np.cumsum([0, *(len(window.tokens) - 1 for window in windows)])
    for index, states in track(hidden_rows(model, [window.tokens for window in windows]), what, len(windows)):
        hidden[starts[index] : starts[index + 1]] = states[:-1].float().cpu()
    targets = np.concatenate([window.tokens[1:] for window in windows])
    document = np.repeat([window.document for window in windows], [len(window.tokens) - 1 for window in windows])
    groups = {window.document: window.group for window in windows}
    return Predictions(
        hidden, torch.from_numpy(targets), torch.from_numpy(document), [groups[i] for i in sorted(groups)]
    )
