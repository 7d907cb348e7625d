"""What /v1/completions answers: choices with text, log-probabilities and the reason they ended."""

import codecs
from typing import Any

from altiplano.inference.generate import Row
from altiplano.inference.load import Served
from altiplano.inference.requests import Completion
from altiplano.inference.score import Alternatives, Score, score
from altiplano.tokens.tokenizer import special_tokens


def usage(completion: Completion) -> dict[str, int]:
    said = sum(len(row.tokens) for row in completion.rows)
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": completion.prompt_tokens + said,
    }


def echo_scores(served: Served, completion: Completion) -> list[Score]:
    """Log-probabilities of the prompts' tokens where the client asked to have them; else empty."""
    if not completion.echo or completion.logprobs is None:
        return []
    distinct = sorted({tuple(row.prompt) for row in completion.rows})
    scores = dict(zip(distinct, score(served.model, distinct, alternatives=completion.logprobs), strict=True))
    return [scores[tuple(row.prompt)] for row in completion.rows]


def choice(served: Served, completion: Completion, index: int, scores: list[Score]) -> dict[str, Any]:
    """A finished choice."""
    row = completion.rows[index]
    before = served_text(served, completion.shown[index]) if completion.echo else ""
    logprobs = None
    if completion.logprobs is not None:
        tokens, values, best = list(row.tokens), list(row.logprobs), list(row.alternatives)
        if completion.echo:
            shown = completion.shown[index]
            hidden = len(row.prompt) - len(shown)  # 1 when the server put the begin token there
            prompt = scores[index]
            # The API has null for the first token of the text.
            known = [None, *prompt.logprobs.tolist()][hidden:]
            known_best = [[], *prompt.alternatives][hidden:]
            tokens = [*shown, *tokens]
            values = [*([None, *known[1:]] if known else []), *values]
            best = [*([[], *known_best[1:]] if known_best else []), *best]
        logprobs = token_logprobs(served, tokens, values, best)
    return {"index": index, "text": before + row.text, "logprobs": logprobs, "finish_reason": row.finish}


def token_logprobs(
    served: Served, tokens: list[int], values: list[float | None], best: list[Alternatives], start: int = 0
) -> dict[str, Any]:
    """OpenAI's four lists. ``text_offset`` counts characters from ``start``; the token at hand is always among its
    ``top_logprobs``."""
    top: list[dict[str, float] | None] = []
    for token, value, alternatives in zip(tokens, values, best, strict=True):
        if value is None:
            top.append(None)
            continue
        likeliest = {token_name(served, other): logprob for other, logprob in alternatives}
        top.append({**likeliest, token_name(served, token): value})
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    offsets = []
    for token in tokens:
        offsets.append(start)
        start += len(decoder.decode(_bytes(served, token)))
    names = [token_name(served, token) for token in tokens]
    return {"tokens": names, "token_logprobs": values, "top_logprobs": top, "text_offset": offsets}


def token_name(served: Served, token: int) -> str:
    """Text of one token. Part of a character is named by its bytes, as OpenAI does, so that names stay distinct."""
    raw = _bytes(served, token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def served_text(served: Served, tokens: list[int]) -> str:
    """Text of tokens that the client sent, special ones included."""
    return b"".join(_bytes(served, token) for token in tokens).decode("utf-8", errors="replace")


def _bytes(served: Served, token: int) -> bytes:
    special = token - served.tokenizer.bos
    if 0 <= special < len(special_tokens()):
        return special_tokens()[special].encode()
    return served.tokenizer.decode_bytes([token])


class Delta:
    """What of a row a stream has not sent yet. Holds back half characters and what may become a stop string."""

    def __init__(self, row: Row):
        self.row, self.sent, self.tokens, self.offset = row, 0, 0, 0
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.held = max((len(stop.encode()) for stop in row.sampling.stop), default=1) - 1

    def text(self) -> str:
        end = len(self.row.said) if self.row.finish else max(self.sent, len(self.row.said) - self.held)
        new, self.sent = self.row.said[self.sent : end], end
        return self.decoder.decode(new, final=bool(self.row.finish))

    def logprobs(self, served: Served) -> dict[str, Any]:
        row, since = self.row, self.tokens
        self.tokens = len(row.tokens)
        values: list[float | None] = [*row.logprobs[since:]]
        answer = token_logprobs(served, row.tokens[since:], values, row.alternatives[since:], self.offset)
        self.offset += len(served_text(served, row.tokens[since:]))
        return answer
