"""Translates between Twilio's Media Streams and the Realtime protocol, for one call. Pure.

To the session a call is a client as any other. What such a client does by itself, this module does for the phone:

    media, dtmf, mark    become `input_audio_buffer.append`, a message of the user, `ringback.playback`
    the model's audio    becomes `media`, with a `mark` behind every quarter of a second: Twilio returns it once played
    barge-in             becomes `clear`, and a `conversation.item.truncate` at what was played

The audio is µ-law at 8 kHz on both sides, and is passed on in base64 as it came. The call's own clock is the timestamp
of the caller's audio, which comes fifty times a second. (Twilio, "Media Streams - WebSocket messages".)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.errors import GatewayError

BYTES_A_MS = 8
"""Of µ-law at 8 kHz."""
PIECE_CHARS = 2_664
"""Of base64: a quarter of a second of audio, in whole groups of four characters. Behind each piece stands a mark."""
MARK_MS = PIECE_CHARS * 3 / 4 / BYTES_A_MS
DIGITS_MS = 1_500
"""A key that is pressed so much later begins a new message."""
MAX_DIGITS = 32
MAX_MARKS = 4_000
"""Marks that Twilio has not returned: a quarter of an hour of audio. Beyond it there are no more."""
MAX_FRAME_CHARS = 65_536
"""Twilio's frames take less than a kilobyte."""
KEYS = frozenset("0123456789*#ABCD")
AUDIO = "audio/pcmu"
PLAYED = "ringback.playback"


class StreamBroken(GatewayError):
    """A frame that is not one of Twilio's, or a session that does not speak µ-law; the text says which."""


class _Media(msgspec.Struct):
    payload: str
    timestamp: str = "0"


class _Dtmf(msgspec.Struct):
    digit: str


class _Mark(msgspec.Struct):
    name: str


class Start(msgspec.Struct, rename="camel"):
    """Body of Twilio's `start`: the call, and the parameters that TwiML gave the stream."""

    stream_sid: str
    call_sid: str
    account_sid: str = ""
    custom_parameters: dict[str, str] = {}


class Frame(msgspec.Struct):
    """One frame of Twilio's."""

    event: str
    start: Start | None = None
    media: _Media | None = None
    dtmf: _Dtmf | None = None
    mark: _Mark | None = None


class _Delta(msgspec.Struct):
    """The model's audio; the fields of `response.output_audio.delta` that matter here."""

    type: str
    delta: str = ""
    item_id: str = ""
    response_id: str = ""
    content_index: int = 0
    session: msgspec.Raw = msgspec.Raw(b"null")


_read_frame = msgspec.json.Decoder(Frame).decode
_read_event = msgspec.json.Decoder(_Delta).decode
_write = msgspec.json.Encoder().encode


