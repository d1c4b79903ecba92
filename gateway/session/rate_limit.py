"""How fast one client may talk: frames, seconds of audio, and text. Pure: whoever reads from it waits as this says.

Three buckets leak at the policy's rates. A client that overflows one is slowed down: nothing is dropped, it is read
later, and its own connection holds it back. One that has to be slowed down for too long without a break is no client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.protocol.audio_formats import DEFAULT_BYTES_PER_SECOND, bytes_per_second
from ringback.agents.client_policy import ClientPolicy


@dataclass(frozen=True, slots=True)
class RateExceeded:
    """It has been slowed down for as long as a client may be: hang up (4029, `too_fast`). `what` was too much."""

    what: str


@dataclass(slots=True)
class _Bucket:
    """What has been taken beyond what the rate has given back; below zero there is still room."""

    rate: float
    burst: float
    level: float = 0.0
    at: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """Seconds to wait before more may be taken; 0 while the burst lasts."""
        self.level = max(0.0, self.level - (now - self.at) * self.rate) + amount
        self.at = now
        return max(0.0, self.level - self.burst) / self.rate


class RateLimiter:
    """One client's. `now` is monotonic time in seconds, as everywhere."""

    def __init__(self, policy: ClientPolicy, now: float) -> None:
        self._frames = _Bucket(policy.messages_per_second, policy.messages_burst, at=now)
        self._audio = _Bucket(policy.audio_rate, policy.audio_burst_seconds, at=now)
        self._text = _Bucket(policy.text_rate, policy.text_burst, at=now)
        self._throttled_seconds = policy.throttled_seconds
        self._throttled_since: float | None = None
        self._bytes_per_second = DEFAULT_BYTES_PER_SECOND

    def heard_as(self, session: Mapping[str, Any]) -> None:
        """A `session` that is in force: the same audio is longer in another format. What was only asked for is not."""
        audio = session.get("audio")
        heard = audio.get("input") if isinstance(audio, Mapping) else None
        given = heard.get("format") if isinstance(heard, Mapping) else None
        self._bytes_per_second = bytes_per_second(given) or self._bytes_per_second

    def took(self, audio_bytes: int, now: float, chars: int = 0) -> float | RateExceeded:
        """One frame was read, with so many bytes of audio and characters beside it: how long to wait before the next.

        Seconds, 0.0 for a client that keeps its pace; TooFast where it has been told to wait for too long, or would be.
        """
        waits = {
            "audio": self._audio.take(audio_bytes / self._bytes_per_second, now) if audio_bytes else 0.0,
            "messages": self._frames.take(1.0, now),
            "text": self._text.take(chars, now),
        }
        what = max(waits, key=waits.__getitem__)
        wait = waits[what]
        if not wait:
            self._throttled_since = None
            return 0.0
        if self._throttled_since is None:
            self._throttled_since = now
        if now + wait - self._throttled_since > self._throttled_seconds:
            return RateExceeded(what)
        return wait
