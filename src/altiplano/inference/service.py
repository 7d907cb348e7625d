"""The endpoints. Imported by ``server.py`` alone, since it needs the serving extra.

One process, one model, one lock: requests take turns token by token, so a long stream does not shut out the others.

What the server tells of itself under /metrics.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from altiplano.inference import answers
from altiplano.inference.generate import stream
from altiplano.inference.language_model import LocalModel
from altiplano.inference.limits import RequireKey, read_json_body
from altiplano.inference.log_probabilities import TokenScores
from altiplano.inference.requests import Completion, RequestError, check_name, parse

log = logging.getLogger(__name__)


def application(served: LocalModel, key: str = "", hosts: Sequence[str] = ("*",)) -> Starlette:
    """``key``: that requests must bring; empty: none. ``hosts``: names that they may call this server by, so that a
    page in somebody's browser cannot reach it under a name of its own (DNS rebinding)."""
    service = Service(served)
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)]
    if key:
        guards.append(Middleware(RequireKey, key=key))
    return Starlette(
        middleware=guards,
        routes=[
            Route("/v1/completions", service.completions, methods=["POST"]),
            Route("/v1/chat/completions", service.chat, methods=["POST"]),
            Route("/v1/models", service.models),
            Route("/v1/models/{name:path}", service.model),
            Route("/health", service.health),
            Route("/metrics", service.metrics),
        ],
        exception_handlers={RequestError: service.refuse, HTTPException: _wrong_address, Exception: _broken},
    )


