"""One WebSocket of a client: events leave from a queue, in the order of the decisions, and a fault may end it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from simulator.effects import HangUp
from simulator.faults import DropWatch
from simulator.recorder import Recorder
from simulator.wire import Event

# The close code of a connection that ended without a close frame.
_ABNORMAL = 1006
# The first bytes of a text frame of 4 KiB that never comes.
_HALF_A_FRAME = b'\x81\x7e\x10\x00{"type":"response.out'


class EventSocket:
    """The events of one connection, both ways, each of them recorded.

    Args:
        connection: the accepted WebSocket.
        number: the connection's, in records and for the control API.
        drop_watch: says after which event the connection is dropped.
        recorder: writes what came and went.
    """

    def __init__(self, connection: ServerConnection, number: int, drop_watch: DropWatch, recorder: Recorder) -> None:
        self._connection = connection
        self._number = number
        self._drop_watch = drop_watch
        self._recorder = recorder
        self._outbox: asyncio.Queue[Event | HangUp] = asyncio.Queue()
        self._hung = False

    def send(self, event: Event) -> None:
        """Queue an event."""
        self._outbox.put_nowait(event)

    def hang_up(self, effect: HangUp) -> None:
        """End the connection after the queued events."""
        self._outbox.put_nowait(effect)

    async def drained(self) -> None:
        """Wait until the queued events are sent."""
        await self._outbox.join()

    def drop(self, code: int) -> None:
        """End the connection; queued events are sent first, unless it is cut (1006)."""
        if code == _ABNORMAL:
            self._connection.transport.abort()
        else:
            self.hang_up(HangUp(code))

    def cut(self) -> None:
        """End the connection in the middle of a frame."""
        self._connection.transport.write(_HALF_A_FRAME)
        self._connection.transport.close()

    def hang(self) -> None:
        """Answer pings, and send no more events."""
        self._hung = True

    def blackhole(self) -> None:
        """Stop reading, too."""
        self._hung = True
        self._connection.transport.pause_reading()

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Yield the client's frames until either side ends the connection; while it hangs, none."""
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._connection:
                event = _readable(frame)
                self._recorder.event(self._number, "in", event)
                if self._hung:
                    continue
                code = self._drop_watch.closes_after(str(event.get("type")) if isinstance(event, dict) else "")
                if code:
                    self.hang_up(HangUp(code))
                else:
                    yield frame
        self._recorder.note(self._number, "close", self._connection.close_code)

    async def write(self, after_ms: float = 0) -> None:
        """Send queued events, until the connection is closed or a fault closes it."""
        await asyncio.sleep(after_ms / 1000)
        with contextlib.suppress(ConnectionClosed):
            while True:
                entry = await self._outbox.get()
                code = await self._send(entry) if isinstance(entry, dict) else None
                if code is not None:
                    entry = HangUp(code)
                self._outbox.task_done()
                if isinstance(entry, HangUp):
                    await self._hang_up(entry)
                    return

    async def _send(self, event: Event) -> int | None:
        if self._hung:
            return None
        await self._connection.send(json.dumps(event))
        self._recorder.event(self._number, "out", event)
        return self._drop_watch.closes_after(event["type"])

    async def _hang_up(self, effect: HangUp) -> None:
        if effect.code == _ABNORMAL:
            self._connection.transport.abort()
        else:
            await self._connection.close(effect.code, effect.reason)


def _readable(frame: str | bytes) -> Any:
    try:
        return json.loads(frame)
    except ValueError:
        return repr(frame)
