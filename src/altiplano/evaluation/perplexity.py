"""Held-out loss per domain and language. The training loop and the evaluate stage call the same functions.

Held-out documents are packed into windows as in training. Every token but the first of each document is predicted once.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from altiplano.records import HeldoutScores, TextScores
from altiplano.tokens.loader import Batch, make_batch
from altiplano.tokens.shards import Shard

# A batch to losses [rows, sequence] in nats, or None where another process has them.
ScoreBatch = Callable[[Batch], Tensor | None]


@dataclass(frozen=True)
class HeldoutText:
    """The first documents of a shard as windows [n, sequence + 1]; begin tokens pad them and are not predicted."""

    name: str
    domain: str
    language: str
    windows: np.ndarray
    documents: int
    tokens: int
    bytes: int


def heldout_text(shard: Shard, sequence: int, bos: int, max_tokens: int) -> HeldoutText:
    """Whole documents from the start of ``shard`` until ``max_tokens`` are reached, at least one."""
    taken: list[np.ndarray] = []
    total = 0
    for number in range(len(shard)):
        document = shard.document(number)
        if taken and total + len(document) > max_tokens:
            break
        taken.append(document)
        total += len(document)
    text_bytes = int(shard.document_bytes[: len(taken)].sum())
    windows = pack(taken, sequence, bos)
    return HeldoutText(shard.name, shard.domain, shard.language, windows, len(taken), total - len(taken), text_bytes)


def pack(documents: Sequence[np.ndarray], sequence: int, bos: int) -> np.ndarray:
    """``documents`` one after the other as windows [n, sequence + 1] that overlap in one token."""
    stream = np.concatenate(documents)
    count = math.ceil((len(stream) - 1) / sequence)
    padded = np.full(count * sequence + 1, bos, dtype=np.int32)  # half of int64: a rank holds all held-out text
    padded[: len(stream)] = stream
    return np.lib.stride_tricks.sliding_window_view(padded, sequence + 1)[::sequence]


def score_windows(
    score: ScoreBatch, windows: np.ndarray, bos: int, rows: int, share: slice
) -> Iterator[tuple[slice, Tensor]]:
    """Losses of ``windows``, ``rows`` at a time, padded to whole batches; this process scores ``share`` of the rows.

    Yields the place of each scored part in ``windows`` and its losses [places, sequence].
    """
    for first in range(0, len(windows), rows):
        here = np.full((rows, windows.shape[1]), bos, dtype=np.int64)
        real = windows[first : first + rows]
        here[: len(real)] = real
        losses = score(make_batch(here[share], bos))
        if losses is not None:
            start, stop = first + share.start, min(first + share.stop, len(windows))
            if stop > start:
                yield slice(start, stop), losses[: stop - start]


def heldout_losses(
    score: ScoreBatch,
    texts: Sequence[HeldoutText],
    bos: int,
    rows: int,
    share: slice,
    reduce: Callable[[Tensor], Tensor],
) -> list[float]:
    """Summed loss (nats) of each text. ``reduce`` adds a vector up over all processes that share the work."""
    windows = np.concatenate([text.windows for text in texts])
    sums = torch.zeros(len(windows), dtype=torch.float64)
    for place, losses in score_windows(score, windows, bos, rows, share):
        sums[place] = losses.to("cpu", torch.float64).sum(dim=1)
    sums = reduce(sums)
    parts = sums.split([len(text.windows) for text in texts])
    return [float(part.sum()) for part in parts]


def summarise(texts: Sequence[HeldoutText], nlls: Sequence[float], *, step: int, tokens: int) -> HeldoutScores:
    """The scores of ``texts`` after ``step`` steps of ``tokens`` tokens; ``nlls`` are their summed losses (nats)."""
    groups = {
        text.name: describe(nll, text.tokens, text.bytes)
        for text, nll in sorted(zip(texts, nlls, strict=True), key=_name)
    }
    total = describe(sum(nlls), sum(text.tokens for text in texts), sum(text.bytes for text in texts))
    return HeldoutScores(step=step, tokens=tokens, groups=groups, total=total)


def _name(pair: tuple[HeldoutText, float]) -> str:
    return pair[0].name


def describe(nll: float, tokens: int, text_bytes: int) -> TextScores:
    """nll in nats; perplexity per token; bits per UTF-8 byte of text, which no tokenizer can flatter."""
    return TextScores(
        nll=nll,
        tokens=tokens,
        bytes=text_bytes,
        perplexity=math.exp(min(nll / tokens, 700.0)),
        bits_per_byte=nll / math.log(2) / text_bytes,
    )
