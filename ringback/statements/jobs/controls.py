"""Controls of queues and tools, as a claim sees them: what an operator has paused or limited, for all workers.

A claim reads them in its own statement, so they cost no further one. A call that a control holds is claimed only by a
worker that has locked the control's row, and has counted the running calls after that (`gates`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Select, Text, all_, exists, or_, select, true, type_coerce

from ringback.postgres.statement import statement
from ringback.tables import DEFAULT_TENANT, controls, jobs


def holds() -> ColumnElement[bool]:
    """Return true for a control that pauses or limits; a row without either stays from an earlier one."""
    return controls.c.paused | controls.c.concurrency.is_not(None)


@statement
def lock(queue: str, tool: str) -> Select[Any]:
    """Lock the controls of a queue and a tool until the transaction ends: `kind`, `paused`, `concurrency`."""
    return (
        select(controls.c.kind, controls.c.paused, controls.c.concurrency)
        .where(controls.c.tenant == DEFAULT_TENANT, _names(queue, tool), holds())
        .order_by(controls.c.kind, controls.c.name)
        .with_for_update()
    )


def is_controlled(locked: Any = None) -> ColumnElement[bool]:
    """Return true for a job whose queue or tool an operator has paused or limited.

    Args:
        locked: kinds that do not count, as the transaction has the lock of that control; None: each counts.
    """
    named = _names(jobs.c.queue, jobs.c.tool)
    others = true() if locked is None else controls.c.kind != all_(type_coerce(locked, ARRAY(Text)))
    found = select(controls.c.name).where(controls.c.tenant == DEFAULT_TENANT, named, holds(), others)
    return exists(found.correlate(jobs))


def _names(queue: Any, tool: Any) -> ColumnElement[bool]:
    return or_(
        (controls.c.kind == "queue") & (controls.c.name == queue),
        (controls.c.kind == "tool") & (controls.c.name == tool),
    )
