"""Final hidden states: the model less its head, so that logits are made only where they are wanted.

At a vocabulary of 128,256 the logits of one 8k sequence are 4 GB in float32; its hidden states are 8 to 500 times less.
"""

from collections.abc import Iterator, Sequence

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
