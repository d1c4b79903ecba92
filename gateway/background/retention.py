"""What is not to be kept goes: what is over long enough, and what was a user's who is erased.

Every gateway does it, any number at once; each takes what no other holds, a bounded number at a time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from gateway.retry import repeat
from gateway.storage.database import Store
from ringback.statements import erasure, retention
from ringback.statements.sessions import session_end

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Between two looks for users who are erased and were still talking: nobody waits for it, and it reads one page."""
RETAIN_EVERY = 12
"""Looks: once a minute for what is over, which is kept for days."""
ERASE_SECONDS = 5.0
"""How long whoever asks for a user to be erased waits for it; sessions that go on until then are seen to later."""
AGAIN_SECONDS = 0.25
"""Between two attempts of that: the gateways that hold the user's sessions look once a second."""

Found = Sequence[Row[Any]]
"""The rows that one statement took."""


@dataclass(slots=True)
class ErasedCounts:
    """What went of a user: numbers of rows; `left` sessions are about to end, and go then."""

    sessions: int = 0
    secrets: int = 0
    keys: int = 0
    sign_outs: int = 0
    days: int = 0
    left: int = 0

    @property
    def is_nobody(self) -> bool:
        """True where nothing was known of them."""
        return self == ErasedCounts()

    def add(self, found: list[Found]) -> None:
        """Count the rows of each of `erasure.forget`."""
        secrets, keys, sign_outs, days = (len(rows) for rows in found)
        self.secrets += secrets
        self.keys += keys
        self.sign_outs += sign_outs
        self.days += days


class Retention:
    """One task, `forget`, which runs until it is cancelled.

    Args:
        retention_days: of tenants that say nothing themselves; None: for ever.
    """

    def __init__(self, store: Store, retention_days: int | None) -> None:
        self._store = store
        self._retention_days = retention_days
        self._looks = 0

    async def forget(self) -> None:
        """Look now and then, and go on as long as there is more."""
        await repeat(self._look, LOOK_SECONDS, "look for what is over")

    async def _look(self) -> bool:
        """Return True if there may be more to delete."""
        more = await self._go_on_erasing()
        if self._looks % RETAIN_EVERY == 0:
            more |= await self._let_go_what_is_over()
        self._looks += not more
        return more

    async def erase(self, tenant: str, user: str) -> ErasedCounts:
        """Everything of this user goes: at once what is over, and within seconds what they are doing.

        Another gateway deletes what is marked as soon as it sees it, so what went is counted by what was marked.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + ERASE_SECONDS
        (before,), marked, *found = await self._store.together(
            erasure.marked(tenant, user), erasure.mark(tenant, user), *erasure.forget(tenant, user)
        )
        erased, theirs = ErasedCounts(), before.number + len(marked)
        erased.add(found)
        while True:
            while again := await self._store.rows(erasure.mark(tenant, user)):  # they may have come back meanwhile
                theirs += len(again)
            found, more = await self._take(tenant, user)
            erased.add(found)
            (left,) = await self._store.rows(erasure.left(tenant, user))
            erased.left, erased.sessions = left.number, max(0, theirs - left.number)
            if not more and (not left.number or loop.time() > give_up):
                return erased
            await asyncio.sleep(0 if more else AGAIN_SECONDS)

    async def _go_on_erasing(self) -> bool:
        rows = await self._store.rows(erasure.waiting())
        for row in rows:
            await self._take(row.tenant, row.user_id)
        return bool(rows)

    async def _take(self, tenant: str, user: str) -> tuple[list[Found], bool]:
        """Take some of the user's sessions and all else, together or not at all.

        Returns the rows of each of `erasure.forget`, and whether more sessions may be there.
        """
        await self._store.rows(session_end.cancel_calls(session_end.sessions_of_user(user, tenant)))
        rest = erasure.forget(tenant, user)
        sessions, *found = await self._store.together(erasure.delete_sessions(tenant, user), *rest)
        if not sessions:
            found = [await self._store.rows(statement) for statement in rest]
        return found, len(sessions) >= retention.AT_ONCE

    async def _let_go_what_is_over(self) -> bool:
        gone = await self._store.rows(retention.delete_over(self._retention_days))
        await self._store.count(retention.delete_expired_secrets())
        await self._store.count(retention.drop_old_seals())
        if gone:
            log.info("%d sessions were over for long enough, and are kept no longer", len(gone))
        return len(gone) >= retention.AT_ONCE
