"""Quota of sessions of a tenant and its users, over all gateways."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, Select, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from ringback.tables import sessions


class Limits(NamedTuple):
    """Most sessions at once; None: any number."""

    of_tenant: int | None
    of_user: int | None

    def full(self, taken: Any) -> frozenset[str]:
        """Return the names of the limits that `count_sessions` has reached."""
        return frozenset(name for name, limit in self.set() if getattr(taken, name) >= limit)

    def set(self) -> list[tuple[str, int]]:
        """Return the limits that are set: name and limit."""
        return [(name, limit) for name, limit in self._asdict().items() if limit is not None]


def count_sessions(tenant: str, user_id: str, limits: Limits, *, but: UUID | None = None) -> Select[Any]:
    """Count the sessions, in one row: `of_tenant` and `of_user`, each if it is limited.

    Sessions that a client may resume count. `but` is a session that does not.
    """
    mine = sessions.c.user_id == user_id
    counts: dict[str, ColumnElement[Any]] = {"of_tenant": func.count(), "of_user": func.count().filter(mine)}
    live = [sessions.c.tenant == tenant, sessions.c.state != "ended"]
    if limits.of_tenant is None:
        live.append(mine)
    if but is not None:
        live.append(sessions.c.id != but)
    found: Select[Any] = select(*(counts[name].label(name) for name, _ in limits.set()))
    return found.select_from(sessions).where(*live)


def lock_quota(tenant: str, user_id: str, limits: Limits) -> Select[Any]:
    """Lock the quota until the transaction ends: another process that opens a session there waits.

    It must be a statement of its own: the next one sees what was committed before it got the lock.
    """
    whose = {"of_tenant": (tenant,), "of_user": (tenant, user_id)}
    keys = [f"ringback places {name} {whose[name]!r}" for name, _ in limits.set()]
    return select(*(func.pg_advisory_xact_lock(func.hashtextextended(key, 0)) for key in keys))


def open_within(opening: Insert, limits: Limits) -> Select[Any]:
    """Open that session unless the quota is used up. Run it after `lock_quota`, in the same transaction.

    Returns one row: `is_open`, and how many others there are, as `count_sessions` has it.

    Args:
        opening: of `lifecycle.open_session`.
    """
    values = opening.compile().params
    others = count_sessions(values["tenant"], values["user_id"], limits, but=values["id"]).cte("others")
    fits = [others.c[name] < limit for name, limit in limits.set()]
    row = select(*(literal(value, sessions.c[name].type) for name, value in values.items())).where(*fits)
    opened = insert(sessions).from_select(list(values), row).on_conflict_do_nothing().returning(sessions.c.id)
    written = opened.cte("opened")
    # If the gateway runs it again because the reply was lost, it finds the row it wrote.
    was_open = exists().where(sessions.c.id == values["id"])
    return select(others, (exists(select(written.c.id)) | was_open).label("is_open"))
