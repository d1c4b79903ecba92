"""The real rows, read as the model writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, text

from ringback.postgres.statement import Runnable, bound
from ringback.tables import items, jobs, processes, sessions
from tests.integration.model.clock import milliseconds, set_clock
from tests.integration.model.expected import Job, Process, Session
from tests.servers import execute

JOB_COLUMNS = (
    *("id", "session_id", "call_id", "effect", "max_attempts", "publish_after", "deadline_at", "position", "joined_to"),
    *("rerun_of", "approval", "state", "delivery", "delivered_epoch", "attempt", "rescues", "effect_started", "token"),
    *("worker_id", "cancel_requested", "cancel_reason", "publish_count", "not_before", "error", "answer_id"),
    "answer_began_at",
)
SESSION_COLUMNS = ("id", "gateway_id", "resume_hash", "resume_seconds", "epoch", "state", "resume_until")
PROCESSES = bound(select(processes))
SESSIONS = bound(select(*(sessions.c[name] for name in SESSION_COLUMNS)))
JOBS = bound(select(*(jobs.c[name] for name in JOB_COLUMNS)))
SAID = bound(select(items.c.session_id, items.c.position, items.c.item_id).order_by(items.c.position))
"""Compiled once, like those above: each step of a story reads them, and compiling takes longer than reading."""


class RealRows:
    """One connection. Each `run` is one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def clear(self) -> None:
        for table in ("jobs", "items", "sessions", "processes"):  # A TRUNCATE takes twenty times as long.
            self.connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608
        set_clock(self.connection, 0)

    def at(self, now: int) -> None:
        set_clock(self.connection, now)

    def run(self, *statements: Runnable) -> list[Sequence[Row[Any]]]:
        """The rows of each; committed together."""
        if len(statements) == 1:
            return [self._rows(statements[0])]
        self.connection.exec_driver_sql("BEGIN")
        found = [self._rows(statement) for statement in statements]
        self.connection.exec_driver_sql("COMMIT")
        return found

    def ids(self, statement: Runnable) -> set[Any]:
        return {row.id for row in self.run(statement)[0]}

    def count(self, statement: Runnable) -> int:
        return len(self.run(statement)[0])

    def undone(self, statement: Runnable) -> None:
        """Run, and lost before its commit."""
        self.connection.exec_driver_sql("BEGIN")
        self._rows(statement)
        self.connection.exec_driver_sql("ROLLBACK")

    def processes(self) -> dict[str, Process]:
        return {
            row.id: Process(row.kind, _sure(row.lease_until), _sure(row.steady_since), row.ended_at is not None)
            for row in self.run(PROCESSES)[0]
        }

    def sessions(self) -> dict[UUID, Session]:
        return {
            row.id: Session(
                gateway=row.gateway_id,
                resume_hash=None if row.resume_hash is None else bytes(row.resume_hash),
                resume_ms=None if row.resume_seconds is None else int(row.resume_seconds * 1000),
                epoch=row.epoch,
                state=row.state,
                # Of one that is over it says nothing any more.
                resume_until=milliseconds(row.resume_until) if row.state == "detached" else None,
            )
            for row in self.run(SESSIONS)[0]
        }

    def jobs(self) -> dict[UUID, Job]:
        return {row.id: _job(row) for row in self.run(JOBS)[0]}

    def said(self) -> dict[UUID, list[tuple[int, str]]]:
        found: dict[UUID, list[tuple[int, str]]] = {}
        for row in self.run(SAID)[0]:
            found.setdefault(row.session_id, []).append((row.position, row.item_id))
        return found

    def _rows(self, statement: Runnable) -> Sequence[Row[Any]]:
        result = execute(self.connection, statement)
        return result.all() if result.returns_rows else [()] * result.rowcount  # type: ignore[list-item]


def _job(row: Any) -> Job:
    return Job(
        session=row.session_id,
        call_id=row.call_id,
        effect=row.effect,
        max_attempts=row.max_attempts,
        publish_after=milliseconds(row.publish_after),
        deadline=_sure(row.deadline_at),
        position=row.position,
        joined_to=row.joined_to,
        rerun_of=row.rerun_of,
        approval=row.approval,
        state=row.state,
        delivery=row.delivery,
        delivered_epoch=row.delivered_epoch,
        attempt=row.attempt,
        rescues=row.rescues,
        effect_started=row.effect_started,
        token=row.token,
        worker=row.worker_id,
        cancel=row.cancel_requested,
        cancel_reason=row.cancel_reason,
        publish_count=row.publish_count,
        not_before=milliseconds(row.not_before),
        error=row.error["code"] if row.error else None,
        answer=row.answer_id,
        answer_began=milliseconds(row.answer_began_at),
    )


def _sure(moment: Any) -> int:
    found = milliseconds(moment)
    assert found is not None
    return found
