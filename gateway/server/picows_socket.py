"""A client's WebSocket whose bytes picows (extra `fast`) splits into frames.

A text frame that is whole goes straight on. Every other frame (a fragment, a ping, a close, one that breaks a rule)
goes on to `gateway.server.uvicorn_protocols` as it came: what it means is decided there alone.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeResponseWithListener
from picows.common import WSUpgradeResponse
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from websockets.protocol import Protocol

from gateway.bounded_reads import READ_BYTES, BoundedReads
from gateway.close_codes import RATE_LIMITED
from gateway.server.uvicorn_protocols import WireSocket

HEAD_BYTES = 14
"""Before a payload, for picows to write the frame's head there: its own buffer would keep the largest frame's size."""
UPGRADE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
"""A request that picows takes: the client's own was read, checked and answered before."""

TEXT = WSMsgType.TEXT
"""Looked up once: the class of an enumeration looks each member up by a function."""

_log = logging.LoggerAdapter(logging.getLogger("picows.server"))
_log.logger.setLevel(logging.WARNING)  # At INFO it logs each connection.


class PicowsSocket(WireSocket, WSListener):
    """Protocol of one client. picows reads its frames from the moment when it is accepted, and calls back."""

    def start_keepalive(self) -> None:
        """Hand the connection to picows: uvicorn calls this once it has answered the upgrade."""
        super().start_keepalive()
        self.conn.parser = Protocol.parse(self.conn)  # The one before it holds the request, with the client's token.
        next(self.conn.parser)
        protocol = WSProtocol(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=lambda _request: WSUpgradeResponseWithListener(_Answered(), self),
            logger=_log,
            disconnect_on_exception=True,
            websocket_handshake_timeout=None,
            enable_auto_ping=False,
            auto_ping_idle_timeout=0.0,
            auto_ping_reply_timeout=0.0,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            enable_auto_pong=False,
            max_frame_size=self.config.ws_max_size,
            extra_headers=None,
            read_buffer_init_size=READ_BYTES,
        )
        self.transport.pause_reading()
        protocol.connection_made(self.transport)
        protocol.get_buffer(-1)[: len(UPGRADE)] = UPGRADE
        protocol.buffer_updated(len(UPGRADE))
        self.transport.set_protocol(BoundedReads(protocol))
        self.transport.resume_reading()
        self._line: WSTransport = protocol.transport

    def write(self, text: str) -> None:
        frame = bytearray(HEAD_BYTES) + text.encode()
        self._line.send_reuse_external_bytearray(TEXT, frame, HEAD_BYTES)

    # — what picows calls, beside `pause_writing` and `resume_writing` —

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a text frame that is whole; leave every other one to uvicorn, and each where none may come."""
        is_whole = frame.msg_type == TEXT and frame.fin and not (frame.rsv1 or frame.rsv2 or frame.rsv3)
        if not is_whole or self._fragments:
            return self.data_received(_as_it_came(frame))
        try:
            text = frame.get_payload_as_utf8_text()
        except UnicodeDecodeError:
            return self.data_received(_as_it_came(frame))
        now = self.loop.time()
        if not self._frames.takes(now) or not (text or self._idle_frames.takes(now)):
            return self._give_up(RATE_LIMITED, "too_fast")
        if self.passes is not None and not self.queue.held and self.passes(text):
            return None
        if not self.is_open:
            return self.data_received(_as_it_came(frame))
        self.curr_msg_data_type, self.frames = "text", [text.encode()]
        return super().send_receive_event_to_app()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent: Any = transport.close_handshake and transport.close_handshake.sent
        if sent is not None:  # picows has found a fault of the protocol
            end: Any = {"type": "websocket.disconnect", "code": int(sent.code), "reason": sent.reason}
            self.queue.put_nowait(end)
        self.connection_lost(None)


def _as_it_came(frame: WSFrame) -> bytes:
    """Return the bytes of a client's frame (RFC 6455, 5.2), with a mask that changes nothing."""
    kind: Any = frame.msg_type
    first = frame.fin << 7 | frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4 | int(kind)
    size = frame.payload_size
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + bytes(4) + frame.get_payload_as_bytes()


class _Answered(WSUpgradeResponse):
    """The answer to the upgrade, which is not written again."""

    def __init__(self) -> None:
        self.version, self.status, self.body = b"HTTP/1.1", HTTPStatus.SWITCHING_PROTOCOLS, None
        self.headers: Any = {}

    def to_bytes(self) -> bytearray:
        return bytearray()
