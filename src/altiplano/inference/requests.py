"""What a client may ask of /v1/completions, and a clear refusal of everything else.

Nothing is ignored in silence: a parameter that this server does not know, or whose value it cannot honour, is an error.
"""

import secrets
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
)

from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import LocalModel

MAX_CHOICES = 256
MAX_STOPS, STOP_CHARACTERS = 16, 1000
LEAST_TEMPERATURE = 1e-4
"""Above 0: logits that are divided by less are no numbers any more."""
LARGEST = 2**63 - 1
Number = Annotated[float, Strict()]


def _prompt(value: Any) -> Any:
    """One of the four forms, by a look at each element's type: pydantic would describe every wrong element of each
    form, a million times over."""
    if isinstance(value, str) or (isinstance(value, list) and _are_tokens(value)):
        return value
    if isinstance(value, list) and len(value) > MAX_CHOICES:
        raise ValueError(f"{len(value):,} prompts are over {MAX_CHOICES}")
    if isinstance(value, list) and (
        all(isinstance(one, str) for one in value) or all(isinstance(one, list) and _are_tokens(one) for one in value)
    ):
        return value
    raise ValueError("a text, a list of texts, a list of token numbers, or a list of such lists")


def _are_tokens(values: list[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)


def _is_text(value: str) -> str:
    """JSON may escape half of a surrogate pair, which is no character."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("half of a surrogate pair is no text") from error
    return value


Text = Annotated[StrictStr, AfterValidator(_is_text)]
Stop = Annotated[Text, Field(max_length=STOP_CHARACTERS)]


class RequestError(Exception):
    """Becomes the body ``{"error": {message, type, param, code}}`` with an HTTP status."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None,
        kind: str = "invalid_request_error",
    ):  # fmt: skip
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}

    def body(self) -> dict[str, Any]:
        return {"error": self.error}


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")
    include_usage: StrictBool = False


class CompletionRequest(BaseModel):
    """OpenAI's parameters, and vLLM's ``top_k``. Those after ``user`` are accepted at their neutral value only."""

    model_config = ConfigDict(extra="forbid")
    model: Text | None = None
    prompt: Annotated[Any, PlainValidator(_prompt)] = "<|begin_of_text|>"
    max_tokens: StrictInt | None = Field(None, ge=0)
    temperature: Number | None = Field(None, ge=0, le=100)
    top_p: Number | None = Field(None, gt=0, le=1)
    top_k: StrictInt | None = Field(None, ge=-1, le=LARGEST)
    n: StrictInt | None = Field(None, ge=1, le=MAX_CHOICES)
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    seed: StrictInt | None = Field(None, ge=-LARGEST, le=LARGEST - MAX_CHOICES)
    logprobs: Annotated[StrictInt, Field(ge=0, le=20)] | None = None
    echo: StrictBool | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: Text | None = None
    best_of: StrictInt | None = None
    frequency_penalty: float | None = Field(None, ge=0, le=0)
    presence_penalty: float | None = Field(None, ge=0, le=0)
    logit_bias: dict[str, float] | None = Field(None, max_length=0)
    suffix: Annotated[StrictStr, Field(max_length=0)] | None = None


@dataclass(frozen=True)
class Completion:
    """A request understood: one row per choice, in the order of their index."""

    rows: list[Row]
    shown: list[list[int]]
    """Of each row, the prompt's tokens that ``echo`` repeats: not the begin token that the server put before a text."""
    echo: bool
    logprobs: int | None
    stream: bool
    include_usage: bool
    prompt_tokens: int


