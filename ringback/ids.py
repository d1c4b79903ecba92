"""Ids of sessions and of their calls, which begin with a mark of the time at which the session began.

Postgres keeps the keys of a table in order. Where ids are random, each new row goes to a random page of each index. In
a table that is larger than its buffers, each call would read pages from the disk, and have them written whole to the
log. So the first 12 bits of an id are the same for a quarter of an hour, and all rows of that time go to one of 4,096
parts of an index, which stays in memory. After 50 days the marks begin again. Of the first 8 characters of an id, by
which people name it, five are random (ADR 0113).
"""

from __future__ import annotations

from time import time
from uuid import UUID, uuid4, uuid5

MARK_BITS = 12
MARK_SECONDS = 1_048.576
"""How long ids have one mark: 17 minutes and a half."""
MARKED = 8
"""Version of an id with a mark: RFC 9562 leaves it to each maker of ids."""


def new_session_id() -> UUID:
    """Return a new id with the mark of this time, and 110 random bits."""
    return _marked(int(time() / MARK_SECONDS), uuid4())


def job_id_of(session_id: UUID, call_id: str) -> UUID:
    """Return the id of the session's call, the same each time: the session's mark, and a digest of both.

    If the session's id has no mark, as before ids had one, it is `uuid5` of both.
    """
    digest = uuid5(session_id, call_id)
    return _marked(session_id.int >> 128 - MARK_BITS, digest) if session_id.version == MARKED else digest


def _marked(mark: int, rest: UUID) -> UUID:
    """Return the id with the last bits of the mark as its first."""
    at, version_at = 128 - MARK_BITS, 76
    number = rest.int & ~(0xF << version_at) | MARKED << version_at
    return UUID(int=number & (1 << at) - 1 | (mark % (1 << MARK_BITS)) << at)
