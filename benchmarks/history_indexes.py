"""What the indexes of the history cost a call: its five moves with them and without, in turns, and a page by each.

.venv/bin/python benchmarks/history_indexes.py --jobs 200000 --calls 200 --rounds 5
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, insert, select, text

from benchmarks.measuring.bounds import whole
from cli.local_stack.embedded_servers import embedded_servers
from ringback.history.pagination import JobQuery
from ringback.jobs.outcomes import succeeded
from ringback.postgres.migrate import upgrade
from ringback.postgres.statement import Runnable
from ringback.statements import history, processes
from ringback.statements.jobs import admission, deliveries, transitions
from ringback.statements.jobs.admission import NewJob
from ringback.tables import jobs as jobs_table
from ringback.tables import sessions
from ringback.tools.spec import ToolSpec
from tests.servers import engine_of, execute

TOOL = ToolSpec("tool 7", "A tool.", {"type": "object"}, retries=1)
INDEXES = ("ix_jobs_by_state", "ix_jobs_by_tool", "ix_jobs_by_queue")
FILL = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, deadline_at,
                  state, delivery, created_at, started_at, finished_at)
SELECT gen_random_uuid(), :session, 'over_' || n, 1, 'tool ' || n % 20, 'queue ' || n % 5, '{}', 'pure', 10, 1, now(),
       'succeeded', 'history_only', now() - make_interval(secs => n), now(), now() FROM generate_series(1, :jobs) AS n
"""


class Side:
    """A database that is full, and its session."""

    def __init__(self, connection: Connection, jobs_there: int, dropped: tuple[str, ...]) -> None:
        self.connection = connection
        self.session = uuid4()
        opened = {"id": self.session, "user_id": "ada", "agent": "demo", "gateway_id": "gw"}
        self.run(insert(sessions).values(**opened))
        for name, kind in (("gw", "gateway"), ("w", "worker")):
            self.run(processes.register(name, kind, "here", 1))
        self.run(text("UPDATE processes SET lease_until = now() + interval '1 day'"))
        self.run(text("ALTER TABLE jobs DISABLE TRIGGER USER"))
        self.run(text(FILL).bindparams(session=self.session, jobs=jobs_there))
        self.run(text("ALTER TABLE jobs ENABLE TRIGGER USER"))
        for index in dropped:
            self.run(text(f"DROP INDEX {index}"))
        self.run(text("VACUUM ANALYZE jobs"))

    def run(self, statement: Runnable) -> Any:
        result = execute(self.connection, statement)
        return result.all() if result.returns_rows else result.rowcount

    def call(self) -> float:
        """Milliseconds of one call: admitted, claimed, finished, read, and echoed."""
        job = NewJob(uuid4(), self.session, f"call_{uuid4().hex}", "resp", TOOL.name, {}, TOOL)
        began = perf_counter()
        self.run(admission.admit(job, "gw", 1))
        (claimed,) = self.run(transitions.claim(job.id, "w"))
        self.run(transitions.finish(job.id, claimed.token, succeeded({"ok": True})))
        self.run(deliveries.read_ready(self.session, "gw", 1))
        self.run(deliveries.mark(self.session, "gw", 1, [job.id], [job.id]))
        return 1_000 * (perf_counter() - began)

    def acknowledged(self) -> int:
        return len(self.run(select(jobs_table.c.id).where(jobs_table.c.delivery == "acked")))


def in_turns(sides: dict[str, Side], calls: int, rounds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in sorted(sides, reverse=bool(number % 2)):
            taken[name] += [sides[name].call() for _ in range(calls)]
    for name, side in sides.items():
        assert side.acknowledged() == calls * rounds, f"{name}: not every call that was timed went all the way"
    return taken


def pages(side: Side) -> dict[str, float]:
    """Milliseconds of a page by each filter, the median of nine."""
    asked = {
        "a tool": JobQuery(tool="tool 7"),
        "a queue": JobQuery(queue="queue 2"),
        "a state that is rare": JobQuery.model_validate({"state": "dead"}),
        "a tool, in a rare state": JobQuery.model_validate({"tool": "tool 7", "state": "dead"}),
        "an approval that is rare": JobQuery.model_validate({"approval": "denied"}),
    }
    return {name: statistics.median(_timed(side, query) for _ in range(9)) for name, query in asked.items()}


def _timed(side: Side, query: JobQuery) -> float:
    began = perf_counter()
    side.run(history.page_of_jobs("default", query))
    return 1_000 * (perf_counter() - began)


def measure(open_database: Callable[[str], Connection], jobs_there: int, calls: int, rounds: int) -> None:
    sides = {
        "with the indexes": Side(open_database("with_indexes"), jobs_there, ()),
        "without": Side(open_database("without_indexes"), jobs_there, INDEXES),
    }
    print("| a call's five moves | calls | p50 ms | p95 ms |\n| --- | --- | --- | --- |")
    for name, taken in in_turns(sides, calls, rounds).items():
        cuts = statistics.quantiles(taken, n=100)
        print(f"| {name} | {len(taken)} | {cuts[49]:.2f} | {cuts[94]:.2f} |")
    print("\n| a page of the history by | with ms | without ms |\n| --- | --- | --- |")
    found = {name: pages(side) for name, side in sides.items()}
    for what, took in found["with the indexes"].items():
        print(f"| {what} | {took:.1f} | {found['without'][what]:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=whole(), default=200_000)
    parser.add_argument("--calls", type=whole(2), default=200)
    parser.add_argument("--rounds", type=whole(), default=5)
    given = parser.parse_args()
    with embedded_servers(durable=True) as servers:

        def open_database(name: str) -> Connection:
            engine = engine_of(servers.database_url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name}"))
            url = engine.url.set(database=name).render_as_string(hide_password=False)
            upgrade(url)
            return engine_of(url, isolation_level="AUTOCOMMIT").connect()

        measure(open_database, given.jobs, given.calls, given.rounds)


if __name__ == "__main__":
    main()