def parse(served: LocalModel, body: Any) -> Completion:
    """Raises RequestError."""
    try:
        asked = CompletionRequest.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from error
    if asked.model is not None:
        check_name(served, asked.model)
    n = asked.n or 1
    if asked.best_of not in (None, n):
        raise RequestError(400, "best_of other than n is not supported", "best_of")
    if asked.stream_options is not None and not asked.stream:
        raise RequestError(400, "stream_options needs stream = true", "stream_options")
    if asked.max_tokens == 0 and not asked.echo:
        raise RequestError(400, "max_tokens = 0 needs echo = true", "max_tokens")
    prompts, shown = _prompts(served, asked.prompt)
    if len(prompts) * n > MAX_CHOICES:
        raise RequestError(400, f"{len(prompts)} prompts × n = {n} are over {MAX_CHOICES} choices", "n")
    max_tokens = 16 if asked.max_tokens is None else asked.max_tokens
    for prompt in prompts:
        if len(prompt) + max_tokens > served.context:
            message = (
                f"this model's context is {served.context} tokens; the prompt has {len(prompt)} and max_tokens is "
                f"{max_tokens}: shorten one of them"
            )
            raise RequestError(400, message, "prompt", "context_length_exceeded")
    if asked.temperature is not None and 0 < asked.temperature < LEAST_TEMPERATURE:
        message = f"a temperature is 0, for the likeliest token, or at least {LEAST_TEMPERATURE:g}"
        raise RequestError(400, message, "temperature")
    stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    if "" in stops:
        raise RequestError(400, "a stop string must not be empty", "stop")
    seed = secrets.randbits(63) if asked.seed is None else asked.seed
    rows = [
        Row(
            prompt,
            Sampling(
                max_tokens=max_tokens,
                temperature=served.temperature if asked.temperature is None else asked.temperature,
                top_k=max(0, asked.top_k or 0),
                top_p=asked.top_p or 1.0,
                seed=seed + choice,
                stop=tuple(stops),
                alternatives=asked.logprobs or 0,
            ),
        )
        for prompt in prompts
        for choice in range(n)
    ]
    return Completion(
        rows=rows,
        shown=[tokens for tokens in shown for _ in range(n)],
        echo=bool(asked.echo),
        logprobs=asked.logprobs,
        stream=bool(asked.stream),
        include_usage=asked.stream_options is not None and asked.stream_options.include_usage,
        prompt_tokens=sum(map(len, prompts)),
    )


def check_name(served: LocalModel, name: str) -> None:
    """Raises RequestError for any model but the one that is served."""
    if name != served.name:
        message = f"the model {name!r} does not exist; this server has {served.name!r}"
        raise RequestError(404, message, "model", "model_not_found")


def _prompts(served: LocalModel, prompt: Any) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens of every prompt, and those of them that the client knows of.

    Text is the beginning of a document: the begin token goes before it, once. Token numbers are taken as they are.
    """
    if isinstance(prompt, str) or (prompt and isinstance(prompt[0], int)):
        prompt = [prompt]
    if not prompt:
        raise RequestError(400, "prompt must not be empty", "prompt")
    tokens, shown = [], []
    for one in prompt:
        if isinstance(one, str):
            text = one.removeprefix("<|begin_of_text|>")
            try:
                size = len(text.encode())
            except UnicodeEncodeError as error:
                raise RequestError(400, "prompt: half of a surrogate pair is no text", "prompt") from error
            if size > served.context * served.tokenizer.longest:  # too long however it is tokenized
                message = f"this model's context is {served.context} tokens; a prompt of {size:,} bytes has more"
                raise RequestError(400, message, "prompt", "context_length_exceeded")
            tokens.append(served.prompt(text))
            shown.append(tokens[-1] if text != one else tokens[-1][1:])
            continue
        if not one:
            raise RequestError(400, "a prompt of token numbers must not be empty", "prompt")
        if max(one) >= served.model.shape.vocab_size:
            message = f"token {max(one)} is outside the vocabulary of {served.model.shape.vocab_size}"
            raise RequestError(400, message, "prompt")
        tokens.append(one)
        shown.append(one)
    return tokens, shown


def _refusal(error: ValidationError) -> RequestError:
    """The first problem, as OpenAI answers it: 400, whether a parameter is unknown or its value of the wrong kind."""
    first = error.errors()[0]
    param = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        return RequestError(400, f"unrecognized request argument supplied: {param}", param)
    if param in ("frequency_penalty", "presence_penalty", "logit_bias", "suffix"):
        return RequestError(400, f"{param} is not supported by this server", param)
    return RequestError(400, f"{param or 'body'}: {first['msg']}", param)
