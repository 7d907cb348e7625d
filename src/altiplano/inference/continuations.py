"""Log-likelihoods of continuations after contexts, what they share computed once.

The choices of a question share its context, and the questions of a task its few-shot examples: a batch is one row of
all their different parts, in which each part sees those that it continues, and nothing is padded.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from altiplano.inference.log_probabilities import LOGITS_AT_ONCE, device_of, head, without_head
from altiplano.model.attention import Segment, SharedContexts
from altiplano.model.llama import Llama
from altiplano.tokens.tokenizer import Tokenizer

TOKENS_PER_BATCH = 4096


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
    greedy: bool | None
    """None where it was not looked at."""
    tokens: int


def encode(tokenizer: Tokenizer, adds_bos: bool, room: int, pairs: Sequence[tuple[str, str]]) -> list[Continuation]:
    """Contexts and continuations as tokens, as lm-evaluation-harness encodes them, for a model of ``room`` tokens.

    Both are encoded together, so that the border is as it is in running text; spaces that end a context begin the
    continuation. A pair too long for the model loses the beginning of its context, but for the begin token.
    """
    moved = []
    for context, continuation in pairs:
        stripped = context.rstrip()
        moved.append((stripped, context[len(stripped) :] + continuation))
    whole = tokenizer.encode_batch([context + continuation for context, continuation in moved])
    contexts = [*dict.fromkeys(context for context, _ in moved)]
    alone = dict(zip(contexts, tokenizer.encode_batch(contexts), strict=True))
    begin = [tokenizer.bos]
    made = []
    for (context, _), tokens in zip(moved, whole, strict=True):
        before = alone[context]
        begins = adds_bos or not before
        one = fit(begin + before if begins else before, tokens[len(before) :], room)
        if one.cut and adds_bos:
            one = replace(one, context=(tokenizer.bos, *one.context[1:]))
        made.append(one)
    return made


def fit(context: Sequence[int], tokens: Sequence[int], room: int) -> Continuation:
    """The last ``room`` + 1 tokens of both: the last one is only predicted."""
    cut = max(0, len(context) + len(tokens) - room - 1)
    if cut >= len(context):  # nothing left to condition on but the continuation itself
        whole = [*context, *tokens][cut:]
        return Continuation(tuple(whole[:1]), tuple(whole[1:]), cut)
    return Continuation(tuple(context[cut:]), tuple(tokens), cut)


@torch.inference_mode()
def score_continuations(
    model: Llama, asked: Sequence[Continuation], tokens_per_batch: int = TOKENS_PER_BATCH
) -> list[Likelihood]:
    """Score all, in order. Softmax in float32."""
    found: list[Likelihood | None] = [None] * len(asked)
    body = without_head(model)
    prefix = _common_prefix([one.context for one in asked])
    for batch in _batches(asked, len(prefix), tokens_per_batch):
        for place, likelihood in _score(model, body, asked, batch, prefix):
            found[place] = likelihood
    return [one for one in found if one is not None]


def _common_prefix(contexts: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """What half of the contexts begin with: the few-shot examples of a task, where a few questions are examples."""
    if len(contexts) < 2:
        return ()
    ordered = sorted(contexts)
    low, high = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:length]


def _batches(asked: Sequence[Continuation], prefix: int, most: int) -> Iterator[list[int]]:
    """Continuations of one context together, at most ``most`` different tokens in a batch where there are several."""
    by_context: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for place, one in enumerate(asked):
        by_context[one.context].append(place)
    batch: list[int] = []
    size = prefix
    for context in sorted(by_context):
        more = len(context) - prefix + sum(len(asked[place].tokens) for place in by_context[context])
        if batch and size + more > most:
            yield batch
            batch, size = [], prefix
        batch += by_context[context]
        size += more
    if batch:
        yield batch


def _score(
    model: Llama, body: Llama, asked: Sequence[Continuation], batch: list[int], prefix: tuple[int, ...]
) -> Iterator[tuple[int, Likelihood]]:
    fed: list[int] = []
    segments: list[Segment] = []

    def add(tokens: tuple[int, ...], after: int | None) -> int:
        segments.append(Segment(len(fed), len(fed) + len(tokens), after))
        fed.extend(tokens)
        return len(segments) - 1

    begun = None
    contexts: dict[tuple[int, ...], int] = {}
    predicting: list[int] = []
    """Places in the row whose hidden states predict the tokens of the batch, one after the other."""
    for place in batch:
        one = asked[place]
        if one.context not in contexts:
            shares = len(prefix) > 0 and len(one.context) > len(prefix) and one.context[: len(prefix)] == prefix
            if shares and begun is None:
                begun = add(prefix, None)
            contexts[one.context] = add(one.context[len(prefix) * shares :], begun if shares else None)
        context = contexts[one.context]
        # the last token is only predicted; the context's last token predicts the first
        if one.tokens:
            predicting.append(segments[context].end - 1)
        if len(one.tokens) > 1:
            own = segments[add(one.tokens[:-1], context)]
            predicting += range(own.start, own.end)
    device = device_of(model)
    row = torch.tensor([fed], dtype=torch.int64, device=device)
    hidden = body(row, None, None, SharedContexts(segments, device))[0, predicting]
    targets = torch.tensor([token for place in batch for token in asked[place].tokens], device=device)
    counts = [len(asked[place].tokens) for place in batch]
    logprobs, greedy = _of_tokens(model, hidden, targets)
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
