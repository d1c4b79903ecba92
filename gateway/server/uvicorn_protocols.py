"""uvicorn's two protocols with limits on what a client may cost before a route or a session has seen it.

Of a request: how long its head and its body may take, and how large they may be (docs/decisions/0047). Of a WebSocket:
how many frames, fragments and pings a second. Past a limit the gateway closes the connection; other connections do not
notice. What an event may say, and how fast, the session decides.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from gateway.api import MAX_BODY_BYTES, SOCKETS_AT, TWILIO_STREAM_AT
from gateway.close_codes import MESSAGE_TOO_BIG, RATE_LIMITED
from gateway.errors import error_body
from gateway.server.request_limits import (
    MAX_HEAD_BYTES,
    TLS_AT_PLAIN_PORT,
    TLS_RECORD,
    TOO_LARGE,
    TOO_LONG,
    RequestRejected,
    complaint,
)
from gateway.session.client_connection import WIRE, Passes
from gateway.small_event import SmallEvent, SmallQueue
from gateway.token_bucket import TokenBucket

HEAD_SECONDS = 5.0
"""From the connection, or the first byte of a further request, to the end of its head: a phone on a bad line takes one.
If a connection stays silent, the gateway closes it after the same time."""
BODY_SECONDS = 10.0
"""From the end of the head to the end of the body."""
READ_PIECE_BYTES = 8 * 1_024
"""How much is read before other connections get their turn: 1,300 empty frames, which take some 10 ms."""
FRAMES_PER_SECOND, FRAMES_BURST = 500.0, 2_000.0
"""Of all kinds. Audio in pieces of 10 ms makes 100 a second."""
IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_BURST = 5.0, 100.0
"""Of pings, pongs and empty frames. A client that is alive sends a few a minute."""
MAX_FRAGMENTS = 256
"""Of one message: browsers send none, and libraries cut at some kilobytes."""
MAX_AT_THE_DOOR = 150
"""WebSockets that wait to be accepted, which is about a second's work. The gateway answers one more with 503 before it
costs anything: sessions that run, and the gateway's lease of 3 s, must not wait for a crowd."""
LATER_SECONDS = 1
FAREWELL_SECONDS = 1.0
"""How long a client that is closed for what it sends has to read why. It takes a round trip; a flood is not read on."""

log = logging.getLogger(__name__)


