"""Limits how fast one client may send: frames, seconds of audio, and text. Pure: the reader waits as long as it says.

Each of the three has a token bucket, at the policy's rate. If the client overdraws one, the gateway reads its next
frame later: no frame is dropped, and TCP holds the client back. If that lasts too long without a break, the gateway
closes the connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.protocol.audio_formats import DEFAULT_BYTES_PER_SECOND, bytes_per_second
from ringback.agents.client_policy import ClientPolicy


@dataclass(frozen=True, slots=True)
class RateExceeded:
    """The client was slowed down for as long as its policy allows: close with 4029, `too_fast`. `what` was too much."""

    what: str


class RateLimiter:
    """Rate limiter of one client. `now` is monotonic time in seconds.

    Its three buckets have one clock, as each frame takes from all of them. Of each it keeps what was taken and the rate
    has not given back yet.
    """

    def __init__(self, policy: ClientPolicy) -> None:
        self._audio_rate, self._audio_burst = policy.audio_rate, policy.audio_burst_seconds
        self._frame_rate, self._frame_burst = policy.messages_per_second, policy.messages_burst
        self._text_rate, self._text_burst = policy.text_rate, policy.text_burst
        self._audio = self._frames = self._text = self._at = 0.0
        self._throttled_seconds = policy.throttled_seconds
        self._throttled_since: float | None = None
        self._bytes_per_second = DEFAULT_BYTES_PER_SECOND

    def heard_as(self, session: Mapping[str, Any]) -> None:
        """Note the audio format of a `session` that is in force: the same bytes last longer in another format."""
        audio = session.get("audio")
        heard = audio.get("input") if isinstance(audio, Mapping) else None
        given = heard.get("format") if isinstance(heard, Mapping) else None
        self._bytes_per_second = bytes_per_second(given) or self._bytes_per_second

    def takes(self, audio_bytes: int, now: float, chars: int = 0) -> bool:
        """Count one frame and return True if the client is within its limits; else return False, and count none.

        Fifty times a second for each client, so it calls nothing.
        """
        seconds, more = now - self._at, audio_bytes / self._bytes_per_second
        audio = self._audio - seconds * self._audio_rate
        frames = self._frames - seconds * self._frame_rate
        text = self._text - seconds * self._text_rate
        audio = audio + more if audio > 0.0 else more
        frames = frames + 1.0 if frames > 0.0 else 1.0
        text = text + chars if text > 0.0 else chars
        if audio > self._audio_burst or frames > self._frame_burst or text > self._text_burst:
            return False
        self._audio, self._frames, self._text, self._at = audio, frames, text, now
        self._throttled_since = None
        return True

    def took(self, audio_bytes: int, now: float, chars: int = 0) -> float | RateExceeded:
        """Count one frame, with so many bytes of audio and so many characters of other text.

        Return the seconds to wait before the next frame is read, 0.0 for a client within its limits. Return
        RateExceeded if the client was slowed down for too long, or would be.
        """
        if self.takes(audio_bytes, now, chars):
            return 0.0
        seconds, self._at = now - self._at, now
        self._audio = max(0.0, self._audio - seconds * self._audio_rate) + audio_bytes / self._bytes_per_second
        self._frames = max(0.0, self._frames - seconds * self._frame_rate) + 1.0
        self._text = max(0.0, self._text - seconds * self._text_rate) + chars
        waits = {
            "audio": (self._audio - self._audio_burst) / self._audio_rate if audio_bytes else 0.0,
            "messages": (self._frames - self._frame_burst) / self._frame_rate,
            "text": (self._text - self._text_burst) / self._text_rate,
        }
        what = max(waits, key=waits.__getitem__)
        wait = waits[what]
        if wait <= 0.0:
            self._throttled_since = None
            return 0.0
        if self._throttled_since is None:
            self._throttled_since = now
        if now + wait - self._throttled_since > self._throttled_seconds:
            return RateExceeded(what)
        return wait
