"""A call over Twilio as a session's client: Media Streams outside, the Realtime protocol inside."""

from __future__ import annotations

import logging

from starlette.websockets import WebSocket

from gateway.close_codes import NORMAL
from gateway.session.client_connection import ClientConnection, ClientGone, Passes
from gateway.telephony.twilio.stream import StreamBroken, TwilioStream

log = logging.getLogger(__name__)


class TwilioConnection(ClientConnection):
    """One call. Its WebSocket was accepted, and Twilio has said which call it is."""

    def __init__(self, socket: WebSocket, stream: TwilioStream) -> None:
        super().__init__(socket)
        self._stream = stream

    async def accept(self, subprotocol: str | None) -> None:
        """Do nothing: the stream has begun."""

    def write(self, text: str) -> None:
        """Write one event, to a call that `is_free`."""
        for frame in self._stream.send(text):  # of what passes, no event can break the stream
            super().write(frame)

    async def hold_text(self, text: str) -> None:
        """Hold one event that is text already, as frames of the stream; raises ClientGone."""
        try:
            frames = self._stream.send(text)
        except StreamBroken as problem:
            raise _broken(problem) from None
        for frame in frames:
            await super().hold_text(frame)

    async def receive(self, passes: Passes | None = None) -> str | bytes:
        """Return the next event of the caller that does not pass; raises ClientGone when there will be none."""

        def pass_on(frame: str) -> bool:
            if passes is None:
                return False
            try:
                audio = self._stream.audio(frame)
            except StreamBroken:
                return False  # `hear` says why
            return audio is not None and passes(audio)

        while not self._stream.says:
            frame = await super().receive(pass_on)
            try:
                self._stream.hear(frame)
            except StreamBroken as problem:
                raise _broken(problem) from None
            if self._stream.has_stopped:
                raise ClientGone("caller_hung_up", NORMAL)
        return self._stream.says.popleft()


def _broken(problem: StreamBroken) -> ClientGone:
    log.error("twilio stream broken: %s; the call ends", problem)
    return ClientGone("stream_broken", NORMAL)
