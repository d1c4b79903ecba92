"""Rows of a small world, for tests that run one statement after another and count the rows that each one changed.

There are two gateways, `gw` and `gw2`, two workers, `w` and `w2`, and one session of `gw` in epoch 1. Every statement
is committed by itself, as the product does it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from msgspec import structs
from sqlalchemy import Connection, Row, select, text, update
from sqlalchemy.exc import IntegrityError

from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import Effect
from ringback.leases.lease import LEASE_SECONDS
from ringback.postgres.statement import Runnable
from ringback.statements import processes
from ringback.statements.jobs import admission, deliveries
from ringback.statements.jobs import transitions as statements
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import lifecycle
from ringback.tables import job_events, jobs
from ringback.tables import processes as processes_table
from ringback.tables import sessions as sessions_table
from ringback.tools.spec import ToolSpec
from tests.servers import engine_of, execute

WEATHER = ToolSpec("weather", "The weather.", {"type": "object"}, retries=1)
ORDER = replace(WEATHER, name="order", effect=Effect.AT_MOST_ONCE, retries=0)


class Rows:
    """Connection to that world."""

    def __init__(self, connection: Connection, session: UUID) -> None:
        self.connection = connection
        self.session = session

    def run(self, statement: Runnable) -> Sequence[Row[Any]]:
        """Run and commit a statement; return its rows."""
        rows = execute(self.connection, statement).all()
        self.connection.commit()
        return rows

    def count(self, statement: Runnable) -> int:
        """Run and commit a statement; return how many rows it changed."""
        result = execute(self.connection, statement)
        moved = len(result.all()) if result.returns_rows else result.rowcount
        self.connection.commit()
        return moved

    def another_session(self) -> UUID:
        """Open another session of the same user on the same gateway."""
        session = uuid4()
        self.count(lifecycle.open_session(session, user_id="ada", agent="demo", model="m", gateway_id="gw"))
        return session

    def job(self, job: UUID) -> Row[Any]:
        (row,) = self.run(select(jobs).where(jobs.c.id == job))
        return row

    def steps(self, job: UUID) -> list[str]:
        """Return each step that the job took, as `state/delivery`."""
        events = self.run(select(job_events).where(job_events.c.job_id == job).order_by(job_events.c.id))
        return [f"{event.state}/{event.delivery}" for event in events]

    def session_row(self) -> Row[Any]:
        (row,) = self.run(select(sessions_table).where(sessions_table.c.id == self.session))
        return row

    # — what has happened before a test begins —

    def asked(self, tool: ToolSpec | None = WEATHER, call_id: str | None = None, **columns: Any) -> UUID:
        """Insert a pending job of the session, with these columns."""
        job = new_job(self.session, tool, call_id)
        assert self.count(admission.admit(job, "gw", 1)) == 1
        if columns:
            self.set(job.id, **columns)
        return job.id

    def joining(self, first: UUID) -> UUID:
        """Insert a call that has joined that one."""
        job = new_job(self.session, joined_to=first)
        assert self.count(admission.admit(job, "gw", 1)) == 1
        return job.id

    def asking(self, tool: ToolSpec = ORDER, **columns: Any) -> UUID:
        """Insert a job that waits for approval."""
        job = new_job(self.session, tool, needs_approval=True)
        assert self.count(admission.admit(job, "gw", 1)) == 1
        if columns:
            self.set(job.id, **columns)
        return job.id

    def running(self, tool: ToolSpec | None = WEATHER, worker: str = "w", **columns: Any) -> tuple[UUID, UUID]:
        """Insert a job that a worker has claimed; return it and its token."""
        job = self.asked(tool)
        (row,) = self.run(statements.claim(job, worker))
        if columns:
            self.set(job, **columns)
        return job, row.token

    def answered(self, outcome: Outcome, tool: ToolSpec | None = WEATHER) -> UUID:
        """Insert a job whose result is ready."""
        job, token = self.running(tool)
        assert self.count(statements.finish(job, token, outcome)) == 1
        return job

    def deliver(self, epoch: int = 1, gateway: str = "gw", *, echoed: bool = False) -> list[UUID]:
        """Read what is ready, as for the conversation of this epoch, and record it; return the jobs."""
        held = self.session, gateway, epoch
        given = [row.id for row in self.run(deliveries.read_ready(*held))]
        assert self.count(deliveries.mark(*held, given, given if echoed else (), 1)) == len(given)
        return given

    def set(self, job: UUID, **columns: Any) -> None:
        assert self.count(update(jobs).where(jobs.c.id == job).values(**columns)) == 1

    def set_state(self, state: str, **columns: Any) -> None:
        """Set the session's state, and the columns that the table's CHECKs require with it."""
        beside: dict[str, dict[str, Any]] = {
            "ended": {"ended_at": seconds_from_now(0)},
            "detached": {"resume_until": seconds_from_now(60)},
        }
        self.set_session(state=state, **beside.get(state, {}), **columns)

    def set_session(self, **columns: Any) -> None:
        changed = update(sessions_table).where(sessions_table.c.id == self.session).values(**columns)
        assert self.count(changed) == 1

    def lose(self, process: str) -> None:
        """Let the lease of a process expire."""
        lease = {"lease_until": seconds_from_now(-1)}
        assert self.count(update(processes_table).where(processes_table.c.id == process).values(**lease)) == 1

    def move(self, job: UUID, **columns: Any) -> bool:
        """Return True if the database lets these columns be written, with no help of the statements."""
        try:
            self.set(job, **columns)
        except IntegrityError:
            self.connection.rollback()
            return False
        return True


def new_job(session: UUID, tool: ToolSpec | None = WEATHER, call_id: str | None = None, **fields: Any) -> NewJob:
    name = tool.name if tool else "nothing"
    made = NewJob(uuid4(), session, call_id or f"call_{uuid4().hex[:12]}", "resp_1", name, {"city": "Rome"}, tool)
    return structs.replace(made, **fields)


def seconds_from_now(seconds: float) -> Any:
    return text(f"clock_timestamp() + interval '{seconds} seconds'")


@contextmanager
def world(database: str) -> Iterator[Rows]:
    """Yield a connection to a database with that world in it."""
    with connected(database) as connection:
        rows = Rows(connection, uuid4())
        for process in ("gw", "gw2", "w", "w2"):
            kind = "gateway" if process.startswith("gw") else "worker"
            rows.count(processes.register(process, kind, "here", 1))
        hour = {"lease_until": seconds_from_now(3_600), "steady_since": seconds_from_now(-LEASE_SECONDS - 1)}
        rows.count(update(processes_table).values(**hour))
        rows.count(lifecycle.open_session(rows.session, user_id="ada", agent="demo", model="m", gateway_id="gw"))
        yield rows


@contextmanager
def connected(database: str) -> Iterator[Connection]:
    with engine_of(database).connect() as connection:
        yield connection
