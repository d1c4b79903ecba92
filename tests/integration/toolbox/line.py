"""A line without a gateway: sessions and jobs are written by the statements a gateway would use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import psutil
from redis import Redis
from sqlalchemy import QueuePool, func, select, update

from ringback.config.settings import postgres_url
from ringback.postgres.statement import Runnable
from ringback.redis.broker import TASK, make_app
from ringback.redis.notifications import stream_of
from ringback.statements import processes
from ringback.statements.clock import now, seconds
from ringback.statements.jobs import admission
from ringback.statements.sessions.lifecycle import open_session
from ringback.tables import job_events, jobs
from ringback.tables import processes as processes_table
from ringback.tools.decorator import Tool
from tests.core_clock import CoreClock
from tests.forked import popen
from tests.integration.toolbox import errands, limited
from tests.servers import as_ours, engine_of, execute

ROOT = Path(__file__).parents[3]
GATEWAY = "gateway-of-the-test"
PATIENCE = 30.0
"""Seconds until a test says that something will not happen: a cold worker on a busy machine takes several."""
LOOK = 0.05


def eventually(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Look again and again until it is true; returns what was found."""
    give_up = monotonic() + patience
    while not (found := true()):
        if monotonic() > give_up:
            raise AssertionError(f"waited {patience:g} s in vain: {what}")
        Event().wait(LOOK)
    return found


def ends_within(process: subprocess.Popen[str], seconds: float) -> int | None:
    """Return its exit code once it has ended; None if it takes longer, not counting waits for a core."""
    clock = CoreClock([process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))])
    eventually(lambda: process.poll() is not None or clock.seconds > seconds, f"process {process.pid} to end")
    return process.returncode


class Line:
    """One session of one live gateway, on a database and a Redis of this test's own."""

    def __init__(self, database: str, redis: str) -> None:
        self.database, self.redis_url = database, redis
        # A look is ten times as expensive on a new connection, and there are dozens in a test.
        kept = {"poolclass": QueuePool, "pool_pre_ping": True, "isolation_level": "AUTOCOMMIT"}
        self.engine = engine_of(postgres_url(database), **kept)
        self.redis = Redis.from_url(redis, decode_responses=True)
        self.celery = make_app(redis)
        self.session = uuid4()
        self.run(processes.register(GATEWAY, "gateway", "here", os.getpid()))
        forever = update(processes_table).values(lease_until=now() + seconds(3_600.0))
        self.run(forever.where(processes_table.c.id == GATEWAY))
        self.run(open_session(self.session, user_id="ada", agent="demo", model="m", gateway_id=GATEWAY))

    def close(self) -> None:
        self.engine.dispose()
        self.celery.close()
        self.redis.close()

    def run(self, statement: Runnable) -> int:
        with self.engine.connect() as connection:
            return execute(connection, statement).rowcount

    def admit(self, name: str, **arguments: Any) -> UUID:
        """Record a call, as a gateway does, and tell nobody."""
        return self.admit_as(uuid4(), name, **arguments)

    def admit_as(self, job_id: UUID, name: str, **arguments: Any) -> UUID:
        """Do as `admit`, under this id."""
        tool = vars(errands).get(name) or vars(limited).get(name)
        job = admission.NewJob(
            id=job_id,
            session_id=self.session,
            call_id=f"call_{uuid4().hex[:8]}",
            response_id=None,
            name=name,
            arguments=arguments,
            tool=tool.announcement if isinstance(tool, Tool) else errands.echo.announcement,
        )
        assert self.run(admission.admit(job, GATEWAY, 1)) == 1
        return job.id

    def set_arguments(self, job_id: UUID, **arguments: Any) -> None:
        """What its next attempt is given."""
        assert self.run(update(jobs).where(jobs.c.id == job_id).values(arguments=arguments)) == 1

    def publish(self, job_id: object, queue: str = "errands") -> None:
        self.celery.send_task(TASK, args=[str(job_id)], queue=queue, ignore_result=True, retry=False)

    def ask(self, name: str, **arguments: Any) -> UUID:
        """Record a call and publish it."""
        job_id = self.admit(name, **arguments)
        self.publish(job_id, self.job(job_id).queue)
        return job_id

    def job(self, job_id: UUID) -> Any:
        with self.engine.connect() as connection:
            return connection.execute(select(jobs).where(jobs.c.id == job_id)).one()

    def steps(self, job_id: UUID) -> list[str]:
        """Each step that the job took, as `state/delivery`."""
        with self.engine.connect() as connection:
            found = select(job_events).where(job_events.c.job_id == job_id).order_by(job_events.c.id)
            return [f"{event.state}/{event.delivery}" for event in connection.execute(found)]

    def count(self, state: str) -> int:
        """How many jobs are in this state."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.count()).where(jobs.c.state == state)).scalar_one())

    def finished(self, job_id: UUID) -> Any:
        """The job's row, once it has an outcome."""

        def over() -> Any:
            row = self.job(job_id)
            return row if row.finished_at else None

        return eventually(over, f"job {job_id} to finish")

    def running(self, job_id: UUID) -> Any:
        return eventually(lambda: self.job(job_id).state == "running", f"job {job_id} to be claimed")

    def rung(self) -> list[str]:
        """The sessions that the gateway's doorbell has named."""
        entries: Any = self.redis.xrange(stream_of(GATEWAY))
        return [fields["session"] for _, fields in entries]

    def workers(self) -> list[Any]:
        """The rows of workers that live."""
        alive = (processes_table.c.kind == "worker") & (processes_table.c.ended_at.is_(None))
        with self.engine.connect() as connection:
            found = connection.execute(select(processes_table).where(alive, processes_table.c.lease_until > now()))
            return list(found.all())

    @contextmanager
    def worker(self, *argv: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
        """A real worker process, announced; whatever is left of it at the end is killed."""
        before = {row.id for row in self.workers()}
        log = Path(os.environ.get("TMPDIR", "/tmp")) / f"ringback-test-worker-{uuid4().hex}.log"  # noqa: S108
        with log.open("w") as output:
            worker = popen(
                [sys.executable, "-W", "ignore", "-m", *(argv or CELERY)],
                cwd=ROOT,
                env={**os.environ, **self.environment(), **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        try:
            eventually(
                lambda: {row.id for row in self.workers()} - before or worker.poll() is not None, "a worker to register"
            )
            assert worker.poll() is None, log.read_text()
            yield worker
        except BaseException:
            sys.stderr.write(log.read_text())
            raise
        finally:
            end(worker)
            log.unlink()

    def environment(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database,
            "REDIS_URL": as_ours(self.redis_url),
            "RINGBACK_TOOL_MODULES": "tests.integration.toolbox.errands",
            "PYTHONPATH": str(ROOT),
        }


CELERY = ("celery", "-A", "workers.app", "worker", "-Q", "errands,slow")


def end(worker: subprocess.Popen[str]) -> None:
    """Kill it with its children: nothing outlives a test."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
