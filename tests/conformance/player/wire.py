"""The server's side of the gateway's upstream connection: every frame of both directions, in one story."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.line import PATIENCE

Event = dict[str, Any]
ID_LIMIT = 32
"""Of item ids and call ids: the Realtime API refuses longer ones."""


class Told(NamedTuple):
    """One frame: `by` whom, and the event."""

    by: Literal["gateway", "server"]
    event: Event


class Wire:
    """One connection. `story` holds what was told, by whom, in the order the server saw it."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.story: list[Told] = []
        self._arrived: asyncio.Queue[Event | None] = asyncio.Queue()

    def by_gateway(self, kind: str) -> list[Event]:
        """Everything of one type that the gateway has sent."""
        return [told.event for told in self.story if told.by == "gateway" and told.event["type"] == kind]

    def outputs(self) -> list[Event]:
        """The items of every answer to a call."""
        items = [event["item"] for event in self.by_gateway("conversation.item.create")]
        return [item for item in items if item["type"] == "function_call_output"]

    async def send(self, event: Event) -> None:
        self.story.append(Told("server", event))
        await self.connection.send(json.dumps(event, ensure_ascii=False))

    async def receive(self, *kinds: str) -> Event:
        """The gateway's next frame, which must be of one of these types."""
        async with asyncio.timeout(PATIENCE):
            event = await self._arrived.get()
        assert event is not None, f"the gateway hung up before it sent {kinds}"
        assert event["type"] in kinds, f"the gateway sent {event} where {kinds} was due"
        return event

    async def events(self) -> AsyncIterator[Event]:
        """Yield all events of the gateway, until it closes the connection."""
        while (event := await self._arrived.get()) is not None:
            yield event

    async def listen(self) -> None:
        """Take in the gateway's frames until it hangs up."""
        try:
            async for frame in self.connection:
                assert isinstance(frame, str), "the Realtime API takes text frames"
                event = json.loads(frame)
                self.story.append(Told("gateway", event))
                self._arrived.put_nowait(event)
        except ConnectionClosed:
            pass
        finally:
            self._arrived.put_nowait(None)


Script = Callable[[Wire], Awaitable[None]]
"""What the server does on one connection; when it returns, the connection stays until the gateway hangs up."""


class Upstream:
    """A server on `listener` that plays `script` on each connection; a script that fails, fails the test.

    Args:
        listener: a listening socket that outlives it, so that the gateway always knows the address.
        refusal: answer every upgrade with this HTTP status instead.
    """

    def __init__(self, listener: socket.socket, script: Script, *, refusal: int | None = None) -> None:
        self.wires: list[Wire] = []
        self.headers: list[dict[str, str]] = []
        self._listener = listener
        self._script = script
        self._refusal = refusal
        self._faults: list[BaseException] = []
        self._server: Server

    @property
    def wire(self) -> Wire:
        """The only connection that there was."""
        (only,) = self.wires
        return only

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._play, sock=self._listener.dup(), process_request=self._greet, max_size=None, compression=None
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()
        # What the client made of it is the story, unless the script cut it short.
        if self._faults and (problem is None or isinstance(problem, ConnectionClosed | TimeoutError)):
            raise self._faults[0]

    def _greet(self, connection: ServerConnection, request: Request) -> Response | None:
        self.headers.append(dict(request.headers.raw_items()))
        if self._refusal is None:
            return None
        return connection.respond(HTTPStatus(self._refusal), '{"error": {"message": "no"}}')

    async def _play(self, connection: ServerConnection) -> None:
        wire = Wire(connection)
        self.wires.append(wire)
        listening = asyncio.create_task(wire.listen())
        try:
            await self._script(wire)
        except ConnectionClosed:
            pass
        except (AssertionError, LookupError, TimeoutError) as problem:
            self._faults.append(problem)
            await connection.close(1011, "the script failed")
        await listening
