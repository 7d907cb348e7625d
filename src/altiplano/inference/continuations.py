"""Log-likelihoods of continuations after contexts, what they share computed once.

The choices of a question share its context, and the questions of a task its few-shot examples: both are fed to the
model once, and their keys and values are used again. Contexts of one length share a batch, so that nothing is padded
but the ends of continuations.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from altiplano.inference.language_model import LanguageModel
from altiplano.inference.log_probabilities import LOGITS_AT_ONCE, device_of, head, without_head
from altiplano.model.attention import Cache
from altiplano.model.llama import Llama

CACHE_BYTES = 2**30
"""Keys and values that a batch may take."""
SHORTEST_PREFIX = 16
"""Fewer tokens are cheaper computed again than kept."""


@dataclass(frozen=True)
class Continuation:
    """Tokens to score after the tokens of a context, which has at least one."""

    context: tuple[int, ...]
    tokens: tuple[int, ...]
    cut: int = 0
    """Tokens of the context's beginning that were left out, for they did not fit."""


@dataclass(frozen=True)
class Likelihood:
    """Natural logarithm of a continuation's probability; whether it is what greedy decoding would say."""

    logprob: float
    greedy: bool
    tokens: int


def encode(served: LanguageModel, pairs: Sequence[tuple[str, str]]) -> list[Continuation]:
    """Contexts and continuations as tokens, as lm-evaluation-harness encodes them.

    Both are encoded together, so that the border is as it is in running text; spaces that end a context begin the
    continuation. A pair longer than the model's context loses the beginning of its context.
    """
    moved = []
    for context, continuation in pairs:
        stripped = context.rstrip()
        moved.append((stripped, context[len(stripped) :] + continuation))
    whole = served.tokenizer.encode_batch([context + continuation for context, continuation in moved])
    contexts = [*dict.fromkeys(context for context, _ in moved)]
    alone = dict(zip(contexts, served.tokenizer.encode_batch(contexts), strict=True))
    begin = [served.tokenizer.bos]
    made = []
    for (context, _), tokens in zip(moved, whole, strict=True):
        before = alone[context]
        after = tokens[len(before) :]
        made.append(fit(begin + before if served.adds_bos or not before else before, after, served.context))
    return made


def fit(context: Sequence[int], tokens: Sequence[int], room: int) -> Continuation:
    """The last ``room`` + 1 tokens of both: the last one is only predicted."""
    cut = max(0, len(context) + len(tokens) - room - 1)
    if cut >= len(context):  # nothing left to condition on but the continuation itself
        whole = [*context, *tokens][cut:]
        return Continuation(tuple(whole[:1]), tuple(whole[1:]), cut)
    return Continuation(tuple(context[cut:]), tuple(tokens), cut)


def cache_bytes_per_token(model: Llama) -> int:
    """Keys and values of one token."""
    shape, itemsize = model.shape, next(model.parameters()).element_size()
    return 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim * itemsize


@torch.inference_mode()
def score_continuations(
    model: Llama, asked: Sequence[Continuation], done: Callable[[int], None] = lambda count: None
) -> list[Likelihood]:
    """Score all, in order. ``done`` hears how many were scored since it last did. Softmax in float32."""
    found: list[Likelihood | None] = [None] * len(asked)
    body = without_head(model)
    prefix = _common_prefix([one.context for one in asked])
    shared = Cache()
    if prefix:
        body(torch.tensor([prefix], device=device_of(model)), None, shared)
    with_prefix: dict[int, list[int]] = defaultdict(list)
    without: dict[int, list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        # the last token of a context is fed with the continuation: its hidden state predicts the first token
        has = len(prefix) > 0 and len(one.context) > len(prefix) and one.context[: len(prefix)] == prefix
        (with_prefix if has else without)[len(one.context)].append(place)
    for groups, begun, skip in ((with_prefix, shared, len(prefix)), (without, Cache(), 0)):
        for length in sorted(groups):
            for batch in _batches(asked, groups[length], model):
                for place, likelihood in _score(model, body, asked, batch, begun, skip):
                    found[place] = likelihood
                done(len(batch))
    return [one for one in found if one is not None]


def _common_prefix(contexts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What half of the contexts begin with: the few-shot examples of a task, where a few questions are examples."""
    if len(contexts) < 2:
        return ()
    ordered = sorted(contexts)
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length] if length >= SHORTEST_PREFIX and low != high else ()


def _batches(asked: Sequence[Continuation], places: list[int], model: Llama) -> Iterator[list[int]]:
    """Continuations of contexts of one length, those of one context together, few enough for the cache."""
    per_token = cache_bytes_per_token(model)
    ordered = sorted(places, key=lambda place: (asked[place].context, place))
    batch: list[int] = []
    longest = 0
    for place in ordered:
        longest = max(longest, len(asked[place].tokens))
        size = (len(batch) + 1) * 2 * (len(asked[place].context) + longest) * per_token  # a cache has room for twice
        if batch and size > CACHE_BYTES:
            yield batch
            batch, longest = [], len(asked[place].tokens)
        batch.append(place)
    if batch:
        yield batch


def _score(
    model: Llama, body: Llama, asked: Sequence[Continuation], batch: list[int], begun: Cache, skip: int
) -> Iterator[tuple[int, Likelihood]]:
    """``begun`` holds the first ``skip`` tokens of every context of the batch."""
    device = device_of(model)
    contexts = [*dict.fromkeys(asked[place].context for place in batch)]
    cache = begun.copy([0] * len(contexts)) if skip else Cache()
    rest = [context[skip:-1] for context in contexts]
    if rest[0]:
        body(torch.tensor(rest, device=device), None, cache)
    number = {context: at for at, context in enumerate(contexts)}
    if cache.length:
        cache.keep([number[asked[place].context] for place in batch])
    # Padded on the right: attention is causal, so no token sees the padding.
    longest = max([1, *(len(asked[place].tokens) for place in batch)])
    fed = torch.zeros(len(batch), longest, dtype=torch.int64)
    for row, place in enumerate(batch):
        said = (asked[place].context[-1], *asked[place].tokens[:-1])[:longest]
        fed[row, : len(said)] = torch.tensor(said)
    hidden = body(fed.to(device), None, cache)
    counts = [len(asked[place].tokens) for place in batch]
    wanted = torch.cat([hidden[row, :count] for row, count in enumerate(counts)])
    targets = torch.tensor([token for place in batch for token in asked[place].tokens], device=device)
    logprobs, greedy = _of_tokens(model, wanted, targets)
    for place, some, same in zip(batch, logprobs.split(counts), greedy.split(counts), strict=True):
        yield place, Likelihood(float(some.sum()), bool(same.all()), len(some))


def _of_tokens(model: Llama, hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities (float64) of ``targets`` [n] after hidden states [n, width]; whether each is the likeliest."""
    chunk = max(1, LOGITS_AT_ONCE // model.shape.vocab_size)
    logprobs, greedy = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.bool)]
    for start in range(0, len(targets), chunk):
        part = slice(start, start + chunk)
        logits = head(model, hidden[part])
        right = logits.gather(-1, targets[part, None])[:, 0]
        logprobs.append((right - logits.logsumexp(-1)).double().cpu())
        greedy.append((logits.argmax(-1) == targets[part]).cpu())
    return torch.cat(logprobs), torch.cat(greedy)
