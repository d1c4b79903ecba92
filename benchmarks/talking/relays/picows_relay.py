"""The least that Python can do: both legs are picows, a frame is passed on in the callback that brings it.

picows_relay.py PORT UPSTREAM_URL
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_connect, ws_create_server


class Leg(WSListener):
    """One of two connections; what comes in goes out at the other."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.other: Leg | None = None
        self._early: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
        elif self.other is None:
            self._early.append(frame.get_payload_as_bytes())
        else:
            self.other.transport.send(WSMsgType.TEXT, frame.get_payload_as_memoryview())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.other is not None:
            self.other.transport.disconnect()

    def join(self, other: Leg) -> None:
        """Pass on from now on, and what has come before."""
        self.other = other
        for payload in self._early:
            other.transport.send(WSMsgType.TEXT, payload)


class ClientLeg(Leg):
    """The client's connection: it opens the one to the model."""

    def on_ws_connected(self, transport: WSTransport) -> None:
        super().on_ws_connected(transport)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        model = Leg()
        await ws_connect(lambda: model, sys.argv[2])
        self.join(model)
        model.join(self)


async def main() -> None:
    def answer(_: WSUpgradeRequest) -> WSListener:
        return ClientLeg()

    server = await ws_create_server(answer, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
