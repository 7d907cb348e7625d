"""What /v1/completions answers: choices with text, log-probabilities and the reason they ended."""

import codecs
from typing import Any

from altiplano.inference.generate import Row
from altiplano.inference.language_model import LocalModel
from altiplano.inference.log_probabilities import Alternatives, TokenScores, score
from altiplano.inference.requests import Completion


def usage(completion: Completion) -> dict[str, int]:
    said = sum(len(row.tokens) for row in completion.rows)
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": said,
        "total_tokens": completion.prompt_tokens + said,
    }


def calibration(served: LocalModel) -> dict[str, Any]:
    """Beside log-probabilities: they are raw, and what they are to be divided by when they are of an item's choices."""
    fitted = served.answer_temperature
    return {
        "logprobs_temperature": 1.0,
        "answer_temperature": fitted.value if fitted is not None else None,
        "answer_normalisation": fitted.normalisation if fitted is not None else None,
    }


def echo_scores(served: LocalModel, completion: Completion) -> list[TokenScores]:
    """Log-probabilities of the prompts' tokens where the client asked to have them; else empty."""
    if not completion.echo or completion.logprobs is None:
        return []
    distinct = sorted({tuple(row.prompt) for row in completion.rows})
    scores = dict(zip(distinct, score(served.model, distinct, alternatives=completion.logprobs), strict=True))
    return [scores[tuple(row.prompt)] for row in completion.rows]


def choice(served: LocalModel, completion: Completion, index: int, scores: list[TokenScores]) -> dict[str, Any]:
    """A choice as far as it has come."""
    row = completion.rows[index]
    before = text_of(served, completion.shown[index]) if completion.echo else ""
    logprobs = None
    if completion.logprobs is not None:
        tokens, best = list(row.tokens), list(row.alternatives)
        values: list[float | None] = list(row.logprobs)
        if completion.echo and completion.shown[index]:
            shown, prompt = completion.shown[index], scores[index]
            # The API has null for the first token; the server's own begin token may have come before it.
            after = len(row.prompt) - len(shown)
            tokens = [*shown, *tokens]
            values = [None, *prompt.logprobs.tolist()[after:], *values]
            best = [[], *prompt.alternatives[after:], *best]
        logprobs = token_logprobs(served, tokens, values, best, Offsets())
    return {"index": index, "text": before + row.text, "logprobs": logprobs, "finish_reason": row.finish}


class Offsets:
    """Where tokens begin, in characters of the decoded text; a token inside a character begins where that one does."""

    def __init__(self) -> None:
        self.place = 0
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def of(self, pieces: list[bytes]) -> list[int]:
        places = []
        for piece in pieces:
            places.append(self.place)
            self.place += len(self.decoder.decode(piece))
        return places


def token_logprobs(
    served: LocalModel, tokens: list[int], values: list[float | None], best: list[Alternatives], offsets: Offsets
) -> dict[str, Any]:
    """OpenAI's four lists. The token at hand is always among its ``top_logprobs``."""
    top: list[dict[str, float] | None] = []
    for token, value, alternatives in zip(tokens, values, best, strict=True):
        likeliest = {token_name(served, other): logprob for other, logprob in alternatives}
        top.append(None if value is None else {**likeliest, token_name(served, token): value})
    return {
        "tokens": [token_name(served, token) for token in tokens],
        "token_logprobs": values,
        "top_logprobs": top,
        "text_offset": offsets.of([_bytes(served, token) for token in tokens]),
    }


def token_name(served: LocalModel, token: int) -> str:
    """Text of one token. Part of a character is named by its bytes, as OpenAI does, so that names stay distinct."""
    raw = _bytes(served, token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def text_of(served: LocalModel, tokens: list[int]) -> str:
    """Text of tokens that the client sent, special ones included."""
    return b"".join(_bytes(served, token) for token in tokens).decode("utf-8", errors="replace")


def _bytes(served: LocalModel, token: int) -> bytes:
    special = served.tokenizer.specials.get(token)
    return special.encode() if special is not None else served.tokenizer.decode_bytes([token])


class Delta:
    """What of a row a stream has not sent yet. Holds back half characters and what may become a stop string."""

    def __init__(self, row: Row):
        self.row, self.sent, self.tokens = row, 0, 0
        self.offsets = Offsets()
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.held = max((len(stop.encode()) for stop in row.sampling.stop), default=1) - 1

    def text(self) -> str:
        said = self.row.said
        end = len(said) if self.row.finish else max(self.sent, len(said) - self.held)
        new, self.sent = said[self.sent : end], end
        return self.decoder.decode(new, final=bool(self.row.finish))

    def logprobs(self, served: LocalModel) -> dict[str, Any]:
        row, since = self.row, self.tokens
        self.tokens = len(row.tokens)
        values: list[float | None] = list(row.logprobs[since:])
        return token_logprobs(served, row.tokens[since:], values, row.alternatives[since:], self.offsets)
