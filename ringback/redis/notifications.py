"""The doorbell: a hint from whoever finished a job to the gateway that holds its session.

One Redis Stream per gateway. An entry says which session has something ready and nothing else; the gateway reads
the rows themselves from Postgres. A doorbell that is lost costs at most the second until the gateway looks into the
table anyway. A stream and not pub/sub: the same latency, and it outlives a gateway's short disconnect.
"""

from __future__ import annotations

from uuid import UUID

MAX_LENGTH = 1_000
"""Entries. More unread ones mean a gateway that the table will tell all the same."""
TIME_TO_LIVE = 60
"""Seconds. The stream of a gateway that is gone leaves nothing in Redis."""

FIELD = "session"


def stream_of(gateway_id: str) -> str:
    """The Redis key of a gateway's stream."""
    return f"ringback:doorbell:{gateway_id}"


def commands(gateway_id: str, session_id: UUID) -> tuple[tuple[str | int, ...], ...]:
    """What rings a gateway about a session, as commands of Redis; the entry expires with the stream."""
    stream = stream_of(gateway_id)
    entry = ("XADD", stream, "MAXLEN", "~", MAX_LENGTH, "*", FIELD, str(session_id))
    return entry, ("EXPIRE", stream, TIME_TO_LIVE)


def heard(fields: dict[str, str]) -> UUID | None:
    """The session an entry names, or None for an entry that is not ours."""
    try:
        return UUID(fields[FIELD])
    except (KeyError, ValueError):
        return None
