"""Every revision on a database in use: leases are renewed and calls go on while a reader holds every table.

A step that waited for its lock with the others behind it, or held one for long, would hold up a renewal for more than
the second that it may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, literal, select, table, text

from ringback.postgres import migrate
from ringback.statements import processes
from tests.integration.statements.many_rows import indexed_afterwards, without_events
from tests.integration.statements.statement_rows import connected
from tests.line import eventually
from tests.servers import execute

RENEWALS = 3
"""Renewals that must succeed while the migration waits for the reader."""

WORKER = "INSERT INTO processes (id, kind, host, pid, lease_until) VALUES ('w', 'worker', 'here', 1, now())"
SESSIONS = """
INSERT INTO sessions (id, user_id, agent, state, ended_at)
SELECT gen_random_uuid(), 'ada', 'demo', 'ended', now() FROM generate_series(1, :number)
"""
JOBS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, publish_after,
                  deadline_at, state, delivery, started_at, finished_at)
SELECT gen_random_uuid(), (SELECT id FROM sessions LIMIT 1), 'call_' || n, 1, 'order', 'orders', '{}', 'pure', 10, 1,
       now(), now(), 'succeeded', 'history_only', now(), now() FROM generate_series(1, :number) AS n
"""
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
MIGRATION_WAITS = "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted"


def revisions() -> list[str]:
    """Return the revisions, from the first to the last."""
    script = ScriptDirectory(str(migrate.migrations_folder()))
    return [each.revision for each in script.walk_revisions()][::-1]


class Traffic:
    """Worker that renews its lease and notes the progress of a call, in turn, and records what failed."""

    def __init__(self, database: str) -> None:
        self.rounds = 0
        self.failed: list[str] = []
        self._over = Event()
        self._thread = Thread(target=self._go_on, args=(database,))

    @contextmanager
    def running(self) -> Iterator[Traffic]:
        self._thread.start()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join()

    def _go_on(self, database: str) -> None:
        noted = text("UPDATE jobs SET progress = 'x' WHERE id = (SELECT id FROM jobs LIMIT 1)")
        with connected(database) as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            connection.execute(text("SET statement_timeout = '1s'"))
            while not self._over.wait(0.01):
                try:
                    assert execute(connection, processes.renew("w")).rowcount == 1
                    connection.execute(noted)
                except Exception as problem:
                    self.failed.append(str(problem))
                self.rounds += 1


def fill(database: str, number: int) -> None:
    with connected(database) as connection, without_events(connection), indexed_afterwards(connection):
        connection.execute(text(WORKER))
        for statement in (SESSIONS, JOBS):
            connection.execute(text(statement), {"number": number})


def read_all(reader: Connection) -> None:
    """Read from every table in a transaction that goes on: it holds a lock on each, and a snapshot."""
    reader.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    for name in reader.execute(text(TABLES)).scalars().all():
        reader.execute(select(literal(1)).select_from(table(name)).limit(1))


def is_waiting_or_done(watch: Connection, migration: Future[None]) -> bool:
    return migration.done() or bool(watch.execute(text(MIGRATION_WAITS)).scalar_one())


def migrate_in_use(database: str, revision: str, *, up: bool) -> None:
    move = migrate.upgrade if up else migrate.downgrade
    with connected(database) as reader, connected(database) as watch, ThreadPoolExecutor(1) as threads:
        watch = watch.execution_options(isolation_level="AUTOCOMMIT")
        read_all(reader)
        with Traffic(database).running() as traffic:
            try:
                migration = threads.submit(move, database, revision)
                eventually(lambda: is_waiting_or_done(watch, migration), f"{revision} meets the reader")
                so_far = traffic.rounds
                eventually(lambda: traffic.rounds >= so_far + RENEWALS, "leases are renewed meanwhile")
            finally:
                reader.rollback()
            migration.result()
        assert traffic.failed == [], revision


@pytest.mark.parametrize("number", [2_000, pytest.param(300_000, marks=pytest.mark.long)])
def test_leases_are_renewed_and_calls_go_on_while_every_revision_is_made_and_unmade(database: str, number: int) -> None:
    first, *later = revisions()
    migrate.downgrade(database, first)
    fill(database, number)
    for revision in later:
        migrate_in_use(database, revision, up=True)
    for revision in [first, *later[:-1]][::-1]:
        migrate_in_use(database, revision, up=False)
    with connected(database) as connection:  # How long it takes to make them again for so many rows is known.
        connection.execute(text("TRUNCATE jobs, sessions CASCADE"))
        connection.commit()
    migrate.upgrade(database)
