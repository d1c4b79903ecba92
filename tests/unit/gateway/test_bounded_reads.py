"""What has come meanwhile does not make picows' buffer grow; a frame that does not fit does."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

picows = pytest.importorskip("picows")

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSTransport, WSUpgradeResponseWithListener  # noqa: E402
from picows.common import WSUpgradeResponse  # noqa: E402
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # noqa: E402

from gateway.bounded_reads import FREE_BYTES, READ_BYTES, BoundedReads  # noqa: E402
from gateway.server.picows_socket import UPGRADE  # noqa: E402
from gateway.upstream import picows_connection  # noqa: E402

pytestmark = [pytest.mark.anyio, pytest.mark.loopback]

FIRST_BYTES = READ_BYTES - FREE_BYTES
MAX_FRAME = 1_000_000


class Heard(WSListener):
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames.append(frame.get_payload_as_bytes())


class Line:
    """A connection whose reads are given by hand."""

    def __init__(self, transport: asyncio.Transport, begins_with: int = READ_BYTES) -> None:
        self._listener = Heard()
        self._protocol: Any = WSProtocol(
            *(None, None, False, self._answer, logging.getLogger("picows.test"), True, None, False, 0.0, 0.0),
            *(WSAutoPingStrategy.PING_WHEN_IDLE, False, MAX_FRAME, None, begins_with),
        )
        self._protocol.connection_made(transport)
        self._protocol.get_buffer(-1)[: len(UPGRADE)] = UPGRADE
        self._protocol.buffer_updated(len(UPGRADE))
        self._reads: Any = BoundedReads(self._protocol, begins_with)

    def _answer(self, _request: object) -> WSUpgradeResponseWithListener:
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(), self._listener)

    def comes(self, data: bytes, at_once: int = MAX_FRAME) -> list[bytes]:
        """Have the data read, so much of it at once; return the frames."""
        for start in range(0, len(data), at_once):
            piece = memoryview(data)[start : start + at_once]
            while piece:
                room = self._reads.get_buffer(-1)
                read = min(len(room), len(piece))
                room[:read] = piece[:read]
                self._reads.buffer_updated(read)
                piece = piece[read:]
        frames, self._listener.frames = self._listener.frames, []
        return frames

    @property
    def buffer_bytes(self) -> int:
        """Of the buffer, between two frames."""
        return len(self._protocol.get_buffer(-1))


@pytest.fixture
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=listener.accept()[0])
        try:
            yield Line(transport, getattr(request, "param", READ_BYTES))
        finally:
            transport.abort()


def frames(*sizes: int) -> tuple[bytes, list[bytes]]:
    """Masked frames of text, as they are written, and what they hold."""
    texts = [bytes([97 + at % 26]) * size for at, size in enumerate(sizes)]
    heads = [bytes([0x81, 0xFE]) + size.to_bytes(2, "big") + bytes(4) for size in sizes]
    return b"".join(head + text for head, text in zip(heads, texts, strict=True)), texts


async def test_a_backlog_of_frames_leaves_the_buffer_as_it_is(line: Line) -> None:
    written, texts = frames(*[1_330] * 1_000)
    assert line.comes(written) == texts
    assert line.buffer_bytes == FIRST_BYTES


@pytest.mark.parametrize("at_once", [1, 7, 256, 1_448, 4_096, 65_536])
async def test_the_buffer_grows_until_the_largest_frame_fits_and_no_further(line: Line, at_once: int) -> None:
    for largest, bound in ((3_000, 2), (9_800, 8), (60_000, 64)):
        written, texts = frames(*[1_330, largest, 130, 200, largest, 126, 130] * 40)
        assert line.comes(written, at_once) == texts
        assert line.buffer_bytes <= bound * FIRST_BYTES


@pytest.mark.parametrize("line", [picows_connection.READ_BYTES], indirect=True)
async def test_a_fifth_of_a_second_of_a_models_voice_takes_little_more_than_itself(line: Line) -> None:
    written, texts = frames(*[200, 7_430, 9_830, 130] * 40)
    assert line.comes(written, 1_448) == texts
    assert line.buffer_bytes < 11_500