class _Requests(h11.Connection):
    """h11's parser of a connection, with limits on heads and bodies."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, MAX_HEAD_BYTES)
        self.complaint: RequestRejected | None = None
        self._body_bytes = 0

    def next_event(self) -> Any:
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as problem:
            self.complaint = TOO_LONG if problem.error_status_hint == TOO_LONG.status else None
            raise
        if isinstance(event, h11.Request):
            self._body_bytes = 0
            self.complaint = complaint(event.method, event.target, list(event.headers), (*SOCKETS_AT, TWILIO_STREAM_AT))
        elif isinstance(event, h11.Data):
            self._body_bytes += len(event.data)
            self.complaint = TOO_LARGE if self._body_bytes > MAX_BODY_BYTES else None
        if self.complaint is not None:
            raise h11.RemoteProtocolError(self.complaint.sentence, self.complaint.status)
        return event


class WireHttp(H11Protocol):
    """uvicorn's HTTP protocol, with deadlines and limits."""

    _tls_lines: ClassVar[TokenBucket] = TokenBucket(rate=1 / 60, burst=1)
    """Of log lines about TLS at a plain port: a client that dials again and again says nothing new."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._requests = self.conn = _Requests()
        self._waits_for = ""
        self._is_upgraded = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await("head", HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await("")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_tls = self._requests.their_state is h11.IDLE and data.startswith(TLS_RECORD)
        if is_tls and self._tls_lines.takes(self.loop.time()):
            log.warning("%s", TLS_AT_PLAIN_PORT)
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            self._unset_keepalive_if_required()  # uvicorn's own timer would close before the deadline is answered
        self._watch()  # of the next request, which may be here in part, or but for its body

    def _watch(self) -> None:
        """Set the deadline of what the client is to send next. Of a WebSocket, h11 waits for the end of the request."""
        if self._is_upgraded:
            return
        if self.conn.their_state is h11.SEND_BODY:
            self._await("body", BODY_SECONDS)
        elif self.conn.their_state is h11.IDLE:  # a further head has begun, or the client is silent
            self._await("head" if self.conn.trailing_data[0] else "", HEAD_SECONDS)
        else:
            self._await("")

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        if len(WireSocket.at_the_door) >= MAX_AT_THE_DOOR:
            return self._refuse(RequestRejected(503, "Too many ask to be let in at once. Try again in a moment."))
        self._await("")
        self._is_upgraded = True
        return super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP request with the status and the sentence that fit, instead of uvicorn's."""
        self._refuse(self._requests.complaint or RequestRejected(400, "Send an HTTP/1.1 request."))

    def _await(self, what: str, seconds: float = 0.0) -> None:
        """Start the deadline, unless it runs for the same already; stop it if `what` is empty."""
        if what == self._waits_for and what:
            return
        self._waits_for = what
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if what:
            self._deadline = self.loop.call_later(seconds, self._on_deadline)

    def _on_deadline(self) -> None:
        """Close; answer only a client that began: browsers open connections that they may not need."""
        if not self.transport.is_closing():
            if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
                self.transport.close()
            else:
                self._refuse(RequestRejected(408, f"Send the {self._waits_for} of a request without pauses."))

    def _refuse(self, complaint: RequestRejected) -> None:
        """Answer, unless the application has begun to, and close."""
        self._await("")
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(error_body(complaint.status, None, complaint.sentence)).encode()
            headers = [
                ("content-type", "application/json"),
                ("content-length", str(len(body))),
                ("connection", "close"),
                *([("retry-after", str(LATER_SECONDS))] if complaint.status == 503 else []),
            ]
            for event in (
                h11.Response(status_code=complaint.status, headers=headers),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class WireSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, with limits, and a way around ASGI for frames that pass (`client_connection.Wire`).

    `at_the_door` are those of this process that wait to be accepted.
    """

    at_the_door: ClassVar[set[WireSocket]] = set()
    passes: Passes | None = None
    queue: SmallQueue

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue, self.writable = SmallQueue(), SmallEvent()
        self.writable.set()
        self._frames = TokenBucket(FRAMES_PER_SECOND, FRAMES_BURST)
        self._idle_frames = TokenBucket(IDLE_FRAMES_PER_SECOND, IDLE_FRAMES_BURST)
        self._fragments = 0
        self._is_given_up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.at_the_door.add(self)
        super().connection_made(transport)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.handshake_complete:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[WIRE] = self

    def start_keepalive(self) -> None:
        """Count it as accepted, and forget the handshake: uvicorn calls this once the upgrade is complete."""
        self.at_the_door.discard(self)
        del self.request, self.response
        self.scope["headers"] = []
        super().start_keepalive()

    def connection_lost(self, exc: Exception | None) -> None:
        self.at_the_door.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.handshake_initiated and not self.handshake_complete:
            self.transport.abort()  # It sends frames before it is accepted: an answer would come too late.
            return
        for start in range(0, len(data), READ_PIECE_BYTES):
            if self._is_given_up or self.transport.is_closing():
                return
            super().data_received(data[start : start + READ_PIECE_BYTES])

    def handle_text(self, event: Frame) -> None:
        self._handle(super().handle_text, event)

    def handle_bytes(self, event: Frame) -> None:
        self._handle(super().handle_bytes, event)

    def handle_cont(self, event: Frame) -> None:
        self._handle(super().handle_cont, event)

    @property
    def is_open(self) -> bool:
        return self.conn.state is State.OPEN and not (self._is_given_up or self.transport.is_closing())

    @property
    def is_free(self) -> bool:
        is_writable = self.writable.is_set() and self.conn.state is State.OPEN
        return is_writable and not (self._is_given_up or self.transport.is_closing())

    def write(self, text: str) -> None:
        self.write_all((text,))

    def write_all(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.conn.send_text(text.encode())
        self.transport.write(b"".join(self.conn.data_to_send()))

    def send_receive_event_to_app(self) -> None:
        """Give a frame to the application, unless it passes: then the client is read on without a pause."""
        if self.curr_msg_data_type == "text":
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:
                return super().send_receive_event_to_app()  # which closes the connection
            if self._has_passed(text):
                self.frames = []
                return None
        return super().send_receive_event_to_app()

    def _has_passed(self, text: str) -> bool:
        return self.passes is not None and not self.queue.held and self.passes(text)

    def handle_ping(self) -> None:
        if self._takes(is_idle=True):
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._takes(is_idle=True):
            super().handle_pong(event)

    def handle_parser_exception(self) -> None:
        if self._is_given_up:
            return
        self._is_given_up = True
        if self.conn.close_sent is None:
            self.transport.abort()
        else:
            super().handle_parser_exception()

    def _handle(self, handler: Callable[[Frame], None], event: Frame) -> None:
        self._fragments = 0 if event.fin else self._fragments + 1
        if self._fragments > MAX_FRAGMENTS:
            self._give_up(MESSAGE_TOO_BIG, f"a message may have {MAX_FRAGMENTS} fragments")
        elif self._takes(is_idle=not event.data):
            handler(event)

    def _takes(self, *, is_idle: bool) -> bool:
        if self._is_given_up:
            return False
        now = self.loop.time()
        if self._frames.takes(now) and not (is_idle and not self._idle_frames.takes(now)):
            return True
        self._give_up(RATE_LIMITED, "too_fast")
        return False

    def _give_up(self, code: int, reason: str) -> None:
        """Close at once, and read no more."""
        if self._is_given_up:
            return
        self._is_given_up = True
        log.info("connection of a client closed (%s, %d)", reason, code)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # Closed with bytes unread, the kernel would reset the connection, and the client would not read the reason.
        self.transport.pause_reading()
        self.read_paused = False  # Else uvicorn reads on for the application, which is to end.
        if self.transport.can_write_eof():  # TLS cannot
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)


def is_news(record: logging.LogRecord) -> bool:
    """Return whether a line of uvicorn's tells something: it logs each upgrade, and an error for each refused one."""
    return not str(record.msg).startswith(UVICORNS_OWN)


UVICORNS_OWN = (
    '%s - "WebSocket %s"',
    "ASGI callable returned without completing handshake",
    "Invalid HTTP request received",
    "connection open",
    "connection closed",
)
