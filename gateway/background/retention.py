"""Deletes what is not to be kept: sessions that ended long enough ago, and the rows of users who are erased.

Any number of gateways do this at once; each deletes rows that no other has locked, a bounded number at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.retry import once_set, repeat
from gateway.storage.database import Store
from ringback.statements import access, erasure, recordings, retention, session_end
from ringback.statements.operators import audit
from ringback.statements.operators.audit import Operator

log = logging.getLogger(__name__)

ERASE_LOOK_SECONDS = 5.0
"""Least time between two looks for erased users who were still talking: no request waits for it."""
RETAIN_SECONDS = 60.0
"""Between two looks for sessions that are over, which are kept for days."""
ERASE_SECONDS = 5.0
"""How long a request to erase a user waits; sessions that are still open then are deleted later."""
AGAIN_SECONDS = 0.25
"""Between two attempts of that: the gateways that hold the user's sessions poll once a second."""


@dataclass(slots=True)
class ErasedCounts:
    """How many rows of a user were deleted; `left` sessions are about to end, and are deleted then."""

    sessions: int = 0
    secrets: int = 0
    keys: int = 0
    sign_outs: int = 0
    days: int = 0
    acts: int = 0
    left: int = 0

    @property
    def is_nobody(self) -> bool:
        """True if there was no row of the user."""
        return self == ErasedCounts()

    def add(self, found: Mapping[str, int]) -> None:
        """Add the rows that were changed, by what they hold (`erasure.FORGOTTEN`)."""
        self.secrets += found.get("secrets", 0)
        self.keys += found.get("keys", 0)
        self.sign_outs += found.get("sign_outs", 0)
        self.days += found.get("days", 0)
        self.acts += found.get("acts", 0)


class Retention:
    """Deletion of old rows and of erased users. Two tasks, `forget` and `erase_marked`, which run until cancelled.

    Args:
        retention_days: for tenants without a number; None: for ever.
        recording_days: for recordings of voices, which go with their session at the latest.
        erased: set when an erased user has rows left that may go; None: there may be some at any time.
    """

    def __init__(
        self,
        store: Store,
        retention_days: int | None,
        erased: asyncio.Event | None = None,
        recording_days: int = 30,
    ) -> None:
        self._store = store
        self._retention_days = retention_days
        self._recording_days = recording_days
        self._until_erased = once_set(erased) if erased else None

    async def forget(self) -> None:
        """Delete old rows, once a minute, and go on at once while there are more."""
        await repeat(self._delete_over, RETAIN_SECONDS, "retention")

    async def erase_marked(self) -> None:
        """Delete the rows of erased users once their sessions are over."""
        await repeat(self._erase_marked, ERASE_LOOK_SECONDS, "erasure", self._until_erased)

    async def erase(self, who: Operator, user: str) -> ErasedCounts:
        """Delete all rows of this user: at once what is over, and within seconds the sessions that are open.

        Another gateway deletes marked sessions as soon as it sees them, so the count is of what was marked.
        """
        loop, tenant = asyncio.get_running_loop(), who.tenant
        give_up = loop.time() + ERASE_SECONDS
        (before,), changed = await self._store.together(erasure.count_marked(tenant, user), access.erase(who, user))
        first = Counter(row.kind for row in changed)
        erased, theirs = ErasedCounts(), before.number + first["sessions"]
        erased.add(first)
        while True:
            while again := await self._store.rows(erasure.mark(tenant, user)):  # the user may have come back meanwhile
                theirs += len(again)
            found, more = await self._take(tenant, user)
            erased.add(found)
            (left,) = await self._store.rows(erasure.count_left(tenant, user))
            erased.left, erased.sessions = left.number, max(0, theirs - left.number)
            if not more and (not left.number or loop.time() > give_up):
                return erased
            await asyncio.sleep(0 if more else AGAIN_SECONDS)

    async def _erase_marked(self) -> bool:
        rows = await self._store.rows(erasure.next_user())
        for row in rows:
            await self._take(row.tenant, row.user_id)
        return bool(rows)

    async def _take(self, tenant: str, user: str) -> tuple[Mapping[str, int], bool]:
        """Delete some of the user's sessions and all their other rows, in one transaction.

        Return how many rows of each kind of `erasure.FORGOTTEN`, and whether there may be more sessions.
        """
        await self._store.rows(session_end.cancel_calls(session_end.sessions_of_user(user, tenant)))
        while await self._store.count(erasure.delete_voices(tenant, user)) >= recordings.DELETED_AT_ONCE:
            pass
        rest = erasure.forget_user(tenant, user)
        sessions, *found = await self._store.together(erasure.delete_sessions(tenant, user), *rest)
        if not sessions:
            found = [await self._store.rows(statement) for statement in rest]
        counts = {kind: len(rows) for kind, rows in zip(erasure.FORGOTTEN, found, strict=True)}
        return counts, len(sessions) >= retention.AT_ONCE

    async def _delete_over(self) -> bool:
        voices = await self._store.count(recordings.delete_old(self._recording_days))
        voices += await self._store.count(retention.delete_expired_recordings(self._retention_days))
        gone = await self._store.rows(retention.delete_expired(self._retention_days))
        await self._store.count(retention.delete_expired_secrets())
        await self._store.count(retention.drop_old_sealed())
        await self._store.count(audit.delete_old())
        if gone:
            log.info("retention: %d sessions deleted, as they were over for long enough", len(gone))
        return len(gone) >= retention.AT_ONCE or voices >= recordings.DELETED_AT_ONCE
