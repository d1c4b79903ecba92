"""How many sessions a tenant and its users have at once, over all gateways; and one more, where there is room."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Insert, Select, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from ringback.tables import sessions


class Limits(NamedTuple):
    """How many there may be; None: any number."""

    of_tenant: int | None
    of_user: int | None

    def full(self, taken: Any) -> frozenset[str]:
        """Those of its names of which a row of `taken` says that there is no place left."""
        return frozenset(name for name, limit in self.set() if getattr(taken, name) >= limit)

    def set(self) -> list[tuple[str, int]]:
        """Those that are limited: name and limit."""
        return [(name, limit) for name, limit in self._asdict().items() if limit is not None]


def taken(tenant: str, user_id: str, limits: Limits, *, but: UUID | None = None) -> Select[Any]:
    """One row: how many sessions there are, `of_tenant` and `of_user`, each where it is limited.

    Those that may be resumed are among them. `but` is a session that does not count.
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


def lock(tenant: str, user_id: str, limits: Limits) -> Select[Any]:
    """Whoever else is about to open a session there waits until this transaction has ended.

    It must be a statement of its own: what comes after it sees what was committed before it got the lock.
    """
    whose = {"of_tenant": (tenant,), "of_user": (tenant, user_id)}
    keys = [f"ringback places {name} {whose[name]!r}" for name, _ in limits.set()]
    return select(*(func.pg_advisory_xact_lock(func.hashtextextended(key, 0)) for key in keys))


def open_within(opening: Insert, limits: Limits) -> Select[Any]:
    """Open that session, unless there are as many already; run after `lock`, in the same transaction.

    Returns one row: `is_open`, and how many others there are, as `taken` has it.

    Args:
        opening: of `sessions.open_session`.
    """
    values = opening.compile().params
    others = taken(values["tenant"], values["user_id"], limits, but=values["id"]).cte("others")
    fits = [others.c[name] < limit for name, limit in limits.set()]
    row = select(*(literal(value, sessions.c[name].type) for name, value in values.items())).where(*fits)
    opened = insert(sessions).from_select(list(values), row).on_conflict_do_nothing().returning(sessions.c.id)
    written = opened.cte("opened")
    # Run once more, because nobody heard what came of it, it finds its own row.
    was_open = exists().where(sessions.c.id == values["id"])
    return select(others, (exists(select(written.c.id)) | was_open).label("is_open"))
