"""The client's side of a session: a WebSocket that FastAPI accepted, behind a narrow interface."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias, final

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.close_codes import LOST, NO_STATUS, NORMAL, SERVICE_RESTART, TOO_SLOW
from gateway.conversation.actions import Event
from gateway.errors import GatewayError
from ringback.telemetry.metrics import TO_CLIENT

SEND_SECONDS = 5.0
"""A client that takes no event for so long has stopped reading, and must not hold up the session."""

WIRE = "ringback.wire"
"""The ASGI extension by which the gateway's own server gives a route the wire below its WebSocket."""

Passes: TypeAlias = Callable[[str], bool]
"""Takes a frame that passes, and returns True; False: the frame is to be received. It raises nothing."""

_encode = msgspec.json.Encoder().encode


def as_text(event: Event | msgspec.Struct) -> str:
    """Return an event as it goes over the wire."""
    return _encode(event).decode()


class ClientGone(GatewayError):
    """The client closed, or stopped reading. `code` is for a client that begins to read again."""

    def __init__(self, reason: str, code: int = NORMAL) -> None:
        super().__init__(reason)
        self.code = code


class Wire(Protocol):
    """A WebSocket below ASGI: what passes takes no task, no queue and no message of ASGI."""

    passes: Passes | None
    """Asked for each text frame, while the application waits for one and none is there; None: no one is asked."""

    @property
    def is_free(self) -> bool:
        """True while the connection is open and the next frame is written at once."""
        ...

    def write(self, text: str) -> None:
        """Write one frame, to a connection that `is_free`."""
        ...

    def write_all(self, texts: Sequence[str]) -> None:
        """Write each as a frame, all in one system call, to a connection that `is_free`."""
        ...


class _NoWire:
    """Stands in for the wire of a server that gives none: every frame goes by ASGI."""

    passes: Passes | None = None
    is_free = False

    def write(self, text: str) -> None:
        raise AssertionError("it is never free")

    def write_all(self, texts: Sequence[str]) -> None:
        raise AssertionError("it is never free")


class ClientConnection:
    """One connected client. Its frames are JSON text, both ways.

    A system call that writes to a client may wake it, and takes as long as ten events take to decide on. So events of
    one burst are held, and written together at its end.
    """

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        extensions: dict[str, Any] = socket.scope.get("extensions") or {}
        self._wire: Wire = extensions.get(WIRE) or _NoWire()
        self._held: list[str] = []
        """Frames to be written at `flush`."""

    async def accept(self, subprotocol: str | None) -> None:
        """Complete the upgrade; raises ClientGone."""
        try:
            await self._socket.accept(subprotocol)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone("client_not_there") from None

    @property
    def is_free(self) -> bool:
        """True while the connection is open and the next event is written at once."""
        return self._wire.is_free

    def write(self, text: str) -> None:
        """Write one event to a client that `is_free`, at once, unless others are held before it."""
        if self._held:
            self._held.append(text)
        else:
            TO_CLIENT.frames += 1
            TO_CLIENT.bytes += len(text)
            self._wire.write(text)

    async def receive(self, passes: Passes | None = None) -> str | bytes:
        """Return the next frame that does not pass, as it came; raises ClientGone when there will be none."""
        self._wire.passes = passes
        try:
            message = await self._socket.receive()
        finally:
            self._wire.passes = None
        if message["type"] == "websocket.disconnect":
            code = message.get("code", NO_STATUS)
            if code == NO_STATUS and "reason" not in message:
                code = LOST  # uvicorn says 1005 of a connection that broke, too: the reason comes with a close frame
            raise ClientGone("gateway_stopped" if code == SERVICE_RESTART else f"client_closed_{code}")
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes", b"")

    @final  # another kind of client takes what is held, too
    async def send(self, event: Event) -> None:
        """Write one event, behind what is held; raises ClientGone."""
        await self.hold(event)
        await self.flush()

    @final
    async def send_text(self, text: str) -> None:
        """Write one event that is text already, behind what is held; raises ClientGone."""
        await self.hold_text(text)
        await self.flush()

    async def hold(self, event: Event) -> None:
        """Hold one event for `flush`, which is to follow; raises ClientGone."""
        await self.hold_text(as_text(event))

    async def hold_text(self, text: str) -> None:
        """Hold one event that is text already. A client that takes none holds up its sender; raises ClientGone."""
        self._held.append(text)
        if not self._wire.is_free:
            await self.flush()

    async def flush(self) -> None:
        """Write what is held, when the client takes it; raises ClientGone."""
        held = self._held
        if not held:
            return
        self._held = []
        TO_CLIENT.frames += len(held)
        TO_CLIENT.bytes += sum(map(len, held))
        if self._wire.is_free:
            self._wire.write_all(held)
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                for text in held:
                    await self._socket.send_text(text)
        except TimeoutError:
            raise ClientGone("client_too_slow", TOO_SLOW) from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone("client_closed") from None

    async def close(self, code: int, reason: str) -> None:
        """Write what is held, and close the connection, if it is still open."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with suppress(ClientGone):
            await self.flush()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            return


class NoClient(ClientConnection):
    """Stands in for the client of a call: its caller talks to the Realtime API itself, and is told of all by that."""

    def __init__(self) -> None:
        self._gone = asyncio.Event()

    async def accept(self, subprotocol: str | None) -> None:
        return

    @property
    def is_free(self) -> bool:
        return True

    def write(self, text: str) -> None:
        return

    async def receive(self, passes: Passes | None = None) -> str | bytes:
        """Wait for ever: there is no frame."""
        await self._gone.wait()
        raise ClientGone("client_closed")

    async def hold(self, event: Event) -> None:
        return

    async def hold_text(self, text: str) -> None:
        return

    async def flush(self) -> None:
        return

    async def close(self, code: int, reason: str) -> None:
        return
