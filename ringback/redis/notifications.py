"""Doorbell: a hint from the process that finished a job to the gateway that holds its session.

One Redis Stream per gateway. An entry holds only the id of a session that has a ready result; the gateway reads the
rows from Postgres. A lost doorbell costs at most the second until the gateway's next poll. A stream and not pub/sub:
the same latency, and it survives a gateway's short disconnect.
"""

from __future__ import annotations

from uuid import UUID

MAX_LENGTH = 1_000
"""Most entries. With more unread ones, the gateway's poll of the table finds the rest."""
TIME_TO_LIVE = 60
"""Seconds. The stream of a gateway that is gone expires."""

FIELD = "session"


def stream_of(gateway_id: str) -> str:
    """Return the Redis key of a gateway's stream."""
    return f"ringback:doorbell:{gateway_id}"


def commands(gateway_id: str, session_id: UUID) -> tuple[tuple[str | int, ...], ...]:
    """Return the Redis commands that notify a gateway about a session; the entry expires with the stream."""
    stream = stream_of(gateway_id)
    entry = ("XADD", stream, "MAXLEN", "~", MAX_LENGTH, "*", FIELD, str(session_id))
    return entry, ("EXPIRE", stream, TIME_TO_LIVE)


def heard(fields: dict[str, str]) -> UUID | None:
    """Return the session an entry names, or None for an entry that Ringback did not write."""
    try:
        return UUID(fields[FIELD])
    except (KeyError, ValueError):
        return None
