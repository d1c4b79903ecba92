"""Audit log of operators' acts. The statement that acts writes its row too: no act is without one.

An act that changed no row is not recorded. A row is kept for `KEPT_DAYS`, whatever else is deleted before. If a user is
erased, the rows of their acts stay, without the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, Delete, Insert, Select, String, case, delete, exists, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.dml import ReturningUpdate

from ringback.history.operators import ActName, AuditQuery
from ringback.postgres.statement import statement
from ringback.statements.clock import seconds, statement_time
from ringback.statements.history import moment
from ringback.tables import audit

KEPT_DAYS = 400
"""A year, and a month to look at it. The trigger `audit_refuse_changes` has the same number."""
DELETED_AT_ONCE = 1_000
ERASED = ""
"""In the place of an erased user's name and credential."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who acts.

    Args:
        tenant: whose rows the act may change.
        subject: the user of the credential.
        credential: as in `sessions.credential`, or `cli:<user>@<host>`; never its value.
        reason: why, in the operator's words; None: not said.
    """

    tenant: str
    subject: str
    credential: str
    reason: str | None = None


def recorded(
    changed: CTE, who: Operator, act: ActName, target: str = "", filters: dict[str, Any] | None = None
) -> Select[Any]:
    """Return the statement that runs `changed`, records it as this act, and returns its rows.

    Args:
        changed: a statement that changes rows and returns them, as a CTE.
        target: the id or the name that was acted on; empty if a filter chose the rows.
        filters: that filter, as JSON data.
    """
    number = select(func.count()).select_from(changed).scalar_subquery()
    row = select(
        literal(who.tenant),
        literal(who.subject),
        literal(who.credential),
        literal(act.value),
        literal(target),
        literal(filters, JSONB(none_as_null=True)),
        number,
        literal(who.reason, String),
    ).where(exists(select(literal(1)).select_from(changed)))
    names = ["tenant", "subject", "credential", "act", "target", "filter", "rows", "reason"]
    return select(changed).add_cte(insert(audit).from_select(names, row).cte("recorded"))


@statement
def note(tenant: str, subject: str, credential: str, act: str, target: str, reason: str) -> Insert:
    """Record an act that changes no row: one of the gateway itself."""
    return insert(audit).values(
        tenant=tenant, subject=subject, credential=credential, act=act, target=target, rows=0, reason=reason
    )


def page_of_acts(tenant: str, query: AuditQuery) -> Select[Any]:
    """Select acts, newest first: one more than the page holds, which tells whether there is a next."""
    wanted = [audit.c.tenant == tenant]
    if query.act is not None:
        wanted.append(audit.c.act == query.act)
    if query.since is not None:
        wanted.append(audit.c.at >= moment(query.since))
    if query.after is not None:
        wanted.append(audit.c.id < query.after)
    return select(audit).where(*wanted).order_by(audit.c.id.desc()).limit(query.limit + 1)


@statement
def delete_old() -> Delete:
    """Delete acts that were kept for long enough."""
    limit = statement_time() - seconds((KEPT_DAYS + 1) * 86_400)
    old = select(audit.c.id).where(audit.c.at < limit).order_by(audit.c.at).limit(DELETED_AT_ONCE)
    return delete(audit).where(audit.c.id.in_(old.scalar_subquery()))


def drop_name(tenant: str, user: str) -> ReturningUpdate[Any]:
    """Erase a user from the log: what they did stays, and who did it goes. Returns the `id` of each changed row."""
    is_subject, is_target = audit.c.subject == user, audit.c.target == user
    return (
        update(audit)
        .where(audit.c.tenant == tenant, is_subject | is_target)
        .values(
            subject=case((is_subject, ERASED), else_=audit.c.subject),
            credential=case((is_subject, ERASED), else_=audit.c.credential),
            target=case((is_target, ERASED), else_=audit.c.target),
        )
        .returning(audit.c.id)
    )
