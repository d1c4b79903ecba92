"""The connection to a model's server, behind one narrow interface: connect, receive, read, send, close, abort."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Protocol, TypeAlias, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.connection import broadcast
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus
from websockets.protocol import State

from gateway.errors import GatewayError
from gateway.upstream import realtime_events
from gateway.upstream.events import ModelEvent, PassingDetail, PassingText
from gateway.upstream.quirks import USUAL, Quirks
from ringback.config.proxies import ProxyUnusable, is_direct

MAX_EVENT_BYTES = 16 * 1024 * 1024
"""The largest event that the gateway reads: a long audio item is 4 MB."""
SEND_SECONDS = 10.0
"""If the server takes no event for so long, it is gone; its pings would wait behind the same full buffer."""
CLOSE_SECONDS = 2.0
"""How long the closing handshake may take."""
FREE_BYTES = 32 * 1_024
"""While fewer bytes wait for the server, the next event is written at once: half a second of a client's audio."""

Passes: TypeAlias = Callable[[str], bool]
"""Takes a frame that passes undecoded, and returns True; False: the frame is to be read. It raises nothing."""


def takes_none(_frame: str) -> bool:
    """Stand in where every frame is to be read."""
    return False


def tls_context(url: str) -> ssl.SSLContext | None:
    """Return the TLS context of a connection to the URL; None if it speaks no TLS.

    All connections share it: each of their own would take 800 KB, and 40 ms of CPU to read the certificates.
    """
    if not url.startswith("wss:"):
        return None
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _tls_context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass(frozen=True, slots=True)
class Target:
    """URL and headers of one session's upstream connection. The headers hold the key: never logged, never shown."""

    url: str
    headers: dict[str, str]
    quirks: Quirks = USUAL

    def __repr__(self) -> str:
        return f"Target({urlsplit(self.url).hostname})"


class UpstreamRefused(GatewayError):
    """The Realtime API did not take the connection. `status` is its HTTP status, or None if it did not answer."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class UpstreamSilent(UpstreamRefused):
    """The Realtime API took the connection, and did not confirm the agent's instructions and tools in time."""


class UpstreamBusy(UpstreamRefused):
    """The Realtime API took the connection, and answered that it takes no session now."""


