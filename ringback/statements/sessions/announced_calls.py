"""Announcements of phone calls: each is taken once, and by another gateway if the first dies before it is settled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Delete,
    Select,
    Text,
    Update,
    all_,
    delete,
    exists,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds
from ringback.statements.processes import is_alive, is_steady
from ringback.tables import sessions
from ringback.tables import webhook_receipts as receipts

RINGS_SECONDS = 60.0
"""How long a call may wait for an answer; then its caller has hung up."""
KEPT_SECONDS = 86_400.0
"""An announcement that comes again is known for so long; one older than five minutes is refused anyway."""
TAKE_AT_ONCE = 16
OF_NO_GATEWAY = ""
ATTACHED = "attached"
"""What became of an announcement whose call has a session."""


@statement
def receive(
    webhook_id: str, gateway_id: str, *, call_id: str, caller: str, called: str, headers: dict[str, str]
) -> ReturningInsert[Any]:
    """Record an announcement for this gateway to settle. 0 rows: it came before."""
    row = {"id": webhook_id, "gateway_id": gateway_id, "call_id": call_id, "caller": caller, "called": called}
    new = insert(receipts).values(**row, headers=headers)
    return new.on_conflict_do_nothing(index_elements=[receipts.c.id]).returning(receipts.c.id)


@statement
def settle(webhook_id: str, gateway_id: str, settled: str) -> Update:
    """Note what became of an announcement. 0 rows: another gateway has it, or it is settled."""
    mine = (receipts.c.id == webhook_id) & (receipts.c.gateway_id == gateway_id) & receipts.c.settled.is_(None)
    return update(receipts).where(mine).values(settled=settled)


@statement
def hold(webhook_id: str, gateway_id: str, session_id: UUID, call_id: str) -> Select[Any]:
    """Hold an announcement until the transaction ends: first of the three by which a session gets its call.

    0 rows: another gateway has it, or it is settled, but for this very session: so the three may be run again.
    """
    attached = exists(select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.call_id == call_id))
    mine = (receipts.c.id == webhook_id) & (receipts.c.gateway_id == gateway_id)
    return select(receipts.c.id).where(mine, receipts.c.settled.is_(None) | attached).with_for_update()


@statement
def settle_attached(webhook_id: str, session_id: UUID, call_id: str) -> ReturningUpdate[Any]:
    """Note that the session has the call, if it has: the last of the three, after `hold` and `calls.attach`."""
    attached = exists(select(sessions.c.id).where(sessions.c.id == session_id, sessions.c.call_id == call_id))
    settled = update(receipts).where(receipts.c.id == webhook_id, attached).values(settled=ATTACHED)
    return settled.returning(receipts.c.id)


@statement
def release(webhook_id: str, gateway_id: str) -> Update:
    """Leave an announcement to any gateway with room: from now on it is no gateway's."""
    mine = (receipts.c.id == webhook_id) & (receipts.c.gateway_id == gateway_id) & receipts.c.settled.is_(None)
    return update(receipts).where(mine).values(gateway_id=OF_NO_GATEWAY)


def lost(gateway_id: str) -> Select[Any]:
    """Select the announcements that no gateway settles, while their callers may still wait.

    Those of this gateway are among them: it alone knows which of these it settles right now.
    """
    is_mine = receipts.c.gateway_id == gateway_id
    return select(receipts.c.id).where(
        receipts.c.settled.is_(None),
        receipts.c.received_at > now() - seconds(RINGS_SECONDS),
        is_mine | ~is_alive(receipts.c.gateway_id),
        is_steady(gateway_id),
    )


def take_lost(gateway_id: str, under_way: Iterable[str]) -> Bound:
    """Take those that are `lost` and not `under_way`: their gateways are gone, or Postgres was away."""
    return _take_lost(gateway_id, list(under_way))


@statement
def _take_lost(gateway_id: str, under_way: list[str]) -> ReturningUpdate[Any]:
    is_dropped = receipts.c.id != all_(type_coerce(under_way, ARRAY(Text)))
    found = (
        lost(gateway_id)
        .where((receipts.c.gateway_id != gateway_id) | is_dropped)
        .order_by(receipts.c.received_at)
        .limit(TAKE_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    taken = update(receipts).where(receipts.c.id == found.c.id).values(gateway_id=gateway_id)
    columns = (receipts.c.id, receipts.c.call_id, receipts.c.caller, receipts.c.called, receipts.c.headers)
    return taken.returning(*columns)


@statement
def forget() -> Delete:
    """Delete announcements that no sender repeats any more."""
    return delete(receipts).where(receipts.c.received_at < now() - seconds(KEPT_SECONDS))
