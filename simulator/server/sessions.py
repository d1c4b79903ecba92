"""What a connection is for: a conversation of its own, or a place beside a call. The control API acts on either."""

from __future__ import annotations

import asyncio
from typing import Any

from simulator.calls.call import Call
from simulator.conversation import Conversation
from simulator.performer import Performer, Speech
from simulator.server.event_socket import EventSocket


class Session:
    """The loop of one connection with its own conversation."""

    def __init__(self, socket: EventSocket, conversation: Conversation, speech: Speech) -> None:
        self.socket = socket
        self._conversation = conversation
        self._performer = Performer(conversation, speech, socket)

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        async with self._performer.performing():
            self._performer.start(self.socket.write(self._conversation.knobs.first_event_ms))
            self._performer.start_clocks()
            self._performer.perform(self._conversation.open())
            async for frame in self.socket.frames():
                self._performer.perform(self._conversation.receive(frame))

    def expire(self) -> None:
        """End the session as after its longest duration."""
        self._performer.perform(self._conversation.expire())

    def shown(self) -> dict[str, Any]:
        """Return the session's id, and when it expires."""
        session = self._conversation.player.session
        return {"session": session["id"], "expires_at": session["expires_at"]}


class Sideband:
    """The loop of a server's connection to a call: it joins by the call's id, and nothing greets it."""

    def __init__(self, socket: EventSocket, call: Call) -> None:
        self.socket = socket
        self._call = call

    async def run(self) -> None:
        """Serve the connection until it or the call ends."""
        writing = asyncio.create_task(self.socket.write())
        self._call.join(self.socket)
        try:
            async for frame in self.socket.frames():
                self._call.receive(frame, self.socket)
        finally:
            self._call.leave(self.socket)
            writing.cancel()
            await asyncio.wait([writing])

    def expire(self) -> None:
        """End the call's session as after its longest duration."""
        self._call.expire()

    def shown(self) -> dict[str, Any]:
        """Return the call, its session, and when it expires."""
        return {"call": self._call.id, **self._call.shown()}