class Service:
    def __init__(self, served: LocalModel):
        self.served = served
        self.lock = asyncio.Lock()
        self.counters = Counters()
        self.started = int(time.time())

    async def completions(self, request: Request) -> Response:
        body = await read_json_body(request)
        completion = await run_in_threadpool(parse, self.served, body)
        self.counters.prompt_tokens += completion.prompt_tokens
        async with self.lock:
            scores = await run_in_threadpool(answers.echo_scores, self.served, completion)
        common: dict[str, Any] = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion"}
        common |= {"created": int(time.time()), "model": self.served.name}
        if completion.logprobs is not None:
            common |= {"calibration": answers.calibration(self.served)}
        if completion.stream:
            events = self._counted(completion, self._events(completion, common, scores))
            return StreamingResponse(events, media_type="text/event-stream")
        async with aclosing(self._counted(completion, self._steps(completion))) as steps:
            async for _ in steps:
                if await request.is_disconnected():
                    return PlainTextResponse("client closed request", status_code=499)
        choices = [answers.choice(self.served, completion, index, scores) for index in range(len(completion.rows))]
        return JSONResponse({**common, "choices": choices, "usage": answers.usage(completion)})

    async def _steps(self, completion: Completion) -> AsyncGenerator[None]:
        """Yield after every token of the whole request; the lock is free in between."""
        tokens = stream(self.served.model, self.served.tokenizer, completion.rows)
        while True:
            async with self.lock:
                finished = await run_in_threadpool(lambda: next(tokens, "finished") == "finished")
            if finished:
                return
            yield

    async def _events(
        self, completion: Completion, common: dict[str, Any], scores: list[TokenScores]
    ) -> AsyncGenerator[str]:
        """Server-sent events: one per choice with something new to say, then usage if asked for, then [DONE]."""
        if completion.include_usage:
            common = {**common, "usage": None}
        deltas = [answers.Delta(row) for row in completion.rows]
        if completion.echo:
            for index, delta in enumerate(deltas):
                prompt = answers.choice(self.served, completion, index, scores)
                delta.offsets.place = len(prompt["text"])
                yield _event(common, [prompt | {"finish_reason": None}])
        told: set[int] = set()
        async with aclosing(self._steps(completion)) as steps:
            async for _ in steps:
                for index, delta in enumerate(deltas):
                    text = "" if index in told else delta.text()
                    if not text:
                        continue
                    logprobs = delta.logprobs(self.served) if completion.logprobs is not None else None
                    yield _event(common, [{"index": index, "text": text, "logprobs": logprobs, "finish_reason": None}])
                for index, delta in enumerate(deltas):
                    if delta.row.finish and index not in told:
                        told.add(index)
                        yield _event(common, [self._last(completion, index, delta)])
        for index, delta in enumerate(deltas):  # rows of no token at all
            if index not in told:
                yield _event(common, [self._last(completion, index, delta)])
        if completion.include_usage:
            yield _event(common | {"usage": answers.usage(completion)}, [])
        yield "data: [DONE]\n\n"

    def _last(self, completion: Completion, index: int, delta: answers.Delta) -> dict[str, Any]:
        """The event that ends a choice, with whatever the ones before held back."""
        left = completion.logprobs is not None and delta.tokens < len(delta.row.tokens)
        logprobs = delta.logprobs(self.served) if left else None
        return {"index": index, "text": delta.text(), "logprobs": logprobs, "finish_reason": delta.row.finish}

    async def _counted(self, completion: Completion, work: AsyncGenerator[Any]) -> AsyncGenerator[Any]:
        """The same work, with its outcome in the counters even when the client goes away in the middle of it."""
        began, outcome = time.monotonic(), "cancelled"
        self.counters.running += 1
        try:
            async with aclosing(work):
                async for item in work:
                    yield item
            outcome = "200"
        except Exception:
            outcome = "500"
            raise
        finally:
            self.counters.running -= 1
            self.counters.count(outcome)
            self.counters.seconds += time.monotonic() - began
            self.counters.completion_tokens += answers.usage(completion)["completion_tokens"]

    async def chat(self, _: Request) -> Response:
        message = "this is a base model without a chat template: use /v1/completions"
        raise RequestError(400, message, code="no_chat_template")

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._described()]})

    async def model(self, request: Request) -> Response:
        check_name(self.served, request.path_params["name"])
        return JSONResponse(self._described())

    def _described(self) -> dict[str, Any]:
        model = {"id": self.served.name, "object": "model", "created": self.started, "owned_by": "altiplano"}
        model |= {"max_model_len": self.served.context, "temperature": self.served.temperature}
        fitted = self.served.answer_temperature
        return model | {"answer_temperature": fitted.as_json() if fitted is not None else None}

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok", "model": self.served.name})

    async def metrics(self, _: Request) -> Response:
        return PlainTextResponse(self.counters.text(), media_type="text/plain; version=0.0.4")

    async def refuse(self, _: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        self.counters.count(str(error.status))
        return JSONResponse(error.body(), status_code=error.status)


def _event(common: dict[str, Any], choices: list[dict[str, Any]]) -> str:
    return f"data: {json.dumps({**common, 'choices': choices})}\n\n"


async def _wrong_address(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{error.detail}; this server has POST /v1/completions, GET /v1/models, /health and /metrics"
    return JSONResponse(RequestError(error.status_code, message).body(), status_code=error.status_code)


async def _broken(_: Request, error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    body = RequestError(500, f"internal error: {type(error).__name__}", kind="server_error").body()
    return JSONResponse(body, status_code=500)


class Counters:
    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.prompt_tokens = self.completion_tokens = self.running = 0
        self.seconds = 0.0

    def count(self, status: str) -> None:
        self.requests[status] = self.requests.get(status, 0) + 1

    def text(self) -> str:
        """Prometheus' text format 0.0.4."""
        lines = [
            "# HELP altiplano_requests_total Completion requests by HTTP status, or cancelled.",
            "# TYPE altiplano_requests_total counter",
        ]
        lines += [f'altiplano_requests_total{{status="{key}"}} {n}' for key, n in sorted(self.requests.items())]
        for name, kind, about, value in (
            ("prompt_tokens_total", "counter", "Prompt tokens read.", self.prompt_tokens),
            ("completion_tokens_total", "counter", "Tokens generated.", self.completion_tokens),
            ("request_seconds_total", "counter", "Seconds spent on finished requests.", round(self.seconds, 6)),
            ("requests_running", "gauge", "Requests being answered.", self.running),
        ):
            lines.append(f"# HELP altiplano_{name} {about}")
            lines.append(f"# TYPE altiplano_{name} {kind}")
            lines.append(f"altiplano_{name} {value}")
        return "\n".join(lines) + "\n"
