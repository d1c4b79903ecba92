"""One media stream as Twilio holds it: the frames that it sends, and what it was sent to play. It does no I/O.

Sound is µ-law, 8 kHz. A mark is answered once what stands before it was played, or was cleared.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections import deque
from collections.abc import Mapping
from typing import Any

from simulator.speech.telephony import RATE

BYTES_PER_MS = RATE // 1000
_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": RATE, "channels": 1}


class MediaStream:
    """A stream from its start to its end; ``clock_ms`` is the time in it, by the sound that the caller has sent.

    Args:
        marks: gets the names of those that were answered.
    """

    def __init__(self, marks: list[str] | None = None) -> None:
        self.sid = f"MZ{secrets.token_hex(16)}"
        self.clock_ms = 0
        self.marks = [] if marks is None else marks
        self._to_play: deque[bytes | str] = deque()
        self._frames = 0
        self._chunks = 0

    def begin(self, call_sid: str, account_sid: str, parameters: Mapping[str, str]) -> list[str]:
        """Return the first two frames; ``parameters`` are those of the TwiML."""
        start = {
            "streamSid": self.sid,
            "accountSid": account_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": _FORMAT,
            "customParameters": dict(parameters),
        }
        connected = json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._frame("start", start=start)]

    def says(self, ulaw: bytes) -> str:
        """Return a frame of the caller's sound."""
        self._chunks += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunks),
            "timestamp": str(self.clock_ms),
            "payload": base64.b64encode(ulaw).decode(),
        }
        self.clock_ms += len(ulaw) // BYTES_PER_MS
        return self._frame("media", media=media)

    def presses(self, key: str) -> str:
        """Return the frame of a key."""
        return self._frame("dtmf", dtmf={"track": "inbound_track", "digit": key})

    def stops(self, call_sid: str, account_sid: str) -> str:
        """Return the last frame: the call, or the stream, is over."""
        return self._frame("stop", stop={"accountSid": account_sid, "callSid": call_sid})

    def take(self, frame: str | bytes) -> dict[str, Any]:
        """Take a frame of the other side, and return it parsed. What a ``clear`` asks for, :meth:`clear` does."""
        event: dict[str, Any] = json.loads(frame)
        match event.get("event"):
            case "media":
                self._to_play.append(base64.b64decode(event["media"]["payload"]))
            case "mark":
                self._to_play.append(str(event["mark"]["name"]))
        return event

    def clear(self) -> list[str]:
        """Forget what was not played; return the frames that answer its marks."""
        waiting = [each for each in self._to_play if isinstance(each, str)]
        self._to_play.clear()
        return [self._answer(name) for name in waiting]

    def play(self, longest_ms: float | None = None) -> tuple[bytes, list[str]]:
        """Play what is there, or so much of it; return the sound, and the frames that answer the marks behind it."""
        played, passed = bytearray(), []
        room = None if longest_ms is None else int(longest_ms * BYTES_PER_MS)
        while self._to_play:
            first = self._to_play.popleft()
            if isinstance(first, str):
                passed.append(self._answer(first))
                continue
            fits = len(first) if room is None else min(len(first), room - len(played))
            played += first[:fits]
            if fits < len(first):
                self._to_play.appendleft(first[fits:])
                break
        return bytes(played), passed

    def _answer(self, name: str) -> str:
        self.marks.append(name)
        return self._frame("mark", mark={"name": name})

    def _frame(self, event: str, **fields: Any) -> str:
        self._frames += 1
        return json.dumps({"event": event, "sequenceNumber": str(self._frames), "streamSid": self.sid, **fields})