class UpstreamClosed(GatewayError):
    """The Realtime API closed the connection; `code` is the WebSocket close code (1006: no closing handshake)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code = code


class Upstream(Protocol):
    """One open connection to a model's server, and the meaning of the server's frames.

    Events go in and come out as the Realtime API writes them. A server of another protocol has a translation
    (`gateway.upstream.translated`).
    """

    @property
    def is_free(self) -> bool:
        """True while the connection is open and the next event is written at once."""
        ...

    async def receive(self, passes: Passes = takes_none) -> str:
        """Return the next event that does not pass; raise UpstreamClosed when the connection is over."""
        ...

    def take(self, passes: Passes = takes_none) -> str | None:
        """Return the next event that does not pass, if one is known to be there; None: `receive` waits for it."""
        ...

    def write(self, event: str) -> None:
        """Write one event, to a connection that `is_free`."""
        ...

    async def send(self, event: str) -> None:
        """Write one event, when the server takes it; raises UpstreamClosed."""
        ...

    async def close(self) -> None:
        """Close the connection with a closing handshake, within a bound."""
        ...

    def abort(self) -> None:
        """Drop the connection at once; a task that waits in `receive` gets UpstreamClosed."""
        ...

    def read(self, frame: str) -> ModelEvent:
        """Return what one frame means; raise MalformedEvent if it is no event."""
        ...

    def passing_audio(self, frame: str) -> tuple[str, int] | None:
        """Return the item and the length of audio that the client may get as it came; None if `read` must decide."""
        ...

    def passing_text(self, frame: str) -> PassingText | None:
        """Return a piece of text that the client may get as it came; None if `read` must decide."""
        ...

    def passing_detail(self, frame: str) -> PassingDetail | None:
        """Return a detail of an item at work that the client may get as it came; None if `read` must decide."""
        ...


class _Connect(connect):
    """WebSocket client that follows no redirect. No Realtime API redirects, and the library would send `api-key`,
    REALTIME_HEADERS and the whole conversation to the other host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Treat a redirect as a refusal with its status."""
        return exc


class WebSocketUpstream:
    """Connection of the `websockets` library. Deflate is off: it costs twice the CPU, and audio hardly shrinks."""

    read = staticmethod(realtime_events.read)
    passing_audio = staticmethod(realtime_events.passing_audio)
    passing_text = staticmethod(realtime_events.passing_text)
    passing_detail = staticmethod(realtime_events.passing_detail)

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._waits_since: float | None = None
        """Since when the session has waited for a frame; None: it is busy with one."""
        self._end: UpstreamClosed | None = None
        """As it was first told: asked again, the library may fail otherwise."""
        self._pings: asyncio.Task[None]

    @classmethod
    async def open(cls, target: Target, within: float) -> WebSocketUpstream:
        """Connect within so many seconds, or raise UpstreamRefused."""
        try:
            connection = await _Connect(
                target.url,
                additional_headers=target.headers,
                ssl=tls_context(target.url),
                compression=None,
                max_size=MAX_EVENT_BYTES,
                open_timeout=within,
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,  # the library would give up a server whose pong lies behind what is not read yet
                user_agent_header=None,
                proxy=None if is_direct(target.url) else True,
            )
        except InvalidStatus as problem:
            status = problem.response.status_code
            raise UpstreamRefused(f"HTTP {status}", status) from None
        except OSError as problem:  # a time-out too; an untrusted certificate is a ValueError as well
            raise UpstreamRefused(type(problem).__name__) from None
        except (ImportError, InvalidProxy, ValueError) as problem:  # the settings have checked the target's own URL
            raise UpstreamRefused(str(ProxyUnusable(os.environ, problem))) from None
        except (InvalidHandshake, ConnectionClosed) as problem:
            raise UpstreamRefused(type(problem).__name__) from None
        upstream, quirks = cls(connection), target.quirks
        upstream._pings = asyncio.create_task(upstream._ping(quirks.ping_seconds, quirks.pong_seconds))
        return upstream

    @property
    def is_free(self) -> bool:
        connection = self._connection
        return connection.state is State.OPEN and connection.transport.get_write_buffer_size() < FREE_BYTES

    async def receive(self, passes: Passes = takes_none) -> str:
        while self._end is None:
            self._waits_since = asyncio.get_running_loop().time()
            try:
                event = await self._connection.recv()
            except ConnectionClosed as problem:
                self._pings.cancel()
                self._end = _closed(problem)
                break
            finally:
                self._waits_since = None
            text = event if isinstance(event, str) else event.decode("utf-8", "replace")
            if not passes(text):
                return text
        raise self._end

    def take(self, passes: Passes = takes_none) -> str | None:
        return None  # the library does not tell what has come

    def write(self, event: str) -> None:
        broadcast((self._connection,), event)

    async def send(self, event: str) -> None:
        if self.is_free:
            return self.write(event)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connection.send(event)
        except ConnectionClosed as problem:
            raise _closed(problem) from None
        except TimeoutError:
            self.abort()
            raise UpstreamClosed(1006, f"it took no event for {SEND_SECONDS:g} s") from None

    async def close(self) -> None:
        try:
            async with asyncio.timeout(2 * CLOSE_SECONDS):  # the library's bound begins when its buffer is empty
                await self._connection.close()
        except TimeoutError:
            return
        finally:
            self.abort()

    def abort(self) -> None:
        self._pings.cancel()
        self._connection.transport.abort()

    async def _ping(self, ping_seconds: float, pong_seconds: float) -> None:
        """Ping the server; drop the connection if no pong comes while the session waits for a frame.

        While the session is busy, what has come is not read, and a pong may lie behind it.
        """
        loop = asyncio.get_running_loop()
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(ping_seconds)
                pong = cast(asyncio.Future[float], await self._connection.ping())
                while not (await asyncio.wait((pong,), timeout=pong_seconds))[0]:
                    if self._waits_since is not None and loop.time() - self._waits_since >= pong_seconds:
                        return self._connection.transport.abort()
                await pong


def _closed(problem: ConnectionClosed) -> UpstreamClosed:
    if problem.rcvd is None:
        return UpstreamClosed(1006, "")
    return UpstreamClosed(problem.rcvd.code, problem.rcvd.reason)
