"""Processes and their leases: one row each, renewed once a second. What a process holds depends on its lease."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Delete,
    Insert,
    Select,
    Text,
    Update,
    case,
    cast,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from ringback.jobs.states import Effect
from ringback.leases.lease import LEASE_SECONDS, RENEW_SECONDS
from ringback.postgres.statement import Bound, statement
from ringback.statements.clock import now, seconds
from ringback.statements.json_order import in_order, with_order
from ringback.tables import processes, worker_tools
from ringback.tools.behavior import Limits, ToolBehavior
from ringback.tools.spec import ToolSpec

STEADY_SECONDS = 2 * RENEW_SECONDS
"""How long a process must have held its lease without a gap before it may declare others lost: two renewals."""
SPARE_SECONDS = RENEW_SECONDS
"""What must be left of the lease of a process that declares others lost. If less is left, it has been silent for so
long that Postgres may have stood still. The others, who renewed up to RENEW_SECONDS earlier, then had no chance to.
"""
LOST_AT_ONCE = 100
"""Workers that one statement declares over."""
TURN_SECONDS = 0.4
"""How long the sweeping process has the turn: it ends before the next poll of a process that is alone."""
FORGET_AFTER_SECONDS = 3_600
"""How long a process that is gone stays in `GET /v1/workers`."""


def register(
    process_id: str,
    kind: str,
    host: str,
    pid: int,
    queues: Iterable[str] = (),
    slots: int = 0,
    *,
    lease_seconds: float = LEASE_SECONDS,
    doorbell_key: bytes | None = None,
) -> Bound:
    """Register a process: `kind` is "gateway" or "worker"; `slots` is how many calls it runs at once.

    `doorbell_key` is a gateway's: workers seal results with it that go along with a doorbell.

    Returns `steady_since`, as `renew` does. A process that is registered already, or was retired, begins anew: a
    gateway registers again if its row is gone, or if the reply was lost.
    """
    return _register(process_id, kind, host, pid, sorted(queues), slots, lease_seconds, doorbell_key)


@statement
def _register(
    process_id: str,
    kind: str,
    host: str,
    pid: int,
    queues: list[str],
    slots: int,
    lease_seconds: float,
    doorbell_key: bytes | None,
) -> ReturningInsert[Any]:
    registering = insert(processes).values(
        id=process_id,
        kind=kind,
        host=host,
        pid=pid,
        queues=queues,
        slots=slots,
        lease_until=now() + seconds(lease_seconds),
        doorbell_key=doorbell_key,
    )
    given = registering.excluded
    anew = {
        "lease_until": given.lease_until,
        "steady_since": now(),
        "ended_at": None,
        "doorbell_key": given.doorbell_key,
    }
    return registering.on_conflict_do_update(index_elements=["id"], set_=anew).returning(_steady_since())


@statement
def renew(process_id: str, lease_seconds: float = LEASE_SECONDS) -> ReturningUpdate[Any]:
    """Renew the lease. 0 rows: the process was retired and must stop. A changed `steady_since` tells of a gap.

    An expired lease may be renewed: while Postgres is away no process can renew or take over. The token or the epoch
    guards what was taken from a slow process.
    """
    return (
        update(processes)
        .where(processes.c.id == process_id, processes.c.ended_at.is_(None))
        .values(
            lease_until=now() + seconds(lease_seconds),
            steady_since=case((~_has_to_spare(), now()), else_=processes.c.steady_since),
        )
        .returning(_steady_since())
    )


@statement
def doorbell_key(gateway_id: str) -> Select[Any]:
    """Return the key with which results are sealed for this gateway; None: it has none."""
    return select(processes.c.doorbell_key).where(processes.c.id == gateway_id)


def sweep_turn(process_id: str) -> CTE:
    """Take the turn to sweep for all processes, if it is free: one row if this process has it now.

    The turn is free if no process has taken it for TURN_SECONDS. If two processes ask at once, both may get it, which
    does no harm. A time in the future is from a database whose clock was set back, and does not count.
    """
    taken = processes.alias("taken")
    since = select(taken.c.id).where(taken.c.swept_at.between(now() - seconds(TURN_SECONDS), now()))
    return (
        update(processes)
        .where(processes.c.id == process_id, ~exists(since))
        .values(swept_at=now())
        .returning(processes.c.id)
        .cte("ours")
    )


@statement
def retire(process_id: str) -> Update:
    """Retire a process that stops in order: other processes may take what it still holds at once."""
    return (
        update(processes)
        .where(processes.c.id == process_id, processes.c.ended_at.is_(None))
        .values(lease_until=now(), ended_at=now())
    )


@statement
def forget_old() -> Delete:
    """Delete rows of processes that are long gone. Their jobs keep the name in `worker_id`."""
    return delete(processes).where(processes.c.lease_until < now() - seconds(FORGET_AFTER_SECONDS))


def announce(worker_id: str, tools: Iterable[ToolSpec]) -> list[Bound]:
    """Announce the tools that a worker serves. It does so once, when it starts."""
    return [
        _announce(
            worker_id=worker_id,
            name=tool.name,
            description=tool.description,
            parameters=tool.parameters,
            queue=tool.queue,
            timeout=tool.timeout,
            retries=tool.retries,
            effect=tool.effect,
            behavior=tool.behavior.as_data(),
            limits=tool.limits.as_data(),
            version=tool.version,
        )
        for tool in tools
    ]


@statement
def _announce(
    *,
    worker_id: str,
    name: str,
    description: str,
    parameters: dict[str, Any],
    queue: str,
    timeout: float,
    retries: int,
    effect: str,
    behavior: dict[str, Any],
    limits: dict[str, Any],
    version: str,
) -> Insert:
    return insert(worker_tools).values(
        worker_id=worker_id,
        name=name,
        description=description,
        **with_order(worker_tools.c.parameters, parameters),
        queue=queue,
        timeout=timeout,
        retries=retries,
        effect=effect,
        manners=behavior,
        limits=limits,
        version=version,
    )


def is_alive(process_id: str | ColumnElement[str]) -> ColumnElement[bool]:
    """Return true if the process of that id holds its lease."""
    return exists(select(processes.c.id).where(processes.c.id == process_id, holds_its_lease()))


def is_steady(process_id: str) -> ColumnElement[bool]:
    """Return true if this process has held its lease for so long that every other had the time to renew.

    After an outage of Postgres all leases have run out, though no process is lost; after a shorter one some have. The
    statement tests this, not the process: a statement may have been under way while Postgres stood still.
    """
    return exists(
        select(processes.c.id).where(
            processes.c.id == process_id,
            holds_its_lease(),
            _has_to_spare(),
            processes.c.steady_since <= now() - seconds(STEADY_SECONDS),
        )
    )


@statement
def end_lost_workers(sweeper_id: str) -> ReturningUpdate[Any]:
    """Declare workers without a lease over, whether they know it or not. Returns each once, with its queues.

    A gateway is not declared over. It may hold conversations that no other has taken, and goes on when it can renew.
    """
    gone = (
        lost_workers(sweeper_id)
        .order_by(processes.c.id)
        .limit(LOST_AT_ONCE)
        .with_for_update(skip_locked=True)
        .cte("gone")
    )
    return (
        update(processes)
        .where(processes.c.id == gone.c.id)
        .values(ended_at=now())
        .returning(processes.c.id, processes.c.queues)
    )


def lost_workers(sweeper_id: str) -> Select[Any]:
    """Select the workers without a lease that no process has declared over yet."""
    return select(processes.c.id).where(
        processes.c.kind == "worker",
        processes.c.ended_at.is_(None),
        processes.c.lease_until <= now(),
        is_steady(sweeper_id),
    )


_SCHEMA = (worker_tools.c.parameters, worker_tools.c.parameters_in_order)


@statement
def live_tools() -> Select[Any]:
    """Return each tool that a live worker serves; of two declarations, that of the worker which started last."""
    return (
        select(*(each for each in worker_tools.c if each not in _SCHEMA), in_order(worker_tools.c.parameters))
        .join(processes, processes.c.id == worker_tools.c.worker_id)
        .where(holds_its_lease())
        .ext(distinct_on(worker_tools.c.name))
        .order_by(worker_tools.c.name, processes.c.started_at.desc(), processes.c.id)
    )


def spec_from_row(row: Any) -> ToolSpec:
    """Convert a row of `worker_tools` to a declaration."""
    return ToolSpec(
        name=row.name,
        description=row.description,
        parameters=row.parameters,
        queue=row.queue,
        timeout=row.timeout,
        retries=row.retries,
        effect=Effect(row.effect),
        behavior=ToolBehavior.from_data(row.manners),
        limits=Limits.from_data(row.limits),
    )


def holds_its_lease() -> ColumnElement[bool]:
    """Return true for a row of a process that lives."""
    return processes.c.ended_at.is_(None) & (processes.c.lease_until > now())


def _steady_since() -> ColumnElement[str]:
    """Return the moment as text that depends on no setting of the connection: it is only compared."""
    return cast(func.extract("epoch", processes.c.steady_since), Text).label("steady_since")


def _has_to_spare() -> ColumnElement[bool]:
    return processes.c.lease_until > now() + seconds(SPARE_SECONDS)
