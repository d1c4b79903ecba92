"""The connection to the Realtime API, behind one narrow interface: connect, receive, send, close, abort."""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus

from gateway.errors import GatewayError
from gateway.upstream.providers import Target
from ringback.config.proxies import ProxyUnusable, is_direct

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The largest event that is read: a long audio item is 4 MB, and somebody must say stop."""
SEND_SECONDS = 10.0
"""A server that takes no event for so long is not there any more, and its pings wait behind the same full buffer."""
CLOSE_SECONDS = 2.0
"""How long a polite goodbye may take."""


class UpstreamRefused(GatewayError):
    """The Realtime API did not take the connection. `status` is its HTTP status, or None where it did not answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class UpstreamSilent(UpstreamRefused):
    """The Realtime API took the connection, and did not confirm our instructions and tools in time."""


class UpstreamBusy(UpstreamRefused):
    """The Realtime API took the connection, and says that it takes no session now."""


class UpstreamClosed(GatewayError):
    """The Realtime API closed the connection; `code` is the WebSocket close code (1006: without a goodbye)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class Upstream(Protocol):
    """One open connection. Its events are JSON text, both ways."""

    async def receive(self) -> str:
        """The next event; raises UpstreamClosed when there will be none."""
        ...

    async def send(self, event: str) -> None:
        """Write one event; raises UpstreamClosed."""
        ...

    async def close(self) -> None:
        """End the connection, politely and within a bound."""
        ...

    def abort(self) -> None:
        """End it at once, without a word; whoever waits in `receive` gets UpstreamClosed."""
        ...


class _Connect(connect):
    """One that goes nowhere else: on the way to another host the library would take along `api-key`, and any header of
    REALTIME_HEADERS, and with them the whole conversation. No Realtime API redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """A redirect is a refusal, with its status."""
        return exc


class WebSocketUpstream:
    """The `websockets` client. Deflate is off: it costs twice the CPU, and audio hardly shrinks."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, target: Target, within: float) -> WebSocketUpstream:
        """Connect within so many seconds, or raise UpstreamRefused."""
        try:
            connection = await _Connect(
                target.url,
                additional_headers=target.headers,
                compression=None,
                max_size=MAX_EVENT_BYTES,
                open_timeout=within,
                close_timeout=CLOSE_SECONDS,
                ping_interval=target.profile.ping_seconds,
                ping_timeout=target.profile.pong_seconds,
                user_agent_header=None,
                proxy=None if is_direct(target.url) else True,
            )
        except InvalidStatus as problem:
            status = problem.response.status_code
            raise UpstreamRefused(f"HTTP {status}", status) from None
        except (ImportError, InvalidProxy) as problem:
            raise UpstreamRefused(str(ProxyUnusable(os.environ, problem))) from None
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed) as problem:
            raise UpstreamRefused(type(problem).__name__) from None
        return cls(connection)

    async def receive(self) -> str:
        try:
            event = await self._connection.recv()
        except ConnectionClosed as problem:
            raise _closed(problem) from None
        return event if isinstance(event, str) else event.decode("utf-8", "replace")

    async def send(self, event: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connection.send(event)
        except ConnectionClosed as problem:
            raise _closed(problem) from None
        except TimeoutError:
            self.abort()
            raise UpstreamClosed(1006, "it takes nothing any more") from None

    async def close(self) -> None:
        try:
            async with asyncio.timeout(2 * CLOSE_SECONDS):  # its own bound begins when its buffer is empty
                await self._connection.close()
        except TimeoutError:
            return
        finally:
            self.abort()

    def abort(self) -> None:
        self._connection.transport.abort()


def _closed(problem: ConnectionClosed) -> UpstreamClosed:
    if problem.rcvd is None:
        return UpstreamClosed(1006, "")
    return UpstreamClosed(problem.rcvd.code, problem.rcvd.reason)
