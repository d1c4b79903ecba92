"""A client that is not there when its upgrade is complete never had the token to come back with."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from starlette.websockets import WebSocket

from gateway.session.client_connection import ClientConnection, ClientGone
from gateway.session.context import SessionEnded


async def goes_at(moment: str, message: Any) -> None:
    """The server's side of a socket whose client is gone from that message on."""
    if message["type"] == moment:
        raise OSError


def reason_of(moment: str) -> SessionEnded:
    socket = WebSocket({"type": "websocket"}, cast(Any, connected), lambda message: goes_at(moment, message))

    async def run() -> None:
        client = ClientConnection(socket)
        await client.accept(None)
        await client.send_text("{}")

    with pytest.raises(ClientGone) as gone:
        asyncio.run(run())
    return SessionEnded(gone.value.code, str(gone.value))


async def connected() -> dict[str, str]:
    return {"type": "websocket.connect"}


@pytest.mark.parametrize(("moment", "is_final"), [("websocket.accept", True), ("websocket.send", False)])
def test_its_session_is_over_unless_it_may_have_the_token(moment: str, is_final: bool) -> None:
    assert reason_of(moment).is_final is is_final
