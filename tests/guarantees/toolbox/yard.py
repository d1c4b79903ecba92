"""Workers without a gateway: sessions and jobs are written by the statements a gateway would use, and never published.

That makes the row the only truth there is: whatever is done at all is done because somebody looked into the table.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psutil
from sqlalchemy import func, select, text, update

from cli.local_stack.process_group import Process, ProcessGroup
from cli.local_stack.stack import our
from ringback.statements.jobs import admission
from ringback.tables import job_events, jobs
from tests.forked import popen
from tests.guarantees.toolbox import FOLDER, GO, trade
from tests.integration.toolbox.line import GATEWAY, Line, eventually
from tests.line import supervised
from tests.servers import as_ours, execute

ROOT = Path(__file__).parents[3]
READY = re.compile(r"ready\.$")
"""What Celery logs when it consumes; our station has registered by then."""


class Entry(NamedTuple):
    """One line of the ledger: `what` is "begun" or "done"."""

    job: UUID
    attempt: int
    pid: int
    what: str


class Yard(Line):
    """Any number of workers by name, on a database and a Redis; the ledger and the logs are in the folder."""

    def __init__(self, database: str, redis: str, folder: Path, processes: ProcessGroup) -> None:
        super().__init__(database, redis)
        self.folder = folder
        self.processes = processes
        self.pids: dict[str, int] = {}

    def start_worker(self, name: str, **environment: str) -> None:
        """Start a worker, and wait until it consumes."""
        env = {**self.environment(), **environment}
        process = Process(name, our("worker"), env, self.folder / f"{name}.log", ready=READY)
        self.pids[name] = supervised(partial(self.processes.start, process))

    def start_workers(self, *names: str, **environment: str) -> None:
        """Start some, two at a time: most of a start is Python importing things."""
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda name: self.start_worker(name, **environment), names))

    def restart(self, name: str) -> None:
        """Start a worker again, dead or alive."""
        self.pids[name] = supervised(partial(self.processes.restart, name))

    def has_ended(self, name: str) -> bool:
        return not psutil.pid_exists(self.pids[name])

    def revive(self) -> None:
        """Start again whoever has ended, as every supervisor does."""
        for name in self.pids:
            if self.has_ended(name):
                self.restart(name)

    def signal(self, name: str, which: signal.Signals) -> None:
        """To the worker's own process alone."""
        os.kill(self.pids[name], which)

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database,
            "REDIS_URL": as_ours(self.redis_url),
            "RINGBACK_TOOL_MODULES": trade.__name__,
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            FOLDER: str(self.folder),
        }

    def admit(self, name: str, **arguments: Any) -> UUID:
        """Record a call, as a gateway does, and tell nobody."""
        job = admission.NewJob(
            id=uuid4(),
            session_id=self.session,
            call_id=f"call_{uuid4().hex[:16]}",
            response_id=None,
            name=name,
            arguments=arguments,
            tool=getattr(trade, name).announcement,
        )
        assert self.run(admission.admit(job, GATEWAY, 1)) == 1
        return job.id

    def overdue(self, job_id: UUID) -> None:
        """Its deadline has passed."""
        self.run(update(jobs).where(jobs.c.id == job_id).values(deadline_at=jobs.c.created_at - timedelta(minutes=1)))

    def let_go(self) -> None:
        """Every job that waits may end."""
        (self.folder / GO).touch()

    def ledger(self) -> list[Entry]:
        path = self.folder / trade.LEDGER
        lines = path.read_text().splitlines() if path.exists() else []
        split = (line.split() for line in lines)
        return [Entry(UUID(job), int(attempt), int(pid), what) for job, attempt, pid, what in split]

    def done(self) -> Counter[UUID]:
        """How often each job had its effect."""
        return Counter(entry.job for entry in self.ledger() if entry.what == "done")

    def begun(self, job_id: UUID, attempt: int = 1) -> Entry:
        """Wait until this attempt of the job is under way."""

        def look() -> Entry | None:
            wanted = (job_id, attempt, "begun")
            return next((entry for entry in self.ledger() if (entry.job, entry.attempt, entry.what) == wanted), None)

        found: Entry = eventually(look, f"attempt {attempt} of job {job_id} to begin")
        return found

    def states(self) -> Counter[str]:
        """How many jobs are in which state."""
        with self.engine.connect() as connection:
            found = connection.execute(select(jobs.c.state, func.count()).group_by(jobs.c.state)).all()
        return Counter(dict(found))

    def all_finished(self) -> Counter[str]:
        """Wait, with workers that are started again, until no job is pending or running; how many ended how."""

        def look() -> Counter[str] | None:
            self.revive()
            states = self.states()
            return None if states["pending"] or states["running"] else states

        found: Counter[str] = eventually(look, "every job to have an outcome")
        return found

    def outcomes(self) -> Counter[UUID]:
        """How often each job came to an outcome, as its history tells."""
        over = job_events.c.state.not_in(["pending", "running"]) & (
            job_events.c.delivery.in_(["ready", "history_only"])
        )
        with self.engine.connect() as connection:
            found = connection.execute(
                select(job_events.c.job_id, func.count()).where(over).group_by(job_events.c.job_id)
            ).all()
        return Counter(dict(found))

    def cut_off(self) -> int:
        """End every other connection to this database, from the server's side; how many there were."""
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        statement = text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608 - a constant
        with self.engine.connect() as connection:
            return len(execute(connection, statement).all())

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(encoding="utf-8")


@contextmanager
def open_yard(database: str, redis: str, folder: Path) -> Iterator[Yard]:
    """A yard without workers; those that are started end with it."""
    with ProcessGroup(popen) as processes:
        yard = Yard(database, redis, folder, processes)
        try:
            yield yard
        finally:
            for name in yard.pids:
                processes.kill(name)  # nothing that they hold matters any more
            yard.close()
