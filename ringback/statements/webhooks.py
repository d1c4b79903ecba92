"""Answers that nobody heard, on their way to an agent's webhook: at least once, and a bounded number of times.

A trigger makes them due (`notify_after`) where the session's agent names a webhook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import Update, case, func, null, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.statements.clock import now, seconds
from ringback.tables import jobs, sessions

ATTEMPTS = 9
"""With the pauses between them about an hour: a receiver that is being deployed, or mended, is back by then."""
FIRST_PAUSE_SECONDS = 16.0
"""Doubled each time, give or take a quarter; longer than an attempt takes, so that no two are under way at once."""


def take_due(at_most: int, but_of: Collection[str] = ()) -> ReturningUpdate[Any]:
    """Answers to be posted now. Whoever takes one and does not say `done` leaves it to be taken again, after a pause.

    Of two gateways each gets its own. Returns `id`, `tenant`, `agent` of the session, and `attempt` from 1 on; after
    the last, `ATTEMPTS`, an answer is not taken again: it is in the history.

    Args:
        but_of: agents whose answers stay where they are.
    """
    due = (
        select(jobs.c.id)
        .join(sessions, sessions.c.id == jobs.c.session_id)
        .where(jobs.c.notify_after <= now(), *((sessions.c.agent.not_in(sorted(but_of)),) if but_of else ()))
        .order_by(jobs.c.notify_after, jobs.c.id)
        .limit(at_most)
        .with_for_update(of=jobs, skip_locked=True)
        .cte("due")
    )
    pause = FIRST_PAUSE_SECONDS * func.power(2.0, jobs.c.notify_count) * (0.75 + func.random() / 2)
    return (
        update(jobs)
        .where(jobs.c.id == due.c.id, jobs.c.session_id == sessions.c.id)
        .values(
            notify_count=jobs.c.notify_count + 1,
            notify_after=case((jobs.c.notify_count + 1 < ATTEMPTS, now() + seconds(pause)), else_=null()),
        )
        .returning(jobs.c.id, jobs.c.tenant, sessions.c.agent, jobs.c.notify_count.label("attempt"))
    )


def done(job_ids: Iterable[UUID]) -> Update:
    """The receiver has taken these."""
    return (
        update(jobs)
        .where(jobs.c.id.in_(sorted(job_ids)), jobs.c.notified_at.is_(None))
        .values(notified_at=now(), notify_after=null())
    )
