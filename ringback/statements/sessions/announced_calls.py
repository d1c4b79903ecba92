"""Announcements of phone calls: each is taken once, and by another gateway if the first dies before it is settled."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Delete, Update, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.postgres.statement import statement
from ringback.statements.clock import now, seconds
from ringback.statements.processes import is_alive, is_steady
from ringback.tables import webhook_receipts as receipts

RINGS_SECONDS = 60.0
"""How long a call may wait for an answer; then its caller has hung up."""
KEPT_SECONDS = 86_400.0
"""An announcement that comes again is known for so long; one older than five minutes is refused anyway."""
TAKE_AT_ONCE = 16


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
def take_lost(gateway_id: str) -> ReturningUpdate[Any]:
    """Take the announcements of gateways that are gone, while their callers may still wait."""
    lost = (
        select(receipts.c.id)
        .where(receipts.c.settled.is_(None), receipts.c.received_at > now() - seconds(RINGS_SECONDS))
        .where(receipts.c.gateway_id != gateway_id, ~is_alive(receipts.c.gateway_id), is_steady(gateway_id))
        .order_by(receipts.c.received_at)
        .limit(TAKE_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("lost")
    )
    taken = update(receipts).where(receipts.c.id == lost.c.id).values(gateway_id=gateway_id)
    columns = (receipts.c.id, receipts.c.call_id, receipts.c.caller, receipts.c.called, receipts.c.headers)
    return taken.returning(*columns)


@statement
def forget() -> Delete:
    """Delete announcements that no sender repeats any more."""
    return delete(receipts).where(receipts.c.received_at < now() - seconds(KEPT_SECONDS))
