"""How long the gateway waits for this server, by what the server has done so far; and how long after a failure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.backoff import doubled
from gateway.conversation.turn_taking.user import CLIENT_ASKS_SECONDS, LONGEST_ANSWER_SECONDS, SERVER_ANSWERS_SECONDS
from gateway.upstream.quirks import CREATE_SECONDS as CREATE_SECONDS

LONGEST_CREATE_SECONDS = 60.0
"""However slow it was."""
PAUSE_SECONDS = 5.0
"""After a refusal without a response in sight, and after the first response that failed."""
LONGEST_PAUSE_SECONDS = 60.0
"""Between two attempts to have a result told: rate limits are counted by the minute."""


@dataclass(slots=True)
class Pacing:
    """Timings that one conversation has learned of its server. Times are seconds of any monotonic clock."""

    least_create_seconds: float = CREATE_SECONDS
    """What a create may take at any time: a provider's servers may be slow to begin."""
    retry_at: float = 0.0
    """A response failed: until then the gateway asks for no response, except the client's."""
    _failures: int = 0
    _limits_reset_at: float = 0.0
    _slowest_create: float = 0.0
    _slowest_answer: float = 0.0

    @property
    def create_seconds(self) -> float:
        """How long a create may take, in seconds."""
        return min(max(self.least_create_seconds, 3 * self._slowest_create), LONGEST_CREATE_SECONDS)

    def answer_seconds(self, *, is_servers: bool) -> float:
        """Return how long after the user's turn to wait for a response that the server or the client asks for."""
        if not is_servers:
            return CLIENT_ASKS_SECONDS
        return min(max(SERVER_ANSWERS_SECONDS, 2 * self._slowest_answer), LONGEST_ANSWER_SECONDS)

    def note_create(self, seconds: float) -> None:
        """Note that a create has begun its response after so long."""
        self._slowest_create = max(self._slowest_create, seconds)

    def note_answer(self, seconds: float) -> None:
        """Note that the server has answered the user's turn by itself after so long."""
        self._slowest_answer = max(self._slowest_answer, seconds)

    def note_limits(self, limits: object, now: float) -> None:
        """Note when the server's rate limits are reset, if one is used up."""
        for limit in limits if isinstance(limits, list) else []:
            left, seconds = (
                limit.get(name) if isinstance(limit, dict) else None for name in ("remaining", "reset_seconds")
            )
            if isinstance(left, int | float) and isinstance(seconds, int | float) and left <= 0 < seconds:
                self._limits_reset_at = max(self._limits_reset_at, now + min(seconds, LONGEST_PAUSE_SECONDS))

    def failed(self, now: float) -> None:
        """Wait after a failed response: longer each time, and until the server's limits are reset."""
        pause = doubled(PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, self._failures)
        self._failures += 1
        self.retry_at = max(now + pause, self._limits_reset_at)

    def succeeded(self) -> None:
        """Forget the failures, as a response was said."""
        self._failures = 0
