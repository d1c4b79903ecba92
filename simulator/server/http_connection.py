"""HTTP requests with a body, on the port of the WebSockets: ``websockets`` reads neither bodies nor other methods."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
from websockets.asyncio.server import ServerConnection

MAX_BODY_BYTES = 1024 * 1024
"""Offers are a few KiB, sessions with many tools some hundred."""
RETRY_AFTER_S = "1"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class HttpRequest:
    """A whole request; the names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpAnswer:
    """An answer; without a body it has no content type."""

    status: int
    body: str = ""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Answer = Callable[[HttpRequest], Awaitable[HttpAnswer]]


class HttpConnection(asyncio.Protocol):
    """Reads one request, answers it and closes: the next one may be for the WebSockets."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._state = h11.Connection(h11.SERVER)
        self._transport: asyncio.Transport | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of TCP
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take more of the request."""
        if self._answering is not None:
            return
        self._state.receive_data(data)
        try:
            while self._answering is None and not isinstance(event := self._state.next_event(), type):
                self._take(event)
        except h11.RemoteProtocolError as error:
            self._send(HttpAnswer(error.error_status_hint))

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop the answer that nobody reads."""
        if self._answering is not None:
            self._answering.cancel()

    def _take(self, event: Any) -> None:
        match event:
            case h11.Request():
                self._request = event
            case h11.Data():
                self._body += event.data
                if len(self._body) > MAX_BODY_BYTES:
                    raise h11.RemoteProtocolError("too large", error_status_hint=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            case h11.EndOfMessage():
                self._answering = asyncio.create_task(self._respond())

    async def _respond(self) -> None:
        assert self._request is not None  # noqa: S101 - the message has ended
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._request.headers}
        method, target = self._request.method.decode("ascii"), self._request.target.decode("ascii")
        try:
            answer = await self._answer(HttpRequest(method, target, headers, bytes(self._body)))
        except Exception:
            logger.exception("%s %s has failed", method, target)
            answer = HttpAnswer(HTTPStatus.INTERNAL_SERVER_ERROR)
        self._send(answer)

    def _send(self, answer: HttpAnswer) -> None:
        assert self._transport is not None  # noqa: S101 - it brought the request
        body = answer.body.encode()
        headers = {"content-length": str(len(body)), "connection": "close", **answer.headers}
        if body:
            headers["content-type"] = answer.content_type
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            headers["retry-after"] = RETRY_AFTER_S
        status = HTTPStatus(answer.status)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items())
        self._transport.write(f"{head}\r\n".encode("latin-1") + body)
        self._transport.close()


class Front:
    """Makes the connections of one server: each becomes a WebSocket's or an HTTP connection by its first line.

    Args:
        is_http: whether a request line is for ``answer``; all others are for ``websockets``.
        answer: answers a request.
    """

    def __init__(self, is_http: Callable[[str], bool], answer: Answer) -> None:
        self.is_http = is_http
        self.answer = answer
        self.transports: set[asyncio.BaseTransport] = set()

    def connection(self, *args: Any, **options: Any) -> ServerConnection:
        """Return a connection; ``websockets`` calls this for each."""
        return _Undecided(self, *args, **options)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """End, behind the block, what is no WebSocket: a server that closes waits for every connection."""
        try:
            yield
        finally:
            for transport in list(self.transports):
                transport.close()


class _Undecided(ServerConnection):
    """A WebSocket's connection that begins when its first line has come, unless that is another's."""

    def __init__(self, front: Front, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._front = front
        self._first: bytearray | None = bytearray()
        self._raw: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first line."""
        self._raw = transport
        self._front.transports.add(transport)

    def data_received(self, data: bytes) -> None:
        """Decide by the first line, and hand over."""
        if self._first is None:
            super().data_received(data)
            return
        self._first += data
        if b"\n" not in self._first and len(self._first) < MAX_BODY_BYTES:
            return
        first, self._first = bytes(self._first), None
        self._hand_over(first)

    def _hand_over(self, first: bytes) -> None:
        assert isinstance(self._raw, asyncio.Transport)  # noqa: S101 - of TCP
        if self._front.is_http(first.split(b"\n", 1)[0].decode("latin-1").strip()):
            http = _Tracked(self._front)
            self._raw.set_protocol(http)
            http.connection_made(self._raw)
            http.data_received(first)
        else:
            self._front.transports.discard(self._raw)
            super().connection_made(self._raw)
            super().data_received(first)

    def eof_received(self) -> None:
        """End; before the first line there is nothing to end but the transport."""
        if self._first is None:
            super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._raw is not None:
            self._front.transports.discard(self._raw)
        if self._first is None:
            super().connection_lost(exc)


class _Tracked(HttpConnection):
    """An HTTP connection that its front knows, until it is lost."""

    def __init__(self, front: Front) -> None:
        super().__init__(front.answer)
        self._front = front

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._transport is not None:
            self._front.transports.discard(self._transport)
