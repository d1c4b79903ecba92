"""How the caller takes part in a call. A leg moves sound and events; what they mean, the call decides."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from simulator.wire import Event

FRAME_MS = 20
"""The length of each piece of sound on its way to the caller."""


class Leg(Protocol):
    """The caller's end. It tells the call what the caller does: see :class:`simulator.calls.call.Call`.

    ``waits``: sound waits until the caller is connected. ``is_gapless``: it takes silence, too, as a media stream does.
    """

    waits: bool
    is_gapless: bool

    def play(self, pcm: bytes) -> None:
        """Take 20 ms for the caller's ears, PCM16 mono 24 kHz."""

    def send(self, event: Event) -> None:
        """Show an event to the caller's program; a phone has none."""

    async def close(self) -> None:
        """End the caller's connection; harmless when it has ended."""


class NoLeg:
    """A caller who says nothing, and whose ears are known by the clock alone: for tests of what stands beside."""

    waits = False
    is_gapless = False

    def play(self, pcm: bytes) -> None:
        """Nothing listens."""

    def send(self, event: Event) -> None:
        """Nothing reads."""

    async def close(self) -> None:
        """Nothing is open."""


class SocketLeg:
    """A caller on a WebSocket of the control API: JSON texts are events, bytes are sound, PCM16 mono 24 kHz.

    ``shows_events``: a browser's program is shown the call's events, a phone is not.
    """

    waits = True
    is_gapless = False

    def __init__(self, connection: ServerConnection, *, shows_events: bool) -> None:
        self._connection = connection
        self._shows_events = shows_events
        self._outbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()

    def play(self, pcm: bytes) -> None:
        """Queue sound."""
        self._outbox.put_nowait(pcm)

    def send(self, event: Event) -> None:
        """Queue an event."""
        if self._shows_events:
            self.tell(event)

    def tell(self, news: Event) -> None:
        """Queue what the caller learns in any case."""
        self._outbox.put_nowait(json.dumps(news))

    async def close(self) -> None:
        """Close the connection behind what is queued; a phone is told that the call has ended."""
        if not self._shows_events:
            self.tell({"type": "ended"})
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection behind what is queued."""
        self._outbox.put_nowait(None)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Send what is queued while the block runs."""
        task = asyncio.create_task(self._write())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Yield what the caller sends, until the connection ends."""
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._connection:
                yield frame

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while (entry := await self._outbox.get()) is not None:
                await self._connection.send(entry)
            await self._connection.close()
