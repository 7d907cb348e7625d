"""An OpenAI-compatible server for a base model: /v1/completions with echo, logprobs and streaming.

One process, one model, one lock: requests take turns step by step, so a long stream does not shut out others.
"""

import asyncio
import json
import logging
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from altiplano.errors import InputError
from altiplano.inference import answers, selftest
from altiplano.inference.generate import stream
from altiplano.inference.load import Served, load_served
from altiplano.inference.requests import Completion, RequestError, parse

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

log = logging.getLogger(__name__)


def serve(folder: Path, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Load a release folder, test it, and answer until interrupted. Raises InputError for a port in use."""
    listener = _listen(host, port)
    try:
        import uvicorn
    except ImportError as error:
        raise InputError('serving needs uvicorn: pip install "altiplano[serving]"') from error
    served = load_served(folder)
    difference = selftest.check(served)
    app = application(served)
    print(f"self-test passed: {difference:.1e} nats from the trained model", file=sys.stderr)
    print(f"serving {served.name} on http://{host}:{listener.getsockname()[1]}/v1", file=sys.stderr, flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket; bound first, so that a port in use is known before the model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # a second bind succeeds until someone listens
    except (OSError, OverflowError) as error:
        listener.close()
        raise InputError(f"cannot serve on {host}:{port} ({error}); choose another with --port") from error
    return listener


class Counters:
    """What /metrics tells."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.prompt_tokens = self.completion_tokens = self.running = 0
        self.seconds = 0.0

    def count(self, status: str) -> None:
        self.requests[status] = self.requests.get(status, 0) + 1

    def text(self) -> str:
        """Prometheus' text format 0.0.4."""
        lines = ["# HELP altiplano_requests_total Completion requests by outcome.",
                 "# TYPE altiplano_requests_total counter"]  # fmt: skip
        lines += [f'altiplano_requests_total{{status="{key}"}} {n}' for key, n in sorted(self.requests.items())]
        for name, kind, about, value in (
            ("prompt_tokens_total", "counter", "Prompt tokens read.", self.prompt_tokens),
            ("completion_tokens_total", "counter", "Tokens generated.", self.completion_tokens),
            ("request_seconds_total", "counter", "Seconds spent on finished requests.", round(self.seconds, 6)),
            ("requests_running", "gauge", "Requests being answered.", self.running),
        ):
            lines += [f"# HELP altiplano_{name} {about}", f"# TYPE altiplano_{name} {kind}", f"altiplano_{name} {value}"]
        return "\n".join(lines) + "\n"


def application(served: Served) -> "Starlette":
    """The ASGI application."""
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.exceptions import HTTPException
        from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
        from starlette.routing import Route
    except ImportError as error:
        raise InputError('serving needs starlette: pip install "altiplano[serving]"') from error
    lock, counters, started = asyncio.Lock(), Counters(), int(time.time())

    async def steps(completion: Completion) -> AsyncIterator[None]:
        """Yield after every token of the whole request; the lock is free in between."""
        tokens = stream(served.model, served.tokenizer, completion.rows)
        going = True
        while going:
            async with lock:
                going = await run_in_threadpool(lambda: next(tokens, "end") != "end")
            if going:
                yield

    async def completions(request: "Request") -> "Response":
        try:
            body = await request.json()
        except ValueError as error:
            raise RequestError(400, f"the body is not JSON: {error}") from error
        completion = parse(served, body)
        counters.prompt_tokens += completion.prompt_tokens
        async with lock:
            scores = await run_in_threadpool(answers.echo_scores, served, completion)
        common = {"id": f"cmpl-{uuid.uuid4().hex}", "object": "text_completion", "created": int(time.time()),
                  "model": served.name}  # fmt: skip
        if completion.stream:
            events = counted(completion, server_sent_events(completion, common, scores))
            return StreamingResponse(events, media_type="text/event-stream")
        async for _ in counted(completion, steps(completion)):
            if await request.is_disconnected():
                return PlainTextResponse("client closed request", status_code=499)
        choices = [answers.choice(served, completion, i, scores) for i in range(len(completion.rows))]
        return JSONResponse({**common, "choices": choices, "usage": answers.usage(completion)})

    async def counted(completion: Completion, work: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """The same work, with its outcome in the counters even when the client goes away in the middle of it."""
        began, outcome = time.monotonic(), "cancelled"
        counters.running += 1
        try:
            async for item in work:
                yield item
            outcome = "200"
        except Exception:
            outcome = "500"
            raise
        finally:
            counters.running -= 1
            counters.count(outcome)
            counters.seconds += time.monotonic() - began
            counters.completion_tokens += answers.usage(completion)["completion_tokens"]

    async def server_sent_events(completion: Completion, common: dict[str, Any], scores: list[Any]) -> AsyncIterator[str]:
        def event(**fields: Any) -> str:
            extra = {"usage": None} if completion.include_usage else {}
            return f"data: {json.dumps({**common, **extra, **fields})}\n\n"

        waiting = {index: answers.Delta(row) for index, row in enumerate(completion.rows)}
        if completion.echo:
            for index in waiting:
                row, prompt = completion.rows[index], answers.choice(served, completion, index, scores)
                waiting[index].offset = len(prompt["text"])
                if row.sampling.max_tokens:
                    yield event(choices=[{**prompt, "finish_reason": None}])
                else:
                    yield event(choices=[{**prompt, "finish_reason": "length"}])
                    del waiting[index]
                    break
        async for _ in steps(completion):
            for index, delta in list(waiting.items()):
                text = delta.text()
                if not (text or delta.row.finish):
                    continue
                logprobs = delta.logprobs(served) if completion.logprobs is not None else None
                finish = delta.row.finish or None
                yield event(choices=[{"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}])
                if finish:
                    del waiting[index]
        if completion.include_usage:
            yield event(choices=[], usage=answers.usage(completion))
        yield "data: [DONE]\n\n"

    async def chat(_: "Request") -> "Response":
        raise RequestError(400, "this is a base model without a chat template: use /v1/completions", code="no_chat_template")

    async def models(_: "Request") -> "Response":
        model = {"id": served.name, "object": "model", "created": started, "owned_by": "altiplano"}
        model |= {"max_model_len": served.context, "temperature": served.temperature}
        return JSONResponse({"object": "list", "data": [model]})

    async def health(_: "Request") -> "Response":
        return JSONResponse({"status": "ok", "model": served.name})

    async def metrics(_: "Request") -> "Response":
        return PlainTextResponse(counters.text(), media_type="text/plain; version=0.0.4")

    async def refused(_: "Request", error: Exception) -> "Response":
        assert isinstance(error, RequestError)
        counters.count(str(error.status))
        return JSONResponse(error.body(), status_code=error.status)

    async def wrong_address(_: "Request", error: Exception) -> "Response":
        assert isinstance(error, HTTPException)
        body = RequestError(error.status_code, f"{error.detail}: this server has /v1/completions and /v1/models").body()
        return JSONResponse(body, status_code=error.status_code)

    async def broken(_: "Request", error: Exception) -> "Response":
        log.error("request failed", exc_info=error)
        body = RequestError(500, f"internal error: {type(error).__name__}").body()
        body["error"]["type"] = "server_error"
        return JSONResponse(body, status_code=500)

    return Starlette(
        routes=[
            Route("/v1/completions", completions, methods=["POST"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/models", models),
            Route("/health", health),
            Route("/metrics", metrics),
        ],
        exception_handlers={RequestError: refused, HTTPException: wrong_address, Exception: broken},
    )
