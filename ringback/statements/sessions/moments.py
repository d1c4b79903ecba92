"""Moments of a session, for its timeline (`ringback.moments`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from msgspec import structs
from sqlalchemy import BigInteger, Float, Select, Text, Uuid, column, func, select, type_coerce
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.sql.dml import ReturningInsert

from ringback.moments import Moment
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import seconds, statement_time
from ringback.statements.sessions.lifecycle import held
from ringback.tables import moments


def save(session_id: UUID, gateway_id: str, epoch: int, numbered: Iterable[tuple[int, Moment]], clock: float) -> Bound:
    """Insert these moments under their numbers. Returns `session_id`, `epoch` and `number` of those in the table then.

    0 rows: the session is no longer this gateway's in this epoch.

    Args:
        clock: the present time by the session's own clock, by which `Moment.at` is told.
    """
    told = [
        {**structs.asdict(moment), "session_id": str(session_id), "number": number, "ago": clock - moment.at}
        for number, moment in numbered
    ]
    return _save(gateway_id, [session_id], [epoch], told)


@statement
def _save(
    gateway_id: str, session_ids: list[UUID], epochs: list[int], told: list[dict[str, Any]]
) -> ReturningInsert[Any]:
    mine = held(gateway_id, session_ids, epochs)
    numbers = [column("epoch", BigInteger), column("number", BigInteger), column("ago", Float), column("ms", Float)]
    names = [column("session_id", Uuid), column("kind", Text), column("response_id", Text), column("detail", Text)]
    happened = func.jsonb_to_recordset(type_coerce(told, JSONB)).table_valued(*numbers, *names)
    happened = happened.render_derived("happened", with_types=True)
    values = {
        "session_id": mine.c.id,
        "tenant": mine.c.tenant,
        "at": statement_time() - seconds(happened.c.ago),
        **{name: happened.c[name] for name in ("epoch", "number", "kind", "response_id", "ms", "detail")},
    }
    source = select(*values.values()).join_from(mine, happened, mine.c.id == happened.c.session_id)
    writing = insert(moments).from_select(list(values), source)
    kept = writing.on_conflict_do_update(  # it was written, and the answer was lost
        index_elements=["session_id", "epoch", "number"], set_={"kind": writing.excluded.kind}
    )
    return kept.returning(moments.c.session_id, moments.c.epoch, moments.c.number)


@statement
def count(session_id: UUID) -> Select[Any]:
    """Count the moments of a session that are kept already: `number`."""
    return select(func.count().label("number")).select_from(moments).where(moments.c.session_id == session_id)
