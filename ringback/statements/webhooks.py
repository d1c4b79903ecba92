"""Delivery of late results to an agent's webhook: at least once, and a bounded number of times.

If the session's agent names a webhook, a trigger makes such a result due (`notify_after`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Select, Text, Update, Uuid, all_, any_, case, func, null, select, type_coerce, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds, statement_time
from ringback.tables import jobs, sessions

ATTEMPTS = 9
"""Attempts, with their pauses about an hour: a receiver that is being deployed or repaired is back by then."""
FIRST_PAUSE_SECONDS = 16.0
"""Doubled each time, ± 25 %. Longer than an attempt takes, so that two attempts never overlap."""


def take_due(at_most: int, but_of: Collection[str] = ()) -> Bound:
    """Take results to post now. If the gateway does not report one as `mark_notified`, it is taken again after a pause.

    Each of two gateways gets different results. Returns `id`, `tenant`, `agent` of the session, and `attempt` from 1
    on. After the last attempt, `ATTEMPTS`, a result is not taken again: it stays in the history.

    Args:
        but_of: agents whose results stay where they are.
    """
    return _take_due(at_most, list(but_of))


@statement
def _take_due(at_most: int, but_of: list[str]) -> ReturningUpdate[Any]:
    taken = (
        due()
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(sessions.c.agent != all_(type_coerce(but_of, ARRAY(Text))))
        .order_by(jobs.c.notify_after, jobs.c.id)
        .limit(at_most)
        .with_for_update(of=jobs, skip_locked=True)
        .cte("taken")
    )
    pause = FIRST_PAUSE_SECONDS * func.power(2.0, jobs.c.notify_count) * (0.75 + func.random() / 2)
    return (
        update(jobs)
        .where(jobs.c.id == taken.c.id, jobs.c.session_id == sessions.c.id)
        .values(
            notify_count=jobs.c.notify_count + 1,
            notify_after=case((jobs.c.notify_count + 1 < ATTEMPTS, now() + seconds(pause)), else_=null()),
        )
        .returning(jobs.c.id, jobs.c.tenant, sessions.c.agent, jobs.c.notify_count.label("attempt"))
    )


def due() -> Select[Any]:
    """Select the results that are due at a webhook."""
    return select(jobs.c.id).where(jobs.c.notify_after <= statement_time())


def mark_notified(job_ids: Iterable[UUID]) -> Bound:
    """Mark these results as taken by the receiver."""
    return _mark_notified(list(job_ids))


@statement
def _mark_notified(job_ids: list[UUID]) -> Update:
    return (
        update(jobs)
        .where(jobs.c.id == any_(type_coerce(job_ids, ARRAY(Uuid))), jobs.c.notified_at.is_(None))
        .values(notified_at=now(), notify_after=null())
    )