def read(text: str | bytes) -> Frame:
    """Return a frame of Twilio's; raise StreamBroken if it is none."""
    if len(text) > MAX_FRAME_CHARS:
        raise StreamBroken(f"a frame of more than {MAX_FRAME_CHARS} characters")
    try:
        return _read_frame(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as problem:
        raise StreamBroken(f"a frame that is not Twilio's: {str(problem)[:200]}") from None


@dataclass(slots=True)
class _Sent:
    """An item's audio up to a mark, on its way to the caller's ear. Milliseconds are of the item."""

    name: str
    item_id: str
    content_index: int
    until_ms: float
    is_cleared: bool = False


@dataclass(slots=True)
class TwilioStream:
    """One call's stream. What it has to say to the session by itself waits in `says`.

    Args:
        stream_sid: Twilio's id of the stream, which every frame to it bears.
        greets: the model is asked to speak first.
    """

    stream_sid: str
    greets: bool = True
    says: deque[str] = field(default_factory=deque)
    has_stopped: bool = False
    """True once Twilio has said that the call, or its stream, is over."""
    _clock_ms: int = 0
    _digits: str = ""
    _pressed_at: int = 0
    _marks: deque[_Sent] = field(default_factory=deque)
    """Those that Twilio has not returned."""
    _marked: int = 0
    _item: str = ""
    _content_index: int = 0
    _item_ms: float = 0.0
    """Audio of the latest item that was sent."""
    _unmarked_ms: float = 0.0
    """So much of it is behind the last mark."""
    _heard: tuple[str, float] = ("", 0.0)
    """The item of the last mark that was played, and so much of it."""
    _heard_at: int = 0
    """When that was, or when the audio behind a silence began."""
    _speaks: str = ""
    """The response whose audio came last."""
    _hushed: str = ""
    """The response that the caller has interrupted: its audio may still come."""
    _is_interruptible: bool = True

    # — from Twilio —

    def audio(self, text: str) -> str | None:
        """Return the caller's audio in a frame as an event; None if the frame is another, which `hear` takes."""
        if '"media"' not in text[:64] or self.says or self._digits:
            return None
        frame = read(text)
        return None if frame.media is None else self._audio(frame.media)

    def hear(self, text: str | bytes) -> None:
        """Take in any frame of Twilio's; raise StreamBroken if it is none. What follows from it waits in `says`."""
        frame = read(text)
        if frame.event == "media" and frame.media is not None:
            audio = self._audio(frame.media)
            if self._digits and self._clock_ms - self._pressed_at >= DIGITS_MS:
                self._end_digits()
            self.says.append(audio)
        elif frame.event == "dtmf" and frame.dtmf is not None:
            self._press(frame.dtmf.digit)
        elif frame.event == "mark" and frame.mark is not None:
            self._played(frame.mark.name)
        elif frame.event == "stop":
            self.has_stopped = True

    def _audio(self, media: _Media) -> str:
        if media.timestamp.isascii() and media.timestamp.isdigit():
            self._clock_ms = max(self._clock_ms, int(media.timestamp[:12]))
        return _event("input_audio_buffer.append", audio=media.payload)

    def _press(self, digit: str) -> None:
        if digit not in KEYS:
            raise StreamBroken(f"a key that no phone has: {digit[:8]!r}")
        self._digits += digit
        self._pressed_at = self._clock_ms
        if digit == "#" or len(self._digits) >= MAX_DIGITS:
            self._end_digits()

    def _end_digits(self) -> None:
        """Tell the model the keys that were pressed, as words of the user."""
        words = f"(The caller pressed {self._digits} on the phone's keypad.)"
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": words}]}
        self._digits = ""
        self.says.append(_event("conversation.item.create", item=item))
        self.says.append(_event("response.create"))

    def _played(self, name: str) -> None:
        """Take a mark back. Marks come in order, so those before it were played, or cleared, too."""
        if all(mark.name != name for mark in self._marks):
            return
        while (mark := self._marks.popleft()).name != name:
            pass
        if not mark.is_cleared:
            self._heard, self._heard_at = (mark.item_id, mark.until_ms), self._clock_ms
            self.says.append(_event(PLAYED, item_id=mark.item_id, played_ms=round(mark.until_ms)))

    # — to Twilio —

    def send(self, text: str) -> list[str]:
        """Return an event of the session as frames for Twilio; raise StreamBroken if the session speaks no µ-law."""
        try:
            event = _read_event(text)
        except msgspec.MsgspecError:
            return []  # frames that pass are recognised by their first bytes alone
        match event.type:
            case "response.output_audio.delta" | "response.audio.delta":
                return self._speak(event)
            case "response.output_audio.done" | "response.audio.done":
                return self._mark(event.item_id) if self._unmarked_ms else []
            case "input_audio_buffer.speech_started":
                return self._interrupt() if self._is_interruptible else []
            case "session.created" | "session.updated":
                self._note_session(msgspec.json.decode(event.session), is_first=event.type == "session.created")
        return []

    def _speak(self, event: _Delta) -> list[str]:
        if event.response_id and event.response_id == self._hushed:
            return []
        frames = self._mark(self._item) if event.item_id != self._item and self._unmarked_ms else []
        if event.item_id != self._item:
            self._item, self._item_ms = event.item_id, 0.0
        if not self._marks and not self._unmarked_ms:
            self._heard_at = self._clock_ms
        self._speaks, self._content_index = event.response_id, event.content_index
        for at in range(0, len(event.delta), PIECE_CHARS):
            piece = event.delta[at : at + PIECE_CHARS]
            ms = _bytes_in(piece) / BYTES_A_MS
            self._item_ms += ms
            self._unmarked_ms += ms
            frames.append(self._frame("media", media={"payload": piece}))
            frames += self._mark(self._item) if self._unmarked_ms >= MARK_MS else []
        return frames

    def _mark(self, item_id: str) -> list[str]:
        """Return a mark behind what was sent of an item."""
        if item_id != self._item or len(self._marks) >= MAX_MARKS:
            return []
        self._unmarked_ms = 0.0
        self._marked += 1
        sent = _Sent(f"rb{self._marked}", item_id, self._content_index, self._item_ms)
        self._marks.append(sent)
        return [self._frame("mark", mark={"name": sent.name})]

    def _interrupt(self) -> list[str]:
        """Have Twilio forget what it has not played, and the session what the caller has not heard."""
        unplayed = [mark for mark in self._marks if not mark.is_cleared]
        if self._unmarked_ms:
            unplayed.append(_Sent("", self._item, self._content_index, self._item_ms))
        self._hushed, self._unmarked_ms = self._speaks, 0.0
        if not unplayed:
            return []
        for item_id in dict.fromkeys(mark.item_id for mark in unplayed):
            first = next(mark for mark in unplayed if mark.item_id == item_id)
            played = self._played_of(first) if first is unplayed[0] else 0.0
            where = {"item_id": item_id, "content_index": first.content_index, "audio_end_ms": round(played)}
            self.says.append(_event("conversation.item.truncate", **where))
        for mark in self._marks:
            mark.is_cleared = True
        return [self._frame("clear")]

    def _played_of(self, mark: _Sent) -> float:
        """Return how much of an item was played: less than up to the mark that Twilio has not returned."""
        before = self._heard[1] if self._heard[0] == mark.item_id else 0.0
        return min(mark.until_ms, before + self._clock_ms - self._heard_at)

    def _note_session(self, session: Any, *, is_first: bool) -> None:
        audio = (session or {}).get("audio") or {}
        said = ((audio.get("output") or {}).get("format") or {}).get("type", AUDIO)
        if said != AUDIO:
            raise StreamBroken(f"the Realtime API speaks {str(said)[:40]}, and a phone hears {AUDIO}")
        detection = (audio.get("input") or {}).get("turn_detection") or {}
        self._is_interruptible = detection.get("interrupt_response", True) is not False
        if is_first and self.greets:
            self.greets = False
            self.says.append(_event("response.create"))

    def _frame(self, kind: str, **body: Any) -> str:
        return _write({"event": kind, "streamSid": self.stream_sid, **body}).decode()


def _event(kind: str, **fields: Any) -> str:
    return _write({"type": kind, **fields}).decode()


def _bytes_in(base64: str) -> int:
    """Return how many bytes a text in base64 stands for."""
    return len(base64) * 3 // 4 - base64[-2:].count("=")
