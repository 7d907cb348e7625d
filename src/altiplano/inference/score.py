"""Teacher-forced log-probabilities: what the model would have said, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from altiplano.inference.hidden import Tokens, device_of, head, hidden_rows
from altiplano.model.llama import Llama

Alternatives = list[tuple[int, float]]
"""The likeliest tokens at a place with their log-probabilities, best first."""

LOGITS_AT_ONCE = 2**24  # 64 MB in float32, whatever the vocabulary


@dataclass(frozen=True)
class Score:
    """Of a row of n tokens: natural-log probabilities [n - 1] of all but the first, given those before."""

    logprobs: Tensor
    alternatives: list[Alternatives]


@torch.inference_mode()
def score(model: Llama, rows: Sequence[Tokens], temperature: float = 1.0, alternatives: int = 0) -> list[Score]:
    """Score every row, in order. Softmax in float32: in bfloat16 it moves the loss by 7e-4 nats."""
    results: list[Score | None] = [None] * len(rows)
    chunk = max(1, LOGITS_AT_ONCE // model.shape.vocabulary)
    for index, hidden in hidden_rows(model, rows):
        targets = torch.as_tensor(rows[index], dtype=torch.int64, device=device_of(model))[1:]
        logprobs, likeliest = [torch.zeros(0)], []
        for start in range(0, len(targets), chunk):
            place = slice(start, min(start + chunk, len(targets)))
            logits = head(model, hidden[place]) / temperature
            total = logits.logsumexp(-1, keepdim=True)
            logprobs.append((logits.gather(-1, targets[place, None]) - total)[:, 0].cpu())
            likeliest += top_alternatives(logits, total, alternatives)
        results[index] = Score(torch.cat(logprobs), likeliest)
    return [result for result in results if result is not None]


def top_alternatives(logits: Tensor, total: Tensor, count: int) -> list[Alternatives]:
    """The ``count`` likeliest tokens of each row of logits [rows, vocabulary]; ``total`` is its logsumexp [rows, 1]."""
    if not count:
        return [[] for _ in logits]
    values, tokens = logits.topk(min(count, logits.shape[-1]), dim=-1)
    return [
        list(zip(row_tokens, row_values, strict=True))
        for row_tokens, row_values in zip(tokens.tolist(), (values - total).tolist(), strict=True)
    ]
