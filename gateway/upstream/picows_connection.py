"""The connection to a model's server by `picows` (extra `fast`), which reads and writes frames in compiled code.

It keeps what `gateway.upstream.connection` says of every upstream. picows reads frames and calls back; messages of
several frames, pings, closing and back-pressure are decided here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from picows import WSCloseCode, WSError, WSFrame, WSHandshakeError, WSListener, WSMsgType, WSTransport, ws_connect
from picows import WSInvalidStatusError as InvalidStatus

from gateway.bounded_reads import BoundedReads
from gateway.small_event import SmallEvent
from gateway.upstream import connection, realtime_events
from gateway.upstream.connection import (
    FREE_BYTES,
    MAX_EVENT_BYTES,
    Passes,
    Target,
    UpstreamClosed,
    UpstreamRefused,
    WebSocketUpstream,
    takes_none,
    tls_context,
)
from gateway.upstream.quirks import Quirks

READ_BYTES = 3 * 1_024
"""Of the read buffer at first. Twice doubled, it takes a fifth of a second of PCM16 in base64, the largest delta that
was recorded of a model; from 2 KB it would come to 14."""
RECORD_BYTES = 16 * 1_024 + 64
"""What TLS holds of what it has read, and of what it writes: one record. aiofastnet's own 257 KB each would be filled
whenever the process is held up, and stay so."""
LARGE_CHARS = 4 * 1_024
"""Events from this size on, such as a session with its tools, are written from memory of their own: picows' buffer
would keep the size of the largest. Audio of 20 ms is smaller."""
HEAD_BYTES = 14
"""Before a payload, for picows to write the frame's head there."""
HELD_CHARS = 256 * 1_024
"""Of frames that wait to be read; beyond it the server's buffer fills. Two seconds of a model's audio."""
MAX_PIECES = 1_024
"""Frames of one message. `websockets` has a bound too: frames that are empty never reach that of bytes."""
TEXT = WSMsgType.TEXT
"""Looked up once: the class of an enumeration looks each member up by a function."""
NO_STATUS = 1005
"""The code of a close frame that has none (RFC 6455, 7.1.5)."""

_log = logging.LoggerAdapter(logging.getLogger("picows.client"))  # picows makes a logger per connection of a logger.
_log.logger.setLevel(logging.WARNING)  # At INFO it logs each connection, at DEBUG the headers, which hold the key.


