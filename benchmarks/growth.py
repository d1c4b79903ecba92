"""What each statement of a call, a session and a sweep takes on a small table of jobs and on a large one, in turns.

Each size is a database of its own on one Postgres. A turn runs every statement on the small one and then on the large
one, through psycopg as the product does. Each statement must change, or find, the rows that it is for. Flat is a ratio
of at most 1.3. A fill of 10^6 jobs takes about a minute and a half; one of 10^7 some 15 minutes, by that.

    .venv/bin/python benchmarks/growth.py --small 10000 --large 1000000 --turns 200
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist
from cli.local_stack.embedded_servers import embedded_servers
from ringback.history.pagination import JobQuery
from ringback.jobs.outcomes import succeeded
from ringback.postgres.connections import Bounds, connect, execute
from ringback.postgres.migrate import upgrade
from ringback.postgres.statement import Runnable
from ringback.statements import history, looks, processes, retention, usage
from ringback.statements.jobs import admission, deliveries, queues, sweeps, transitions
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import items, lifecycle
from ringback.tools.spec import ToolSpec
from ringback.usage.prices import Usage

FLAT = 1.3
TOOL = ToolSpec("tool 7", "A tool.", {"type": "object"}, retries=1, queue="queue 2")
CALLS_OF_A_SESSION = 10
KEPT_DAYS = 30
SECONDS = 600.0
"""Bound of a statement: the fill is one."""

SESSIONS = """
INSERT INTO sessions (id, user_id, agent, state, created_at, ended_at)
SELECT gen_random_uuid(), 'user ' || n % 1000, 'agent ' || n % 20, 'ended', now() - make_interval(secs => n),
       now() - make_interval(secs => n) FROM generate_series(1, {sessions}) AS n
"""
JOBS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, deadline_at,
                  state, delivery, created_at, started_at, finished_at)
SELECT gen_random_uuid(), whose.id, 'over_' || n, 1, 'tool ' || n % 20, 'queue ' || n % 5, '{{}}', 'pure', 10, 1, now(),
       'succeeded', 'history_only', now() - make_interval(secs => n), now(), now()
FROM generate_series(1, {jobs}) AS n
JOIN (SELECT id, row_number() OVER () AS place FROM sessions) AS whose ON whose.place = 1 + n % {sessions}
"""
OLD_SESSION = """
INSERT INTO sessions (id, user_id, agent, state, created_at, ended_at)
VALUES ('{id}', 'ada', 'demo', 'ended', now() - interval '40 days', now() - interval '40 days')
"""

CANCEL = """
UPDATE jobs SET state = 'cancelled', finished_at = now(), delivery = 'history_only'
WHERE session_id = '{session}' AND state = 'pending'
"""


