"""HTTP transport to an MCP server, on which a failed request fails one call, and not all of them.

If one request cannot be sent, the `mcp` package ends the whole session, with every running call. Here an error of the
protocol answers such a request instead. Its code says whether the call may have been executed.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from workers.remote_tools.mcp.answers import BROKE_OFF, HTTP_STATUS, NOT_REACHED, SESSION_GONE

CONNECT_SECONDS = 5.0
"""A server that takes longer is down; a caller waits on the line."""
READ_SECONDS = 300.0
"""Between two chunks of an answer. A call has a deadline of its own, which ends it before."""
MAX_ANSWER_BYTES = 1024 * 1024
"""Most bytes of an answer; as many as the `mcp` package accepts of a stream at a time. A result is smaller still."""
MAX_CONNECTIONS = 1_000
"""As many calls as a worker may have at once."""
SESSION = "mcp-session-id"


class ErrorIsolatingTransport(httpx2.AsyncBaseTransport):
    """Transport that sends each request over `inner`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send the request. For a network error it returns an error answer, and never raises."""
        try:
            response = await self._inner.handle_async_request(request)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as problem:
            return _error(request, 502, NOT_REACHED, problem)
        except httpx2.TransportError as problem:
            return _error(request, 502, BROKE_OFF, problem)
        if response.status_code < 400 and _is_json(response):
            response.stream = _Bounded(response.stream)
        if response.status_code < 400 or request.method != "POST":
            return response
        if response.status_code in (400, 404) and SESSION in request.headers and await _is_lost_session(response):
            return _error(request, response.status_code, SESSION_GONE, "the session is gone")
        if _is_of_the_protocol(response):
            return response
        await response.aclose()
        return _error(request, response.status_code, HTTP_STATUS - 400 + response.status_code, "an HTTP status")

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


@asynccontextmanager
async def http_client(headers: dict[str, str]) -> AsyncIterator[httpx2.AsyncClient]:
    """Return a client that sends these headers with every request; one server's connections."""
    timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    transport = ErrorIsolatingTransport(
        httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_connections=MAX_CONNECTIONS))
    )
    plain = {"Accept-Encoding": "identity", **headers}  # a packed answer has no bound
    async with httpx2.AsyncClient(headers=plain, timeout=timeout, transport=transport) as client:
        yield client


class _Bounded(httpx2.AsyncByteStream):
    """Body that raises the error which the `mcp` package takes for an unreadable answer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > MAX_ANSWER_BYTES:
                raise httpx2.StreamError(f"more than {MAX_ANSWER_BYTES} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def _is_json(response: httpx2.Response) -> bool:
    return bool(response.headers.get("content-type", "").lower().startswith("application/json"))


def _is_of_the_protocol(response: httpx2.Response) -> bool:
    return response.status_code not in (401, 403, 429) and _is_json(response)


async def _is_lost_session(response: httpx2.Response) -> bool:
    """Return whether the session is lost. Status 404 says so; some servers answer 400 and say it in words."""
    if response.status_code == 404:
        await response.aclose()
        return True
    return b"session" in (await response.aread()).lower()


def _error(request: httpx2.Request, status: int, code: int, problem: object) -> httpx2.Response:
    """Return an error answer of JSON-RPC; its receiver knows which request it belongs to."""
    error = {"code": code, "message": repr(problem)}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error}).encode()
    return httpx2.Response(status, headers={"content-type": "application/json"}, content=body, request=request)
