"""What the server lets in: whose requests, how large, how slow, how many. Everything else is refused before it costs.

Starlette and uvicorn have no limit for the size of a body, for a client that sends it slowly, or for one that connects
and says nothing.
"""

import asyncio
import json
import secrets
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from altiplano.inference.requests import RequestError

BODY_BYTES = 2 * 2**20
"""Of a request: what is read and parsed in a few hundredths of a second."""

BODY_SECONDS = 20.0
"""Within which it must be there."""

SILENT_SECONDS = 15.0
"""After which a connection without a whole request is closed."""

CONNECTIONS = 256
"""At once; one more is answered with 503."""

SHUTDOWN_SECONDS = 10
"""That requests may take to end when the server stops."""

OPEN = ("/health",)
"""Paths that need no key: load balancers ask them."""


async def read_json_body(request: Request) -> Any:
    """Raises RequestError for a body that is too large, too slow or no JSON."""
    stated = request.headers.get("content-length", "")
    if stated.isdigit() and int(stated) > BODY_BYTES:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > BODY_BYTES:
                    raise _too_large()
    except TimeoutError as error:
        raise RequestError(408, f"the body was not there after {BODY_SECONDS:g} seconds") from error
    except ClientDisconnect as error:
        raise RequestError(499, "the client went away before its body was there") from error
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestError(400, f"the body is not JSON: {problem}") from error


def _too_large() -> RequestError:
    return RequestError(413, f"the body is larger than {BODY_BYTES:,} bytes: send fewer prompts at once")


class RequireKey:
    """Answers 401 to requests without ``Authorization: Bearer KEY``."""

    def __init__(self, app: ASGIApp, key: str):
        self.app, self.expected = app, f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not secrets.compare_digest(given, self.expected):
                error = RequestError(401, "wrong or missing API key: Authorization: Bearer KEY", code="invalid_api_key")
                answer = JSONResponse(error.body(), status_code=401, headers={"WWW-Authenticate": "Bearer"})
                await answer(scope, receive, send)
                return
        await self.app(scope, receive, send)


class TimedProtocol(H11Protocol):  # type: ignore[misc]
    """Closes connections on which no whole request has come for ``SILENT_SECONDS``: uvicorn keeps them for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._seen: Any = None
        self._look = self.loop.call_later(SILENT_SECONDS, self._close_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        self._look.cancel()
        super().connection_lost(exc)

    def _close_if_silent(self) -> None:
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.cycle is self._seen:
            self.transport.close()
            return
        self._seen = self.cycle
        self._look = self.loop.call_later(SILENT_SECONDS, self._close_if_silent)
