"""Generation with a KV cache: greedy or sampled, many prompts at once, one token a step.

``stream`` is the one loop; ``generate`` runs it to the end, the server looks at the rows between its steps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from altiplano.inference.log_probabilities import Alternatives, device_of, head, top_alternatives, without_head
from altiplano.model.attention import Cache
from altiplano.model.llama import Llama
from altiplano.tokens.tokenizer import Tokenizer

CACHE_BYTES = 2**30
PADDING, PROMPT = -1, 0  # the two "documents" of a row padded on the left


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 is greedy; ``top_k`` 0 and ``top_p`` 1 leave every token a chance."""

    max_tokens: int = 16
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    alternatives: int = 0


@dataclass
class Row:
    """A prompt and what the model makes of it."""

    prompt: list[int]
    sampling: Sampling
    tokens: list[int] = field(default_factory=list)
    """What was generated, the end-of-text token included."""
    logprobs: list[float] = field(default_factory=list)
    """Of ``tokens``, under the model as it is: before temperature, top_k and top_p."""
    alternatives: list[Alternatives] = field(default_factory=list)
    said: bytes = b""
    """Text of ``tokens`` in UTF-8, less the stop string and whatever followed it."""
    finish: Literal["", "stop", "length"] = ""

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ValueError("a prompt needs at least one token: begin it with tokenizer.bos")
        # Its own generator: the row says the same whatever else is in the batch.
        self.random = np.random.default_rng(self.sampling.seed % 2**64)

    @property
    def text(self) -> str:
        return self.said.decode("utf-8", errors="replace")


def generate(model: Llama, tokenizer: Tokenizer, rows: Sequence[Row], batch: int = 256) -> None:
    """Complete all rows in place. Prompts of like length share a batch, so that little is padding."""
    order = sorted(rows, key=lambda row: len(row.prompt))
    for start in range(0, len(order), batch):
        for _ in stream(model, tokenizer, order[start : start + batch]):
            pass