class PicowsUpstream(WSListener):
    """Connection of `picows`. Frames come by callbacks; those that pass cause no task to run."""

    read = staticmethod(realtime_events.read)
    passing_audio = staticmethod(realtime_events.passing_audio)
    passing_text = staticmethod(realtime_events.passing_text)
    passing_detail = staticmethod(realtime_events.passing_detail)

    def __init__(self, quirks: Quirks) -> None:
        self._quirks = quirks
        self._transport: WSTransport | None = None
        self.write: Callable[[str], None]
        self._is_wanted = True
        self.is_free = True
        """Kept where it changes: it is asked fifty times a second."""
        self._end: tuple[int, str] | None = None
        """Close code and reason, once no frame will come any more."""
        self._is_gone = SmallEvent()
        self._frames: list[str] = []
        self._held_chars = 0
        self._is_paused = False
        self._message: bytearray | None = None
        """What has come of a message whose last frame has not, and in how many frames."""
        self._pieces = 0
        self._is_text = True
        self._passes: Passes = takes_none
        self._refused: str | None = None
        """The frame that is next, if it was found not to pass: it is not asked about twice."""
        self._arrival: asyncio.Future[None] | None = None
        """Of the task that waits in `receive`."""
        self._drained = SmallEvent()
        self._drained.set()
        self._timer: asyncio.TimerHandle | None = None
        """Of the next ping, or of the pong that is waited for."""

    @classmethod
    async def open(cls, target: Target, within: float) -> PicowsUpstream | WebSocketUpstream:
        """Connect within so many seconds, or raise UpstreamRefused.

        A server whose answer picows cannot read is asked again by `websockets`, which is less strict.
        """
        upstream, tls = cls(target.quirks), tls_context(target.url)
        sizes = () if tls is None else ("ssl_incoming_bio_size", "ssl_outgoing_bio_size")
        records: dict[str, Any] = dict.fromkeys(sizes, RECORD_BYTES)
        try:
            async with asyncio.timeout(within):
                _, listener = await ws_connect(
                    lambda: upstream,
                    target.url,
                    ssl_context=tls,
                    logger_name=_log,
                    websocket_handshake_timeout=within,
                    max_frame_size=MAX_EVENT_BYTES,
                    extra_headers=target.headers,
                    max_redirects=0,  # No Realtime API redirects, and the other host would get the key.
                    read_buffer_init_size=READ_BYTES,
                    **records,
                )
        except InvalidStatus as problem:
            status = int(problem.response.status)  # type: ignore[union-attr]
            raise UpstreamRefused(f"HTTP {status}", status) from None
        except WSHandshakeError:
            return await WebSocketUpstream.open(target, within)
        except BaseException as problem:
            upstream._leave()
            if isinstance(problem, OSError):  # a time-out too
                raise UpstreamRefused(type(problem).__name__) from None
            raise
        if listener is None:
            raise UpstreamRefused("ConnectionClosed")
        return upstream

    async def receive(self, passes: Passes = takes_none) -> str:
        while (frame := self.take(passes)) is None:
            if self._end is not None:
                await self._settle()
                raise UpstreamClosed(*self._end)
            self._passes, self._arrival = passes, asyncio.get_running_loop().create_future()
            try:
                await self._arrival
            finally:
                self._arrival = None
        return frame

    def take(self, passes: Passes = takes_none) -> str | None:
        while self._frames:
            frame, refused, self._refused = self._pop(), self._refused, None
            if frame is refused or not passes(frame):
                return frame
        return None

    async def send(self, event: str) -> None:
        if not self.is_free:
            await self._drain()
        if len(event) < LARGE_CHARS:
            self.write(event)
        else:
            self._line.send_reuse_external_bytearray(TEXT, bytearray(HEAD_BYTES) + event.encode(), HEAD_BYTES)

    async def close(self) -> None:
        if self._end is None:
            self._line.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(connection.CLOSE_SECONDS):
                await self._is_gone.wait()
        except TimeoutError:
            pass
        finally:
            self.abort()
        await self._settle()

    def abort(self) -> None:
        self._line.disconnect(graceful=False)

    # — what picows calls —

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport, line = transport, transport.underlying_transport
        self.write = partial(transport.send, TEXT)
        line.set_write_buffer_limits(high=FREE_BYTES)
        line.set_protocol(BoundedReads(line.get_protocol(), READ_BYTES))
        if self._is_wanted:
            self._wait_to_ping()
        else:
            self.abort()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._end is not None:
            return
        kind = frame.msg_type
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(WSCloseCode.PROTOCOL_ERROR, "reserved bits")
        elif kind == TEXT and frame.fin and self._message is None:
            try:
                self._take(frame.get_payload_as_utf8_text())
            except UnicodeDecodeError:
                self._fail(WSCloseCode.INVALID_TEXT, "invalid UTF-8")
        elif kind == WSMsgType.PONG:
            self._wait_to_ping()
        elif kind == WSMsgType.CLOSE:
            code: Any = frame.get_close_code()  # a plain int where the code is an application's
            transport.send_close(code or WSCloseCode.OK)
            transport.disconnect()
            self._ends(int(code) or NO_STATUS, frame.get_close_reason() or "")
        else:
            self._take_piece(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._ends(1006, "")
        self._is_gone.set()

    def pause_writing(self) -> None:
        self.is_free = False
        self._drained.clear()

    def resume_writing(self) -> None:
        self.is_free = self._end is None
        self._drained.set()

    # — inside —

    def _leave(self) -> None:
        """Drop the connection that is there by now, or will be: no task waits for it any more."""
        self._is_wanted = False
        if self._transport is not None:
            self.abort()

    @property
    def _line(self) -> WSTransport:
        assert self._transport is not None, "it is open"  # noqa: S101
        return self._transport

    def _take(self, text: str) -> None:
        """Let a frame pass if the session waits for one and none is before it; else keep it until it is received."""
        if self._arrival is not None and not self._frames:
            if self._passes(text):
                return
            self._refused = text
        self._frames.append(text)
        self._held_chars += len(text)
        if self._held_chars > HELD_CHARS and not self._is_paused:
            self._is_paused = True
            self._line.underlying_transport.pause_reading()
        self._wake()

    def _pop(self) -> str:
        frame = self._frames.pop(0)
        self._held_chars -= len(frame)
        if self._is_paused and self._held_chars < HELD_CHARS // 2:
            self._is_paused = False
            self._line.underlying_transport.resume_reading()
            if self._end is None:
                self._wait_to_ping()  # the server speaks; a pong may lie behind what is read from now on
        return frame

    def _take_piece(self, kind: WSMsgType, frame: WSFrame) -> None:
        """Take a frame of a message that has several, or a message of bytes."""
        message = self._message
        if (kind == WSMsgType.CONTINUATION) is (message is None):
            return self._fail(WSCloseCode.PROTOCOL_ERROR, "a message within a message")
        if message is None:
            message, self._pieces, self._is_text = bytearray(), 0, kind == TEXT
        message += frame.get_payload_as_bytes()
        self._pieces += 1
        self._message = None if frame.fin else message
        if len(message) > MAX_EVENT_BYTES or self._pieces > MAX_PIECES:
            return self._fail(WSCloseCode.MESSAGE_TOO_BIG, "too big")
        if not frame.fin:
            return None
        try:
            return self._take(message.decode("utf-8", "strict" if self._is_text else "replace"))
        except UnicodeDecodeError:
            return self._fail(WSCloseCode.INVALID_TEXT, "invalid UTF-8")

    def _fail(self, code: WSCloseCode, reason: str) -> None:
        """Close the connection, as the server broke the protocol."""
        self._line.send_close(code, reason)
        self._line.disconnect()
        self._ends(1006, "")

    def _ends(self, code: int, reason: str) -> None:
        self._end = self._end or (code, reason)
        self.is_free = False
        self._drained.set()
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(connection.SEND_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            self.abort()
            raise UpstreamClosed(1006, f"it took no event for {connection.SEND_SECONDS:g} s") from None
        if self._end is not None:
            raise UpstreamClosed(*self._end)

    async def _settle(self) -> None:
        """Hear from picows why it ended the connection: it has logged that, and `asyncio` would log it again."""
        if self._is_gone.is_set():
            with suppress(WSError):
                await self._line.wait_disconnected()

    def _wait_to_ping(self) -> None:
        self._call_later(self._quirks.ping_seconds, self._ping)

    def _ping(self) -> None:
        self._line.send_ping()
        self._call_later(self._quirks.pong_seconds, self._miss_pong)

    def _miss_pong(self) -> None:
        """Drop the connection, as no pong has come; while none could be read, wait for it."""
        if self._is_paused:
            self._call_later(self._quirks.pong_seconds, self._miss_pong)
        else:
            self.abort()

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)
