"""Doorbell: a hint from the process that finished a job to the gateway that holds its session.

One Redis Stream per gateway. An entry holds the id of a session that has a ready result, and may hold that result,
sealed (`ringback.redis.sealed_results`); without it the gateway reads the rows from Postgres. A lost doorbell costs at
most the second until the gateway's next poll. A stream and not pub/sub: the same latency, and it survives a gateway's
short disconnect.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple
from uuid import UUID

MAX_LENGTH = 1_000
"""Most entries. With more unread ones, the gateway's poll of the table finds the rest."""
TIME_TO_LIVE = 60
"""Seconds. The stream of a gateway that is gone expires."""
EXPIRE_SECONDS = 20.0
"""How often a process that notifies a gateway renews that time; well within it, and not with each entry."""
GATEWAYS_AT_MOST = 1_000
"""Gateways whose renewal a process remembers: each gateway that starts has a new id."""

FIELD, RESULT = "session", "result"


class Ring(NamedTuple):
    """Entry of a gateway's stream.

    Args:
        sealed: the result, for `SealedResults.open`; None: it is to be read.
    """

    session_id: UUID
    sealed: str | None = None


def stream_of(gateway_id: str) -> str:
    """Return the Redis key of a gateway's stream."""
    return f"ringback:doorbell:{gateway_id}"


class Doorbells:
    """Writer of the commands that notify gateways. Each process has one."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._renewed_at: dict[str, float] = {}

    def commands(
        self, gateway_id: str, session_id: UUID, sealed: str | None = None
    ) -> tuple[tuple[str | int, ...], ...]:
        """Return the Redis commands that notify a gateway about a session; the entry expires with the stream.

        Args:
            sealed: the session's result, if it goes along.
        """
        stream, now = stream_of(gateway_id), self._clock()
        result = () if sealed is None else (RESULT, sealed)
        entry = ("XADD", stream, "MAXLEN", "~", MAX_LENGTH, "*", FIELD, str(session_id), *result)
        renewed_at = self._renewed_at.get(gateway_id)
        if renewed_at is not None and now - renewed_at < EXPIRE_SECONDS:
            return (entry,)
        if len(self._renewed_at) >= GATEWAYS_AT_MOST:
            self._renewed_at.clear()
        self._renewed_at[gateway_id] = now
        return entry, ("EXPIRE", stream, TIME_TO_LIVE)

    def failed(self, gateway_id: str) -> None:
        """Note that the commands may not have been run: the next ones renew the time to live."""
        self._renewed_at.pop(gateway_id, None)


def heard(fields: dict[str, str]) -> Ring | None:
    """Return what an entry says, or None for an entry that Ringback did not write."""
    try:
        return Ring(UUID(fields[FIELD]), fields.get(RESULT))
    except (KeyError, ValueError):
        return None
