"""A model spread over a mesh of processes, asked by the first of them: what fits no device answers as one that does.

Rows are packed into windows as long as training's. There is no cache of keys and values: every token that is generated
costs a pass over its row, and what rows begin with in common is computed for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Self

import numpy as np
import torch
from torch import Tensor

from altiplano.inference.continuations import Continuation, Likelihood
from altiplano.inference.generate import Row, record
from altiplano.inference.language_model import LanguageModel
from altiplano.inference.log_probabilities import Tokens, TokenScores
from altiplano.inference.packing import pack, windows_of
from altiplano.parallel.asking import AskedModel
from altiplano.parallel.distributions import COLUMNS
from altiplano.recipe.schema import ModelConfig
from altiplano.tokens.loader import IGNORED, Batch
from altiplano.tokens.tokenizer import Tokenizer

ROWS_AT_ONCE = 256
"""Of a batch of generation: their logits lie on every rank."""


@dataclass(frozen=True)
class MeshModel(LanguageModel):
    name: str
    asked: AskedModel
    tokenizer: Tokenizer
    temperature: float = 1.0
    adds_bos: bool = True

    @property
    def shape(self) -> ModelConfig:
        return self.asked.shape

    @property
    def context(self) -> int:  # type: ignore[override]
        return self.asked.sequence

    def at(self, temperature: float) -> Self:
        return replace(self, temperature=temperature)

    @property
    def windows_at_once(self) -> int:
        return self.asked.rows_at_once

    def losses(self, batch: Batch) -> Tensor:
        logprobs = self.asked.distributions(batch)[..., COLUMNS.index("logprob")]
        return torch.where(batch.targets == IGNORED, 0.0, -logprobs)

    def distributions(self, rows: Sequence[Tokens], temperature: float = 1.0) -> list[Tensor]:
        """``COLUMNS`` [n - 1, 6] of each row of n tokens: of all but the first."""
        whole = [np.asarray(row, dtype=np.int64) for row in rows]
        fed, targets = [row[:-1] for row in whole], [row[1:] for row in whole]
        places = pack([len(row) for row in fed], self.context)
        windows = windows_of(fed, targets, places, self.context)
        found: list[Tensor] = [torch.empty(0)] * len(rows)
        in_window: dict[int, list[int]] = {}
        for number, place in enumerate(places):
            in_window.setdefault(place.window, []).append(number)
        for first, part in _parts(windows, self.asked.rows_at_once):
            scored = self.asked.distributions(part, temperature)
            for window in range(first, first + len(scored)):
                for number in in_window.get(window, ()):
                    place = places[number]
                    found[number] = scored[window - first, place.start : place.end].clone()
        return [one if len(one) else torch.zeros(0, len(COLUMNS), dtype=torch.float64) for one in found]

    def score(self, rows: Sequence[Tokens], temperature: float = 1.0) -> list[TokenScores]:
        scored = self.distributions(rows, temperature)
        return [TokenScores(one[:, COLUMNS.index("logprob")], [[] for _ in one]) for one in scored]

    def score_continuations(self, asked: Sequence[Continuation]) -> list[Likelihood]:
        logprob, likeliest = COLUMNS.index("logprob"), COLUMNS.index("likeliest")
        found = []
        for one, scored in zip(asked, self.distributions([(*o.context, *o.tokens) for o in asked]), strict=True):
            own = scored[len(one.context) - 1 :]
            greedy = own[:, likeliest] == torch.tensor(one.tokens, dtype=torch.float64)
            found.append(Likelihood(float(own[:, logprob].sum()), bool(greedy.all()), len(one.tokens)))
        return found

    def standardised(self, rows: Sequence[Tokens]) -> list[tuple[np.ndarray, np.ndarray]]:
        found = []
        for scored in self.distributions(rows):
            own, mean, variance = (scored[:, COLUMNS.index(name)] for name in ("logprob", "mean", "variance"))
            found.append((own.numpy(), ((own - mean) / variance.clamp_min(1e-6).sqrt()).numpy()))
        return found

    def generate(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if row.sampling.max_tokens <= 0:
                row.finish = "length"
        waiting = iter(sorted((row for row in rows if not row.finish), key=lambda row: len(row.prompt)))
        while batch := [*islice(waiting, ROWS_AT_ONCE)]:
            while live := [row for row in batch if not row.finish]:
                record(self._next_logits([[*row.prompt, *row.tokens] for row in live]), live, self.tokenizer)

    def _next_logits(self, rows: list[list[int]]) -> Tensor:
        """[rows, vocabulary] in float32, of what comes next."""
        fed = [np.asarray(row, dtype=np.int64) for row in rows]
        marks = [np.full(len(row), IGNORED, dtype=np.int64) for row in fed]
        for number, mark in enumerate(marks):
            mark[-1] = number
        places = pack([len(row) for row in fed], self.context)
        return self.asked.logits(windows_of(fed, marks, places, self.context), len(rows)).float()

    def matrix(self, name: Literal["embed_tokens", "lm_head"]) -> Tensor:
        return self.asked.matrix(name)


def _parts(windows: Batch, rows: int) -> Iterator[tuple[int, Batch]]:
    """``rows`` windows at a time, and the number of the first."""
    for first in range(0, len(windows.tokens), rows):
        here = slice(first, first + rows)
        yield first, Batch(windows.tokens[here], windows.targets[here], windows.document[here])