def rows_at_once(model: Llama, rows: Sequence[Row], memory: int = CACHE_BYTES) -> int:
    """How many rows fit when keys and values may take ``memory`` bytes; a cache has room for twice its tokens."""
    longest = max((len(row.prompt) + row.sampling.max_tokens for row in rows), default=1)
    shape = model.shape
    heads = shape.num_hidden_layers * shape.num_key_value_heads
    per_token = 2 * heads * shape.head_dim * next(model.parameters()).element_size()
    return max(1, min(256, memory // (2 * longest * per_token)))


def stream(model: Llama, tokenizer: Tokenizer, rows: Sequence[Row]) -> Iterator[None]:
    """Extend every unfinished row in place by one token, then yield; until all are finished."""
    body, device, cache = without_head(model), device_of(model), Cache()
    for row in rows:
        if row.sampling.max_tokens <= 0:
            row.finish = "length"
    live = [row for row in rows if not row.finish]
    tokens, document = (t.to(device) for t in _pad_on_the_left([row.prompt for row in live]))
    while live:
        logits = _next_logits(model, body, tokens, document, cache)
        record(logits, live, tokenizer)
        yield
        unfinished = [index for index, row in enumerate(live) if not row.finish]
        if len(unfinished) < len(live):
            live = [live[index] for index in unfinished]
            cache.keep(unfinished)
        tokens = torch.tensor([row.tokens[-1:] for row in live], dtype=torch.int64, device=device)
        document = torch.full_like(tokens, PROMPT)


def _pad_on_the_left(prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Tokens and documents, both [rows, longest]."""
    longest = max(map(len, prompts), default=0)
    tokens = torch.zeros(len(prompts), longest, dtype=torch.int64)
    document = torch.full_like(tokens, PADDING)
    for index, prompt in enumerate(prompts):
        tokens[index, longest - len(prompt) :] = torch.as_tensor(prompt, dtype=torch.int64)
        document[index, longest - len(prompt) :] = PROMPT
    return tokens, document


# Inference mode belongs to a thread and a generator may be resumed by another one, so it covers one step only.
@torch.inference_mode()
def _next_logits(model: Llama, body: Llama, tokens: Tensor, document: Tensor, cache: Cache) -> Tensor:
    """Feed the new tokens [rows, new]; logits [rows, vocabulary] of what comes next."""
    return head(model, body(tokens, document, cache)[:, -1])


@torch.inference_mode()
def record(logits: Tensor, rows: list[Row], tokenizer: Tokenizer) -> None:
    """Add one token to every row."""
    chosen = _choose(logits, rows)
    total = logits.logsumexp(-1, keepdim=True)
    logprobs = (logits.gather(-1, chosen) - total)[:, 0].tolist()
    likeliest = top_alternatives(logits, total, max(row.sampling.alternatives for row in rows))
    for row, token, logprob, best in zip(rows, chosen[:, 0].tolist(), logprobs, likeliest, strict=True):
        row.tokens.append(token)
        row.logprobs.append(logprob)
        row.alternatives.append(best[: row.sampling.alternatives])
        _say(row, token, tokenizer)


def _say(row: Row, token: int, tokenizer: Tokenizer) -> None:
    """Add the token's text to what the row said; finish the row at its end of text, stop string or length."""
    if token == tokenizer.eos:
        row.finish = "stop"
        return
    new = tokenizer.decode_bytes([token])
    row.said += new
    stops = [stop.encode() for stop in row.sampling.stop]
    if stops:
        searched = max(0, len(row.said) - len(new) - max(map(len, stops)))
        found = [place for stop in stops if (place := row.said.find(stop, searched)) >= 0]
        if found:
            row.said, row.finish = row.said[: min(found)], "stop"
            return
    if len(row.tokens) >= row.sampling.max_tokens:
        row.finish = "length"


def _choose(logits: Tensor, rows: list[Row]) -> Tensor:
    """One token [rows, 1] per row of logits [rows, vocabulary]."""
    samplings = [row.sampling for row in rows]
    greedy = torch.tensor([[s.temperature == 0] for s in samplings], device=logits.device)
    likeliest = logits.argmax(-1, keepdim=True)
    if bool(greedy.all()):
        return likeliest
    temperature = torch.tensor([[s.temperature or 1.0] for s in samplings], device=logits.device)
    scaled = logits / temperature
    if any(s.top_k or s.top_p < 1 for s in samplings):
        scaled = _keep_likeliest(scaled, samplings)
    # Inverse of the cumulative distribution at one uniform number per row; sums in float64, so that a row's choice
    # does not hang on rounding, which differs between batch sizes.
    cumulative = scaled.softmax(-1).cumsum(-1, dtype=torch.float64)
    uniform = torch.tensor([[row.random.random()] for row in rows], dtype=torch.float64, device=logits.device)
    sampled = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return torch.where(greedy, likeliest, sampled.clamp(max=logits.shape[-1] - 1))


def _keep_likeliest(logits: Tensor, samplings: list[Sampling]) -> Tensor:
    """-inf for all but the ``top_k`` likeliest, then for all but the fewest of those that hold ``top_p`` of the mass
    (Holtzman et al. 2020)."""
    vocabulary = logits.shape[-1]
    top_k = torch.tensor([[s.top_k or vocabulary] for s in samplings], device=logits.device)
    top_p = torch.tensor([[s.top_p] for s in samplings], device=logits.device)
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    beyond = torch.arange(vocabulary, device=logits.device) >= top_k
    probabilities = ordered.masked_fill(beyond, -torch.inf).softmax(-1)
    beyond |= (probabilities.cumsum(-1) - probabilities >= top_p) & (top_p < 1)
    beyond[:, 0] = False
    return logits.masked_fill(torch.zeros_like(beyond).scatter(-1, order, beyond), -torch.inf)
