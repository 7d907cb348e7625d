"""Rolling perplexity: long documents in windows, as lm-evaluation-harness' ``loglikelihood_rolling`` scores them.

Every token of a text is predicted once; the first one from the begin token (of a model without one, whatever separated
its documents), which is never predicted itself, and no end token is. Windows of ``window`` tokens predict ``stride``
tokens each, the first one as many as it has, and the last one is filled up with what stands before its tokens. With
``stride`` = ``window`` they are the harness' own.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from altiplano.errors import InputError
from altiplano.evaluation.statistics import Mean, clustered_ratio
from altiplano.inference.language_model import LanguageModel
from altiplano.progress import track
from altiplano.records import Interval
from altiplano.records.texts import PositionBand, ScoredTexts

AT_ONCE = 1 << 16
"""Tokens of windows that are held at once."""
BANDS = (0, 64, 256, 1024, 4096, 16384, 65536)
"""Places at which a band of positions begins."""


@dataclass(frozen=True)
class ScoredText:
    """Of each token [tokens]: its negative log-likelihood in nats (float64) and its UTF-8 bytes."""

    nll: np.ndarray
    token_bytes: np.ndarray
    bytes: int
    """Of the text."""


def check_windows(model: LanguageModel, window: int | None, stride: int | None) -> tuple[int, int]:
    """Window and stride, by default the model's context, disjoint. Raises InputError when they cannot be used."""
    chosen = model.context if window is None else window
    if not 2 <= chosen <= model.context:
        raise InputError(f"window = {chosen:,}: give 2 to {model.context:,} tokens, the context of {model.name}")
    step = chosen if stride is None else stride
    if not 1 <= step <= chosen:
        raise InputError(f"stride = {step:,}: give 1 to {chosen:,} tokens, the window")
    return chosen, step


def windows(length: int, window: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """(first token seen, first token predicted, end) of each window over a text of ``length`` tokens; -1 is the begin
    token. The tokens of a row are [first seen, end), its last ``end - first predicted`` ones are predicted."""
    end = min(window, length)
    if end:
        yield -1, 0, end
    while end < length:
        before, end = end, min(end + stride, length)
        # as many tokens are fed as the model sees; the last one is only predicted
        yield max(-1, end - window - 1), before, end


def score_texts(
    model: LanguageModel, texts: Sequence[str], window: int | None = None, stride: int | None = None
) -> list[ScoredText]:
    """Score each text, in order; none may be empty."""
    seen, step = check_windows(model, window, stride)
    tokens = [np.array([model.tokenizer.bos, *row], dtype=np.int64) for row in model.tokenizer.encode_batch(texts)]
    found = [ScoredText(np.zeros(len(row) - 1), _sizes(model, row[1:]), len(text.encode("utf-8", "surrogatepass")))
             for row, text in zip(tokens, texts, strict=True)]  # fmt: skip
    places = [(number, *place) for number, row in enumerate(tokens) for place in windows(len(row) - 1, seen, step)]
    portion = max(1, AT_ONCE // seen)
    portions = [places[at : at + portion] for at in range(0, len(places), portion)]
    for part in track(portions, "windows of text", len(portions)):
        rows = [tokens[number][first + 1 : end + 1] for number, first, _, end in part]
        for (number, _, predicted, end), scored in zip(part, model.score(rows), strict=True):
            found[number].nll[predicted:end] = -scored.logprobs[-(end - predicted) :].double().numpy()
    return found


def _sizes(model: LanguageModel, tokens: np.ndarray) -> np.ndarray:
    known = {token: len(model.tokenizer.decode_bytes([token])) for token in set(tokens.tolist())}
    return np.array([known[token] for token in tokens.tolist()], dtype=np.int64)


def summarise_texts(scored: Sequence[ScoredText], empty: int = 0, digest: str = "") -> ScoredTexts:
    """Of documents together; intervals are over them."""
    nll, size = np.array([one.nll.sum() for one in scored]), np.array([one.bytes for one in scored])
    tokens = max(1, sum(len(one.nll) for one in scored))
    mean = _bits(nll, size)
    return ScoredTexts(
        nll=float(nll.sum()),
        tokens=tokens,
        bytes=int(size.sum()),
        perplexity=math.exp(min(float(nll.sum()) / tokens, 700.0)),
        bits_per_byte=mean.value,
        documents=len(scored),
        empty=empty,
        interval=_interval(mean),
        bands=[*_bands(scored)],
        digest=digest,
    )


def _bands(scored: Sequence[ScoredText]) -> Iterator[PositionBand]:
    for first, end in zip(BANDS, [*BANDS[1:], None], strict=True):
        here = [one for one in scored if len(one.nll) > first]
        if not here:
            return
        nll = np.array([one.nll[first:end].sum() for one in here])
        size = np.array([one.token_bytes[first:end].sum() for one in here])
        mean = _bits(nll, size)
        if math.isfinite(mean.value):
            yield PositionBand(
                first=first,
                end=end,
                documents=len(here),
                tokens=sum(len(one.nll[first:end]) for one in here),
                bytes=int(size.sum()),
                bits_per_byte=mean.value,
                interval=_interval(mean),
            )


def _bits(nll: np.ndarray, size: np.ndarray) -> Mean:
    return clustered_ratio(nll / math.log(2), size, [str(number) for number in range(len(nll))])


def _interval(mean: Mean) -> Interval | None:
    return Interval(value=mean.value, low=mean.low, high=mean.high) if math.isfinite(mean.low) else None
