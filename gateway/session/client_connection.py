"""The client's side of a session: a WebSocket that FastAPI accepted, behind the same narrow interface."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

SEND_SECONDS = 5.0
"""A client that takes no event for so long has stopped reading; everybody else must not wait for it."""


SLOW = 4008
"""Our close code for a client that stopped reading; if it begins again, this is what it reads."""
SERVICE_RESTART = 1012
"""With this the server closes all sockets when it is told to stop: the client is not who went."""


NO_STATUS = 1005
"""A close frame without a code: `socket.close()` in a browser."""
LOST = 1006
"""No close frame came: the network, or the process, is gone."""


class ClientGone(Exception):
    """The client closed, or stopped reading. `code` is what a client that comes to itself should read."""

    def __init__(self, reason: str, code: int = 1000) -> None:
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
        """The next frame, as it came; raises ClientGone when there will be none."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", 1005)
            if code == NO_STATUS and "reason" not in message:
                code = LOST  # uvicorn says 1005 of a connection that broke, too: the reason comes with a close frame
            raise ClientGone("gateway_stopped" if code == SERVICE_RESTART else f"client_closed_{code}")
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes", b"")

    async def send(self, event: str) -> None:
        """Write one event; raises ClientGone."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send_text(event)
        except TimeoutError:
            raise ClientGone("client_too_slow", SLOW) from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise ClientGone("client_closed") from None

    async def close(self, code: int, reason: str) -> None:
        """Say goodbye, if anybody is still there to hear it."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.close(code, reason)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            return
