"""Final hidden states: the model less its head, so that logits are made only where they are wanted.

At a vocabulary of 128,256 the logits of one 8k sequence are 4 GB in float32; its hidden states are 8 to 500 times less.

Teacher-forced log-probabilities: what the model would have said, token by token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.model.llama import Llama

Tokens = Sequence[int] | np.ndarray


def without_head(model: Llama) -> Llama:
    """The same model, sharing its weights, whose forward returns the final normed hidden states."""
    body = Llama(model.shape, layers=range(0), first=False, last=False)
    body.embed_tokens, body.layers, body.norm = model.embed_tokens, model.layers, model.norm
    return body.eval()


def device_of(model: Llama) -> torch.device:
    return next(model.parameters()).device


def head(model: Llama, hidden: Tensor) -> Tensor:
    """Logits [..., vocabulary] in float32 of hidden states [..., width]."""
    assert model.lm_head is not None
    logits: Tensor = model.lm_head(hidden)
    return logits.float()


def hidden_rows(model: Llama, rows: Sequence[Tokens], tokens_per_batch: int = 4096) -> Iterator[tuple[int, Tensor]]:
    """(index, hidden states [tokens, width]) of every row of tokens. Rows of like length share a batch."""
    body, device = without_head(model), device_of(model)
    order = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    while order:
        longest = len(rows[order[-1]])
        batch = [order.pop() for _ in range(min(len(order), max(1, tokens_per_batch // max(1, longest))))]
        # Padded on the right: attention is causal, so no token sees the padding.
        tokens = torch.zeros(len(batch), longest, dtype=torch.int64)
        for place, index in enumerate(batch):
            tokens[place, : len(rows[index])] = torch.as_tensor(rows[index], dtype=torch.int64)
        with torch.inference_mode():
            hidden = body(tokens.to(device))
        for place, index in enumerate(batch):
            yield index, hidden[place, : len(rows[index])]


Alternatives = list[tuple[int, float]]
"""The likeliest tokens at a place with their log-probabilities, best first."""

LOGITS_AT_ONCE = 2**24  # 64 MB in float32, whatever the vocabulary


@dataclass(frozen=True)
class TokenScores:
    """Of a row of n tokens: natural-log probabilities [n - 1] of all but the first, given those before."""

    logprobs: Tensor
    alternatives: list[Alternatives]


@torch.inference_mode()
def score(model: Llama, rows: Sequence[Tokens], temperature: float = 1.0, alternatives: int = 0) -> list[TokenScores]:
    """Score every row, in order. Softmax in float32: in bfloat16 it moves the loss by 7e-4 nats."""
    results: list[TokenScores | None] = [None] * len(rows)
    chunk = max(1, LOGITS_AT_ONCE // model.shape.vocab_size)
    for index, hidden in hidden_rows(model, rows):
        targets = torch.as_tensor(rows[index], dtype=torch.int64, device=device_of(model))[1:]
        logprobs, likeliest = [torch.zeros(0)], []
        for start in range(0, len(targets), chunk):
            place = slice(start, min(start + chunk, len(targets)))
            logits = head(model, hidden[place]) / temperature
            total = logits.logsumexp(-1, keepdim=True)
            logprobs.append((logits.gather(-1, targets[place, None]) - total)[:, 0].cpu())
            likeliest += top_alternatives(logits, total, alternatives)
        results[index] = TokenScores(torch.cat(logprobs), likeliest)
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


@torch.inference_mode()
def standardised(model: Llama, rows: Sequence[Tokens]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each row of n tokens: log-probabilities [n - 1] of all but the first, and the same less their expectation
    under the model's own distribution at the place, divided by its standard deviation [n - 1]."""
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0), np.zeros(0))] * len(rows)
    chunk = max(1, LOGITS_AT_ONCE // model.shape.vocab_size)
    for index, hidden in hidden_rows(model, rows):
        targets = torch.as_tensor(rows[index], dtype=torch.int64, device=device_of(model))[1:]
        parts = []
        for start in range(0, len(targets), chunk):
            place = slice(start, min(start + chunk, len(targets)))
            logs = head(model, hidden[place]).log_softmax(-1)
            chances = logs.exp()
            own = logs.gather(-1, targets[place, None])[:, 0]
            mean = (chances * logs).sum(-1)
            variance = (chances * (logs - mean[:, None]).square()).sum(-1)
            parts.append(torch.stack([own, (own - mean) / variance.clamp_min(1e-6).sqrt()]).double().cpu().numpy())
        joined = np.concatenate(parts, axis=1) if parts else np.zeros((2, 0))
        found[index] = joined[0], joined[1]
    return found
