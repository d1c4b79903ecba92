"""Connects to a model's server of another protocol, by a translation of its frames into the Realtime API's, and back.

The client speaks the Realtime API, and sees what the server says. So what another server says has to be written as the
Realtime API would say it, in any case; here the gateway also reads it from there. A translation is one class that does
no I/O. One of each connection remembers what it must of it. A provider names the class:

    Provider("other", url="wss://…", connect=translated(OtherTranslation))

What a conversation says, and what it waits for then:

    (connected)                session.created, for half a second
    session.update             session.updated with the session; without it, the session ends as `upstream_silent`
    conversation.item.create   conversation.item.added with the item: a result counts as placed then
    conversation.item.delete   no answer
    response.create            response.created … response.done, or an `error` that names its `event_id`
    response.cancel            response.done, with the status "cancelled"

The rest is the client's (docs/clients.md). The model calls a function by a `function_call` item, complete in
response.output_item.done. What no frame of the server says, the translation makes, with ids of its own. Audio passes to
the client undecoded if its event begins as the Realtime API's does: `{"type":"response.output_audio.delta",…`.

tests/unit/gateway/upstream/test_translated.py holds a whole conversation with a server of another protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Protocol

from gateway.upstream import realtime_events
from gateway.upstream.connection import Passes, Upstream, takes_none


class Translation(Protocol):
    """Translation of one connection's frames, both ways. All are JSON text."""

    def from_server(self, frame: str) -> Iterable[str]:
        """Return the server events of the Realtime API that a frame means: any number, in order."""
        ...

    def to_server(self, event: str) -> Iterable[str]:
        """Return the frames that a client event of the Realtime API means.

        If an answer to it has to be made, `from_server` returns it with the next frame of the server.
        """
        ...


class TranslatedUpstream:
    """Connection to a server of another protocol."""

    read = staticmethod(realtime_events.read)
    passing_audio = staticmethod(realtime_events.passing_audio)
    passing_text = staticmethod(realtime_events.passing_text)
    passing_detail = staticmethod(realtime_events.passing_detail)

    def __init__(self, connection: Upstream, translation: Translation) -> None:
        self._connection = connection
        self._translation = translation
        self._events: deque[str] = deque()
        """Of the last frame: those that were not received yet."""

    @property
    def is_free(self) -> bool:
        return self._connection.is_free

    async def receive(self, passes: Passes = takes_none) -> str:
        while (event := self.take(passes)) is None:
            self._events.extend(self._translation.from_server(await self._connection.receive()))
        return event

    def take(self, passes: Passes = takes_none) -> str | None:
        while self._events:
            event = self._events.popleft()
            if not passes(event):
                return event
        return None

    def write(self, event: str) -> None:
        for frame in self._translation.to_server(event):
            self._connection.write(frame)

    async def send(self, event: str) -> None:
        for frame in self._translation.to_server(event):
            await self._connection.send(frame)

    async def close(self) -> None:
        await self._connection.close()

    def abort(self) -> None:
        self._connection.abort()
