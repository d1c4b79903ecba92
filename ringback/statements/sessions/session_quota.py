"""Quota of sessions of a tenant and its users, over all gateways."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import CTE, BigInteger, ColumnElement, Select, exists, func, select, type_coerce
from sqlalchemy.dialects.postgresql import insert

from ringback.postgres.statement import Bound, Statement
from ringback.statements.identity import credentials
from ringback.statements.sessions import lifecycle
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

    def names(self) -> tuple[str, ...]:
        """Return the names of the limits that are set."""
        return tuple(name for name, _ in self.set())


def count_sessions(tenant: str, user_id: str, limits: Limits) -> Bound:
    """Count the sessions, in one row: `of_tenant` and `of_user`, each if it is limited.

    Sessions that a client may resume count.
    """
    return _counting(limits.names())(tenant, user_id)


def lock_quota(
    opening: Bound, limits: Limits, *, secret_id: UUID | None = None, visit: UUID | None = None, lazy: bool = False
) -> Bound:
    """Lock the quota until the transaction ends: another process that opens a session there waits.

    0 rows: it is used up already, or the secret cannot be spent. Nothing is locked then: sessions that find no place do
    not queue before those that do. It must be a statement of its own: the next one sees what was committed before it
    got the lock.

    Args:
        opening: of `lifecycle.open_session`.
        secret_id: the client secret that the session uses up, as `credentials.spend_secret` does; None: it uses none.
        visit: of that secret.
        lazy: the commit does not wait for the disk. The next one that does has the disk keep this one, too.
    """
    who = {name: opening.given[name] for name in ("session_id", "tenant", "user_id")}
    whose = {"of_tenant": (who["tenant"],), "of_user": (who["tenant"], who["user_id"])}
    keys = {f"key_{name}": f"ringback places {name} {whose[name]!r}" for name in limits.names()}
    spent = {} if secret_id is None else {"secret_id": secret_id, "visit": visit}
    return _locking(limits.names(), lazy, tuple(spent))(**who, **keys, **dict(limits.set()), **spent)


def open_within(opening: Bound, limits: Limits) -> Bound:
    """Open that session unless the quota is used up. Run it after `lock_quota`, in the same transaction.

    Returns one row: `is_open`, and how many others there are, as `count_sessions` has it.

    Args:
        opening: of `lifecycle.open_session`.
    """
    return _opening(limits.names(), tuple(opening.given))(**opening.given, **dict(limits.set()))


# Built once for each combination of limits that an operator sets: there are three.


@cache
def _counting(limited: tuple[str, ...]) -> Statement[[str, str]]:
    def count_sessions(tenant: str, user_id: str) -> Select[Any]:
        return _counted(limited, tenant, user_id)

    return Statement(count_sessions)


@cache
def _locking(limited: tuple[str, ...], lazy: bool, spent: tuple[str, ...]) -> Statement[...]:
    def lock_quota(**given: Any) -> Select[Any]:
        others, has_place = _others(limited, given)
        locks = {name: func.pg_advisory_xact_lock(func.hashtextextended(given[f"key_{name}"], 0)) for name in limited}
        columns = [lock.label(name) for name, lock in locks.items()]
        if lazy:
            columns.append(func.set_config("synchronous_commit", "off", True).label("lazy"))
        if not spent:
            return select(*columns).where(*has_place)
        spend = credentials.spend_secret.build(*(given[name] for name in spent))
        is_spent = spend.where(exists(select(others).where(*has_place))).cte("spent")
        return select(*columns).select_from(is_spent)

    keys = (f"key_{name}" for name in limited)
    return Statement(lock_quota, ("session_id", "tenant", "user_id", *keys, *limited, *spent))


@cache
def _opening(limited: tuple[str, ...], columns: tuple[str, ...]) -> Statement[...]:
    def open_within(**given: Any) -> Select[Any]:
        values = lifecycle.new_row(**{name: given[name] for name in columns})
        others, fits = _others(limited, given)
        row = select(*(type_coerce(value, sessions.c[name].type) for name, value in values.items())).where(*fits)
        opened = insert(sessions).from_select(list(values), row).on_conflict_do_nothing().returning(sessions.c.id)
        written = opened.cte("opened")
        # If the gateway runs it again because the reply was lost, it finds the row it wrote.
        was_open = exists().where(sessions.c.id == values["id"])
        return select(others, (exists(select(written.c.id)) | was_open).label("is_open"))

    return Statement(open_within, (*columns, *limited))


def _others(limited: tuple[str, ...], given: dict[str, Any]) -> tuple[CTE, list[ColumnElement[bool]]]:
    """Return the count of the sessions beside the one that is given, and that each is below its limit."""
    mine = sessions.c.id != given["session_id"]
    others = _counted(limited, given["tenant"], given["user_id"]).where(mine).cte("others")
    return others, [others.c[name] < type_coerce(given[name], BigInteger) for name in limited]


def _counted(limited: tuple[str, ...], tenant: str, user_id: str) -> Select[Any]:
    mine = sessions.c.user_id == user_id
    counts: dict[str, ColumnElement[Any]] = {"of_tenant": func.count(), "of_user": func.count().filter(mine)}
    live = [sessions.c.tenant == tenant, sessions.c.state != "ended"]
    if "of_tenant" not in limited:
        live.append(mine)
    found: Select[Any] = select(*(counts[name].label(name) for name in limited))
    return found.select_from(sessions).where(*live)
