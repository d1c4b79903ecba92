"""Calls without a conversation: recorded and published by the statements that a gateway would use, and looked up."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import func, select, text, update

from benchmarks.outages.crew import PATIENCE
from ringback.config.settings import postgres_url
from ringback.jobs.states import LIVE
from ringback.redis.broker import TASK, make_app
from ringback.statements import processes
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import admission
from ringback.statements.sessions.lifecycle import open_session
from ringback.tables import job_events, jobs
from ringback.tables import processes as processes_table
from ringback.tools.decorator import Tool
from tests.servers import engine_of, execute

GATEWAY = "gateway-of-the-benchmark"
LOOK_SECONDS = 0.05
DAY = 86_400.0


class Desk:
    """One session of one gateway that does nothing else, and lives for as long as the benchmark."""

    def __init__(self, database: str, redis: str) -> None:
        self._engine = engine_of(postgres_url(database), isolation_level="AUTOCOMMIT")
        self._celery = make_app(redis)
        self._session = uuid4()
        self._run(processes.register(GATEWAY, "gateway", "here", os.getpid()))
        lives = update(processes_table).where(processes_table.c.id == GATEWAY).values(lease_until=now() + seconds(DAY))
        self._run(lives)
        self._run(open_session(self._session, user_id="bench", agent="demo", model="m", gateway_id=GATEWAY))

    def close(self) -> None:
        self._engine.dispose()
        self._celery.close()

    def now(self) -> datetime:
        """The database's clock."""
        at: datetime = self._rows(text("SELECT clock_timestamp()"))[0][0]
        return at

    def record(self, tool: Tool, count: int, **arguments: Any) -> list[UUID]:
        """So many calls, committed at once; nobody is told."""
        ids = [uuid4() for _ in range(count)]
        with self._engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
            for job_id in ids:
                job = admission.NewJob(
                    id=job_id,
                    session_id=self._session,
                    call_id=f"call_{job_id.hex[:24]}",
                    response_id=None,
                    name=tool.announcement.name,
                    arguments=arguments,
                    tool=tool.announcement,
                )
                execute(connection, admission.admit(job, GATEWAY, 1))
            connection.commit()
        return ids

    def publish(self, tool: Tool, ids: Collection[UUID]) -> None:
        """Hand them to their queue."""
        for job_id in ids:
            queue = tool.announcement.queue
            self._celery.send_task(TASK, args=[str(job_id)], queue=queue, ignore_result=True, retry=False)

    def ask(self, tool: Tool, count: int, **arguments: Any) -> list[UUID]:
        """Record and publish."""
        ids = self.record(tool, count, **arguments)
        self.publish(tool, ids)
        return ids

    def running_on(self, pid: int) -> list[UUID]:
        """What the worker of that pid runs for the first time."""
        worker = select(processes_table.c.id).where(processes_table.c.pid == pid, processes_table.c.ended_at.is_(None))
        mine = jobs.c.worker_id.in_(worker) & (jobs.c.state == "running") & (jobs.c.attempt == 1)
        return [row.id for row in self._rows(select(jobs.c.id).where(mine))]

    def claims(self, ids: Collection[UUID], attempt: int = 1) -> dict[UUID, datetime]:
        """When the n-th claim of each of them was, by the database's clock; those that have none are left out."""
        claimed = (job_events.c.state == "running") & (job_events.c.attempt == attempt)
        first = select(job_events.c.job_id, func.min(job_events.c.at).label("at")).group_by(job_events.c.job_id)
        rows = self._rows(first.where(claimed, job_events.c.job_id.in_(ids)))
        return {row.job_id: row.at for row in rows}

    def await_claims(self, ids: Collection[UUID], attempt: int = 1) -> dict[UUID, datetime]:
        """The same, once each of them has one; those that never get one are left out."""
        give_up = time.monotonic() + PATIENCE
        while len(found := self.claims(ids, attempt)) < len(ids) and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)
        return found

    def await_published_again(self, ids: Collection[UUID]) -> None:
        """A sweeper has been at each of them: their message is not the first."""
        swept = select(func.count()).where(jobs.c.id.in_(ids), jobs.c.publish_count > 0)
        give_up = time.monotonic() + PATIENCE
        while self._rows(swept)[0][0] < len(ids) and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)

    def await_over(self, ids: Collection[UUID]) -> None:
        """None of them is pending or running."""
        live = select(func.count()).where(jobs.c.id.in_(ids), jobs.c.state.in_(sorted(LIVE)))
        give_up = time.monotonic() + PATIENCE
        while self._rows(live)[0][0] and time.monotonic() < give_up:
            time.sleep(LOOK_SECONDS)

    def outcomes(self, ids: Collection[UUID]) -> list[int]:
        """How often each came to an outcome, as its history tells."""
        over = job_events.c.state.not_in(sorted(LIVE)) & job_events.c.delivery.in_(["ready", "history_only"])
        counted = select(job_events.c.job_id, func.count().label("times")).group_by(job_events.c.job_id)
        found = {row.job_id: row.times for row in self._rows(counted.where(over, job_events.c.job_id.in_(ids)))}
        return [found.get(job_id, 0) for job_id in ids]

    def ends(self, ids: Collection[UUID]) -> dict[str, int]:
        """How many of them are in which state."""
        counted = select(jobs.c.state, func.count().label("number")).where(jobs.c.id.in_(ids)).group_by(jobs.c.state)
        return {row.state: row.number for row in self._rows(counted)}

    def orders(self, names: Collection[str]) -> dict[str, UUID]:
        """The calls that conversations have asked for these orders."""
        order = jobs.c.arguments["order_id"].astext
        return {row.name: row.id for row in self._rows(select(order.label("name"), jobs.c.id).where(order.in_(names)))}

    def finished(self, ids: Collection[UUID]) -> dict[UUID, datetime]:
        """When each of them was over; those that are not are left out."""
        over = jobs.c.id.in_(ids) & jobs.c.finished_at.is_not(None)
        return {row.id: row.finished_at for row in self._rows(select(jobs.c.id, jobs.c.finished_at).where(over))}

    def _run(self, statement: Any) -> None:
        with self._engine.connect() as connection:
            execute(connection, statement)

    def _rows(self, statement: Any) -> list[Any]:
        """Once more, where a connection had gone stale."""
        try:
            with self._engine.connect() as connection:
                return list(execute(connection, statement).all())
        except psycopg.Error:
            with self._engine.connect() as connection:
                return list(execute(connection, statement).all())


@contextmanager
def open_desk(database: str, redis: str) -> Iterator[Desk]:
    desk = Desk(database, redis)
    try:
        yield desk
    finally:
        desk.close()