class Side:
    """A database with so many jobs, and one session with a gateway and a worker."""

    def __init__(self, url: str, jobs: int) -> None:
        self.connection: psycopg.Connection[Any] = connect(url, "growth", 5, Bounds(SECONDS))
        self.session = uuid4()
        self.taken: defaultdict[str, list[float]] = defaultdict(list)
        sessions = max(1, jobs // CALLS_OF_A_SESSION)
        self._text("ALTER TABLE jobs DISABLE TRIGGER USER")
        self._text(SESSIONS.format(sessions=sessions))
        self._text(JOBS.format(jobs=jobs, sessions=sessions))
        self._text("ALTER TABLE jobs ENABLE TRIGGER USER")
        self._text("VACUUM ANALYZE")
        for name, kind in (("gw", "gateway"), ("w", "worker")):
            execute(self.connection, processes.register(name, kind, "here", 1, ["queue 2"], 8))
        self._text(
            "UPDATE processes SET lease_until = now() + interval '1 day', steady_since = now() - interval '1 day'"
        )
        opened = lifecycle.open_session(self.session, user_id="ada", agent="demo", model="m", gateway_id="gw")
        execute(self.connection, opened)

    def turn(self) -> None:
        """Run each statement once, in the order of a call."""
        job, session = NewJob(uuid4(), self.session, f"call_{uuid4().hex}", "resp", TOOL.name, {}, TOOL), self.session
        self.time("admit", admission.admit(job, "gw", 1))
        (claimed,) = self.time("claim", transitions.claim(job.id, "w"))
        self.time("note progress", transitions.note_progress(job.id, claimed.token, "half"))
        self.time("progress of a session", transitions.progress_in(session))
        self.time("finish", transitions.finish(job.id, claimed.token, succeeded({"ok": True})))
        self.time("read ready", deliveries.read_ready(session, "gw", 1))
        self.time("poll for results", lifecycle.held_sessions("gw"))
        self.time("mark", deliveries.mark(session, "gw", 1, [job.id], [job.id]))
        self._session()
        self._sweeps()
        self.time("page of the history", history.page_of_jobs("default", JobQuery(tool=TOOL.name)), at_least=50)

    def _session(self) -> None:
        said = items.Message(
            len(self.taken["claim"]), f"item_{uuid4().hex}", "user", [{"type": "input_text", "text": "hi"}]
        )
        self.time("write a message", items.save(self.session, "gw", 1, [said]))
        used = usage.ResponseUsage(self.session, uuid4().hex, 1, "completed", Usage(), None)
        self.time("record usage", usage.record([used]))
        whose = frozenset({"session", "user", "tenant"})
        self.time("check a budget", usage.usage_so_far(self.session, "default", "ada", whose))  # type: ignore[arg-type]
        self.time("loads of the queues", queues.loads())

    def _sweeps(self) -> None:
        self._text("UPDATE processes SET swept_at = NULL")
        self.time("look", looks.look_of_gateway("gw"))
        self._admitted("publish_after = now() - interval '1 s'")
        self.time("publish due", sweeps.publish_due())
        self._admitted("deadline_at = now() - interval '10 s'")
        self.time("time out overdue", sweeps.time_out_overdue())
        self._admitted("state = 'running', worker_id = 'gone', token = gen_random_uuid(), started_at = now()")
        self.time("take back lost", sweeps.take_back_lost("gw"))
        self._text(OLD_SESSION.format(id=uuid4()))
        self.time("retention", retention.delete_expired(KEPT_DAYS))
        self._text(CANCEL.format(session=self.session))

    def _admitted(self, change: str) -> UUID:
        """Admit a call, and change its row."""
        job = NewJob(uuid4(), self.session, f"call_{uuid4().hex}", "resp", TOOL.name, {}, TOOL)
        execute(self.connection, admission.admit(job, "gw", 1))
        self._text(f"UPDATE jobs SET {change} WHERE id = '{job.id}'")
        return job.id

    def time(self, name: str, statement: Runnable, at_least: int = 1) -> list[Any]:
        """Time the statement; return its rows, of which there must be so many."""
        began = perf_counter()
        cursor = execute(self.connection, statement)
        found = cursor.fetchall() if cursor.description else []
        self.taken[name].append(1_000 * (perf_counter() - began))
        rows = len(found) if cursor.description else cursor.rowcount
        insist(f"rows of {name}", min(rows, at_least), at_least)
        return found

    def _text(self, statement: str) -> None:
        self.connection.execute(statement.encode())


def table(small: Mapping[str, list[float]], large: Mapping[str, list[float]]) -> Iterator[str]:
    """Yield the rows of the table: each statement's median on both sides, and the ratio."""
    yield "| statement | small, ms | large, ms | ratio |\n| --- | --- | --- | --- |"
    for name, taken in small.items():
        low, high = median(taken), median(large[name])
        yield f"| {name} | {low:.2f} | {high:.2f} | {high / low:.2f}{'' if high / low <= FLAT else ' (grows)'} |"


@contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """Yield a function that makes a migrated database and returns its URL."""
    with embedded_servers(durable=False) as servers:
        server = make_url(servers.database_url)

        def make(name: str) -> str:
            plain = server.set(drivername="postgresql").render_as_string(hide_password=False)
            with psycopg.connect(plain, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            url = server.set(database=name).render_as_string(hide_password=False)
            upgrade(url)
            return url

        yield make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--turns", type=int, default=200)
    given = parser.parse_args()
    lines = RawLines(RAW, "growth")
    with databases() as make:
        sides = {number: Side(make(f"jobs_{number}"), number) for number in (given.small, given.large)}
        for number in range(given.turns):
            for jobs in sorted(sides, reverse=bool(number % 2)):
                sides[jobs].turn()
        for jobs, side in sides.items():
            lines.turn(side=f"{jobs} jobs", ms={name: median(taken) for name, taken in side.taken.items()})
        print(lines.introduction())
        print("\n".join(table(sides[given.small].taken, sides[given.large].taken)))
        print(lines.loads())


if __name__ == "__main__":
    main()
