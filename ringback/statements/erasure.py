"""Erasure of a user from every table. Their usage stays, as sums without a name: it was paid for.

    mark             ask their sessions to end and not to be kept; also a session that begins now (`mark_unless_known`)
    delete_voices    delete pieces of the recordings of marked sessions that are over
    delete_sessions  delete marked sessions that are over, with their messages and calls, once they have no recording
    forget           delete all other rows that name the user; run again after their last session, which may add usage

A session that a gateway holds ends about a second after it was marked. A running call is cancelled, or ends at its
deadline at the latest. The next run of `delete_sessions` deletes both.
"""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningDelete, ReturningInsert, ReturningUpdate

from ringback.jobs.states import JobState
from ringback.statements import recordings
from ringback.statements.identity.credentials import person, secret_credential
from ringback.statements.operators import audit
from ringback.statements.retention import delete_with_contents
from ringback.statements.row_state import is_now
from ringback.statements.session_end import ERASED, over_if_waiting
from ringback.tables import api_keys, client_secrets, jobs, sessions, signed_out, usage_days

Returning: TypeAlias = ReturningInsert[Any] | ReturningUpdate[Any] | ReturningDelete[Any]
AT_ONCE = 1_000
"""Sessions that one statement marks."""
ERASED_USER = ""
"""User name of the usage of erased users. No client can have this name."""


FORGOTTEN = ("secrets", "keys", "sign_outs", "days", "acts")
"""What each statement of `forget_user` changes, in order."""


def mark(tenant: str, user: str) -> ReturningUpdate[Any]:
    """Ask a bounded number of the user's sessions to end and not to be kept. Returns `id`, `state`, `gateway_id`."""
    theirs = (
        select(sessions.c.id)
        .where(_theirs(tenant, user), sessions.c.end_wanted.is_distinct_from(ERASED))
        .order_by(sessions.c.id)
        .limit(AT_ONCE)
        .with_for_update()
        .cte("theirs")
    )
    return (
        update(sessions)
        .where(sessions.c.id == theirs.c.id)
        .values(end_wanted=ERASED, **over_if_waiting(ERASED))
        .returning(sessions.c.id, sessions.c.state, sessions.c.gateway_id)
    )


def mark_unless_known(session_id: UUID) -> ReturningUpdate[Any]:
    """Ask a session not to be kept if it began while its user was erased. 0 rows: its key or secret still exists."""
    kind = func.split_part(sessions.c.credential, ":", 1)
    keys = select(literal("key:") + cast(api_keys.c.id, Text)).where(api_keys.c.tenant == sessions.c.tenant)
    secrets = select(secret_credential()).where(client_secrets.c.tenant == sessions.c.tenant)
    return (
        update(sessions)
        .where(sessions.c.id == session_id, kind.in_(("key", "secret")))
        .where(sessions.c.credential.not_in(keys), sessions.c.credential.not_in(secrets))
        .values(end_wanted=ERASED)
        .returning(sessions.c.id)
    )


def delete_voices(tenant: str, user: str) -> Delete:
    """Delete a bounded number of pieces of the recordings of the user's marked sessions that are over."""
    return recordings.delete_of(select(sessions.c.id).where(_theirs(tenant, user), _may_go()))


def delete_sessions(tenant: str, user: str) -> ReturningDelete[Any]:
    """Delete a bounded number of sessions that are marked and over and have no running call. Returns each `id`."""
    return delete_with_contents(select(sessions.c.id).where(_theirs(tenant, user), _may_go()))


def forget_user(tenant: str, user: str) -> tuple[Returning, ...]:
    """Delete the user's keys, secrets, sign-outs, and name in the usage and the audit log. Each statement returns one
    row per changed row.
    """
    keys = select(api_keys.c.id).where(api_keys.c.tenant == tenant, api_keys.c.user_id == user)
    minted = [
        client_secrets.c.minted_by.in_((f"token:{user}", person(user))),
        client_secrets.c.key_id.in_(keys.scalar_subquery()),
    ]
    of_keys = or_(client_secrets.c.user_id == user, *minted)
    return (
        delete(client_secrets).where(client_secrets.c.tenant == tenant, of_keys).returning(client_secrets.c.id),
        delete(api_keys).where(api_keys.c.tenant == tenant, api_keys.c.user_id == user).returning(api_keys.c.id),
        delete(signed_out)
        .where(signed_out.c.tenant == tenant, signed_out.c.user_id == user)
        .returning(signed_out.c.user_id),
        _drop_name(tenant, user),
        audit.drop_name(tenant, user),
    )


def count_left(tenant: str, user: str) -> Select[Any]:
    """Count the user's remaining sessions: `number`."""
    return select(func.count().label("number")).select_from(sessions).where(_theirs(tenant, user))


def count_marked(tenant: str, user: str) -> Select[Any]:
    """Count the user's remaining sessions that are marked: `number`."""
    return count_left(tenant, user).where(sessions.c.end_wanted == ERASED)


def next_user() -> Select[Any]:
    """Return one user who has a session that is marked and over: `tenant`, `user_id`."""
    return select(sessions.c.tenant, sessions.c.user_id).where(_may_go()).limit(1)


def _drop_name(tenant: str, user: str) -> ReturningInsert[Any]:
    sums = ("responses", "input_tokens", "output_tokens", "micros")
    gone = (
        delete(usage_days)
        .where(usage_days.c.tenant == tenant, usage_days.c.user_id == user)
        .returning(*usage_days.c)
        .cte("gone")
    )
    kept = [column for column in usage_days.c if column.name != "user_id"]
    new = insert(usage_days).from_select(
        ["user_id", *(column.name for column in kept)],
        select(literal(ERASED_USER), *(gone.c[column.name] for column in kept)),
    )
    return new.on_conflict_do_update(
        index_elements=["tenant", "user_id", "day", "agent", "model"],
        set_={name: usage_days.c[name] + new.excluded[name] for name in sums},
    ).returning(usage_days.c.day)


def _theirs(tenant: str, user: str) -> ColumnElement[bool]:
    return and_(sessions.c.tenant == tenant, sessions.c.user_id == user)


def _may_go() -> ColumnElement[bool]:
    # A worker reads the rows to learn which calls to stop. If they were deleted, it would go on.
    runs = exists(select(jobs.c.id).where(jobs.c.session_id == sessions.c.id, is_now(jobs.c.state, JobState.RUNNING)))
    # A call is hung up first, by a gateway that finds it in its row.
    is_over = or_(sessions.c.state == "ended", and_(sessions.c.state == "detached", sessions.c.call_id.is_(None)))
    return and_(sessions.c.end_wanted == ERASED, is_over, ~runs)
