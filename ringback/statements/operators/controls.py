"""Controls of queues and tools, as operators set them. Those of the tenant `default` may: workers serve all tenants.

A paused call waits in its row, with no message, until its deadline. The change of the control's row makes it due again
(trigger `controls_wake_calls`).
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, Select, column, exists, false, func, literal, select, true
from sqlalchemy.dialects.postgresql import insert

from ringback.history.operators import ActName
from ringback.statements.clock import now
from ringback.statements.jobs.controls import holds
from ringback.statements.operators.audit import Operator, recorded
from ringback.tables import DEFAULT_TENANT, controls, processes, worker_tools

Kind = Literal["queue", "tool"]


def pause(who: Operator, kind: Kind, name: str) -> Select[Any]:
    """Pause a queue or a tool: from the commit on, no call of it begins. Returns the control."""
    act = ActName.PAUSE_QUEUE if kind == "queue" else ActName.PAUSE_TOOL
    return _set(who, act, kind, name, {"paused": true()})


def resume(who: Operator, kind: Kind, name: str) -> Select[Any]:
    """Let a paused queue or tool go on; its limit stays. The calls that waited are due at once."""
    act = ActName.RESUME_QUEUE if kind == "queue" else ActName.RESUME_TOOL
    return _set(who, act, kind, name, {"paused": false()})


def limit(who: Operator, kind: Kind, name: str, concurrency: int | None) -> Select[Any]:
    """Limit how many calls run at once, on top of the tools' own limits; None removes the limit."""
    act = ActName.LIMIT_QUEUE if kind == "queue" else ActName.LIMIT_TOOL
    return _set(who, act, kind, name, {"concurrency": literal(concurrency, Integer)})


def is_known(kind: Kind, name: str) -> Select[Any]:
    """Return one row if a process of the last hour consumes the queue, or serves the tool, or it is controlled."""
    if kind == "queue":
        consumed = func.jsonb_array_elements_text(processes.c.queues).table_valued(column("name")).render_derived()
        served = exists(select(literal(1)).select_from(processes.join(consumed, true())).where(consumed.c.name == name))
    else:
        served = exists(select(literal(1)).where(worker_tools.c.name == name))
    return select(literal(1).label("known")).where(served | exists(select(literal(1)).where(*_of(kind, name))))


def all_controls() -> Select[Any]:
    """Return every control that holds: `kind`, `name`, `paused`, `concurrency`."""
    return select(controls.c.kind, controls.c.name, controls.c.paused, controls.c.concurrency).where(holds())


def _set(who: Operator, act: ActName, kind: Kind, name: str, values: dict[str, Any]) -> Select[Any]:
    given = {**values, "changed_at": now()}
    new = insert(controls).values(tenant=DEFAULT_TENANT, kind=kind, name=name, **given)
    changed = new.on_conflict_do_update(index_elements=["tenant", "kind", "name"], set_=given)
    return recorded(changed.returning(*controls.c).cte("changed"), who, act, name)


def _of(kind: Kind, name: str) -> tuple[ColumnElement[bool], ...]:
    return controls.c.tenant == DEFAULT_TENANT, controls.c.kind == kind, controls.c.name == name
