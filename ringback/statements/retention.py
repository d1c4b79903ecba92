"""Retention: deletes sessions with their messages and calls, secrets, and encrypted values once they are old enough.

Recordings of voices go first, a bounded number of pieces at a time: a session is deleted once it has none.

Usage stays, as sums of a day (`usage_days`). Each statement takes a bounded number and skips rows that another process
holds. If there is no work, it reads a few pages.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Integer,
    Select,
    Update,
    delete,
    exists,
    func,
    null,
    or_,
    select,
    text,
    true,
    type_coerce,
    update,
)
from sqlalchemy.sql.dml import ReturningDelete

from ringback.jobs.states import LIVE, Delivery
from ringback.postgres.statement import statement
from ringback.statements import recordings
from ringback.statements.clock import seconds, statement_time
from ringback.statements.row_state import is_now
from ringback.tables import SEALED, client_secrets, jobs, sessions, tenants

AT_ONCE = 50
"""Sessions of one statement, each with hundreds of rows: it takes a fraction of a second."""
SEALED_SECONDS = 2 * 86_400
"""A session lasts for a day at most: after two, no conversation needs an encrypted value."""
EXPIRED_SECRET_SECONDS = 2 * 86_400
"""A client resumes its session with an expired secret, for as long as the session may last."""


@statement
def delete_expired(default_days: int | None) -> ReturningDelete[Any]:
    """Delete ended sessions beyond their tenant's retention, with all their rows. Returns each `id`.

    A session with a live call or an undelivered result stays until that is done.

    Args:
        default_days: for tenants without a row; None: for ever.
    """
    return delete_with_contents(_expired(default_days))


@statement
def delete_expired_recordings(default_days: int | None) -> Delete:
    """Delete a bounded number of pieces of the recordings of sessions that `delete_expired` is about to delete."""
    return recordings.delete_of(_expired(default_days))


def _expired(default_days: int | None) -> Select[Any]:
    owner = _tenants_with_something_over()
    days = func.coalesce(tenants.c.retention_days, type_coerce(default_days, Integer))
    limit = statement_time() - func.make_interval(0, 0, 0, days)
    past = (
        select(sessions.c.id)
        .where(sessions.c.state == "ended", sessions.c.tenant == owner.c.tenant, sessions.c.ended_at < limit)
        .where(~_is_owed_something())
        .order_by(sessions.c.ended_at)
        .limit(AT_ONCE)
        .lateral("past")
    )
    found = select(past.c.id).select_from(
        owner.outerjoin(tenants, tenants.c.tenant == owner.c.tenant).join(past, true())
    )
    return select(sessions.c.id).where(sessions.c.id.in_(found.limit(AT_ONCE)))


def delete_with_contents(which: Select[Any]) -> ReturningDelete[Any]:
    """Delete a bounded number of these sessions (`select(sessions.c.id)`), with all rows that belong to them.

    A session with a recording stays until that is deleted.
    """
    which = which.where(~recordings.is_recorded()).order_by(sessions.c.id).limit(AT_ONCE)
    gone = which.with_for_update(of=sessions, skip_locked=True).cte("gone")
    calls = delete(jobs).where(jobs.c.session_id.in_(select(gone.c.id))).cte("calls")
    whole = delete(sessions).where(sessions.c.id.in_(select(gone.c.id))).returning(sessions.c.id)
    return whole.add_cte(calls)


@statement
def delete_expired_secrets() -> Delete:
    """Delete client secrets that no client can use any more, not even to resume."""
    limit = statement_time() - seconds(EXPIRED_SECRET_SECONDS)
    old = select(client_secrets.c.id).where(client_secrets.c.expires_at < limit).limit(AT_ONCE * 20)
    return delete(client_secrets).where(client_secrets.c.id.in_(old.scalar_subquery()))


@statement
def drop_old_sealed() -> Update:
    """Delete encrypted values whose conversation ended without a final write."""
    limit = statement_time() - seconds(SEALED_SECONDS)
    old = (
        select(jobs.c.id)
        .where(text(f"({SEALED})"), jobs.c.created_at < limit)
        .order_by(jobs.c.created_at)
        .limit(AT_ONCE * 20)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    return update(jobs).where(jobs.c.id == old.c.id).values(sealed_arguments=null(), sealed_result=null())


def _tenants_with_something_over() -> CTE:
    """Return each tenant that has an ended session: one index look-up for each, for any number of sessions."""
    of_the_index = (sessions.c.tenant, sessions.c.ended_at)
    first = select(sessions.c.tenant).where(sessions.c.state == "ended").order_by(*of_the_index).limit(1).subquery()
    owner = select(first.c.tenant).cte("owner", recursive=True)
    following = (
        select(sessions.c.tenant)
        .where(sessions.c.state == "ended", sessions.c.tenant > owner.c.tenant)
        .order_by(*of_the_index)
        .limit(1)
        .lateral("following")
    )
    return owner.union_all(select(following.c.tenant).select_from(owner.join(following, true())))


def _is_owed_something() -> ColumnElement[bool]:
    unfinished = or_(
        is_now(jobs.c.state, *LIVE), is_now(jobs.c.delivery, Delivery.READY), jobs.c.notify_after.is_not(None)
    )
    return exists(select(jobs.c.id).where(jobs.c.session_id == sessions.c.id, unfinished))
