"""Callers that need no media: WebSockets of the control API that stand in for a browser or a phone."""

from __future__ import annotations

from dataclasses import dataclass

from websockets.asyncio.server import ServerConnection

from simulator.calls.call import Call
from simulator.calls.calls import Calls
from simulator.calls.legs import SocketLeg
from simulator.calls.phone import Dial, Phone
from simulator.performer import Speech
from simulator.server.connection_rules import ConnectionRequest
from simulator.server.control import CALLER_PATH, PHONE_PATH
from simulator.server.door import Door
from simulator.wire import Refused

_POLICY_VIOLATION = 1008
_MAX_REASON = 100


def is_for_caller(path: str) -> bool:
    """Return whether a WebSocket of that path is a caller's."""
    return path == PHONE_PATH or path.startswith(CALLER_PATH)


@dataclass
class Callers:
    """Serves the callers' WebSockets."""

    door: Door
    calls: Calls
    speech: Speech

    def refusal(self, path: str) -> tuple[int, str | None] | None:
        """Return the status of a refusal, and its message unless it has a usual one; None: let in."""
        return None if path == PHONE_PATH or self._call(path) is not None else (404, None)

    def _call(self, path: str) -> Call | None:
        return self.calls.live.get(path.removeprefix(CALLER_PATH))

    async def serve(self, connection: ServerConnection, wanted: ConnectionRequest) -> None:
        """Serve one caller until either side hangs up."""
        call = self._call(wanted.path)
        if wanted.path == PHONE_PATH:
            await self._ring(connection, wanted)
        elif call is not None:
            await _browse(connection, call)

    async def _ring(self, connection: ServerConnection, wanted: ConnectionRequest) -> None:
        leg = SocketLeg(connection, shows_events=False)
        async with leg.writing():
            frames = leg.frames()
            try:
                async for first in frames:
                    dial = Dial.of(first)
                    phone = Phone(Call(self.door.conversation(wanted), self.speech), self.calls, leg)
                    await phone.run(dial, frames)
            except Refused as refused:
                await connection.close(_POLICY_VIOLATION, refused.message[:_MAX_REASON])


async def _browse(connection: ServerConnection, call: Call) -> None:
    """Be the browser of a call that was answered without media."""
    leg = SocketLeg(connection, shows_events=True)
    call.leg = leg
    async with leg.writing():
        call.connected()
        async for frame in leg.frames():
            if isinstance(frame, bytes):
                call.listen(frame)
            else:
                call.receive(frame, leg)
    call.end()
