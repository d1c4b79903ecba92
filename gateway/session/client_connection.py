"""The client's side of a session: a WebSocket that FastAPI accepted, behind a narrow interface."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.close_codes import LOST, NO_STATUS, NORMAL, SERVICE_RESTART, TOO_SLOW
from gateway.conversation.actions import Event
from gateway.errors import GatewayError

SEND_SECONDS = 5.0
"""A client that takes no event for so long has stopped reading, and must not hold up the session."""

_encode = msgspec.json.Encoder().encode


def as_text(event: Event) -> str:
    """Return an event as it goes over the wire."""
    return _encode(event).decode()


class ClientGone(GatewayError):
    """The client closed, or stopped reading. `code` is for a client that begins to read again."""

    def __init__(self, reason: str, code: int = NORMAL) -> None:
        super().__init__(reason)
        self.code = code


class ClientConnection:
    """One connected client. Its frames are JSON text, both ways."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def accept(self, subprotocol: str | None) -> None:
        """Complete the upgrade; raises ClientGone."""
        try:
            await self._socket.accept(subprotocol)
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone("client_not_there") from None

    async def receive(self) -> str | bytes:
        """Return the next frame as it came; raises ClientGone when there will be none."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", NO_STATUS)
            if code == NO_STATUS and "reason" not in message:
                code = LOST  # uvicorn says 1005 of a connection that broke, too: the reason comes with a close frame
            raise ClientGone("gateway_stopped" if code == SERVICE_RESTART else f"client_closed_{code}")
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes", b"")

    async def send(self, event: Event) -> None:
        """Write one event; raises ClientGone."""
        await self.send_text(as_text(event))

    async def send_text(self, text: str) -> None:
        """Write one event that is text already; raises ClientGone."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(text)
        except TimeoutError:
            raise ClientGone("client_too_slow", TOO_SLOW) from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone("client_closed") from None

    async def close(self, code: int, reason: str) -> None:
        """Close the connection, if it is still open."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            return
