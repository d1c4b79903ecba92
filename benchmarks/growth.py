"""What each statement of a call, a session and a sweep takes on tables of jobs from small to large, in turns.

Each size is a database of its own on one Postgres, with five steps and a message beside each job. A turn runs every
statement on each of them, through psycopg as the product does: as it is for one call or session, and as it is for
several, which is how a busy process asks. Each statement must change, or find, the rows that it is for. Postgres writes
as one whose commits are durable, but no commit waits for the disk. Flat is a ratio of at most 1.3 between the largest
and the smallest.

    .venv/bin/python benchmarks/growth.py --sizes 10000 100000 1000000 10000000 --turns 200
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.engine import make_url

from benchmarks.measuring.bounds import whole
from benchmarks.measuring.raw_lines import RAW, RawLines
from benchmarks.measuring.receipts import insist
from cli.local_stack.embedded_servers import embedded_servers
from ringback.history.pagination import JobQuery
from ringback.ids import job_id_of, new_session_id
from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import HeardBy
from ringback.moments import Moment, MomentKind
from ringback.postgres.connections import Bounds, connect, execute
from ringback.postgres.migrate import upgrade
from ringback.postgres.statement import Runnable, joined
from ringback.statements import history, looks, processes, retention, usage
from ringback.statements.jobs import admission, deliveries, finishing, queues, sweeps, transitions
from ringback.statements.jobs.admission import NewJob
from ringback.statements.sessions import items, lifecycle, moments
from ringback.tools.spec import ToolSpec
from ringback.usage.prices import Usage

FLAT = 1.3
TOOL = ToolSpec("tool 7", "A tool.", {"type": "object"}, retries=1, queue="queue 2")
CALLS_OF_A_SESSION = 10
SEVERAL = 8
"""Sessions whose calls come at one time."""
KEPT_DAYS = 30
LOG = "log (WAL) of a call admitted, kB"
SECONDS = 3_600.0
"""Bound of a statement: the fill is one."""

MARKED = """
CREATE FUNCTION marked(mark text, rest uuid) RETURNS uuid LANGUAGE sql
RETURN overlay(overlay(rest::text PLACING right('00' || mark, 3) FROM 1) PLACING '8' FROM 15)::uuid
"""
"""As `ringback.ids` makes ids."""
SESSIONS = """
INSERT INTO sessions (id, user_id, agent, state, created_at, ended_at)
SELECT marked(to_hex((extract(epoch FROM now())::bigint - n) * 1000 / 1048576), gen_random_uuid()),
       'user ' || n % 1000, 'agent ' || n % 20, 'ended', now() - make_interval(secs => n),
       now() - make_interval(secs => n) FROM generate_series(1, {sessions}) AS n
"""
JOBS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, deadline_at,
                  state, delivery, created_at, started_at, finished_at)
SELECT marked(left(whose.id::text, 3), gen_random_uuid()),
       whose.id, 'over_' || n, 1, 'tool ' || n % 20, 'queue ' || n % 5, '{{}}', 'pure', 10, 1, now(),
       'succeeded', 'history_only', now() - make_interval(secs => n), now(), now()
FROM generate_series(1, {jobs}) AS n
JOIN (SELECT id, row_number() OVER () AS place FROM sessions) AS whose ON whose.place = 1 + n % {sessions}
"""
STEPS = """
INSERT INTO job_events (job_id, at, state, delivery, attempt)
SELECT id, created_at + make_interval(secs => step * 0.1), (ARRAY['pending', 'running', state, state, state])[step],
       CASE WHEN step > 3 THEN delivery ELSE 'none' END, 1
FROM jobs, generate_series(1, 5) AS step
"""
SAID = """
INSERT INTO items (session_id, position, item_id, role, content, epoch, created_at)
SELECT id, place, 'item_' || place, 'user', '[{{"type": "input_text", "text": "where is my parcel"}}]', 1, created_at
FROM sessions, generate_series(1, {of_a_session}) AS place
"""
INDEXES = """
SELECT format('DROP INDEX %s', indexrelid::regclass) AS drop, pg_get_indexdef(indexrelid) AS make FROM pg_index
WHERE indrelid = '{table}'::regclass AND indexrelid NOT IN (SELECT conindid FROM pg_constraint)
"""
"""Indexes of a table, each as the statement that drops it and the one that makes it; those of constraints stay."""
KEYS = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS drop,
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
              pg_get_constraintdef(oid) || CASE contype WHEN 'f' THEN ' NOT VALID' ELSE '' END) AS make
FROM pg_constraint
WHERE contype IN ('p', 'u', 'f') AND '{table}'::regclass IN (conrelid, confrelid) ORDER BY contype
"""
"""The same of its keys, and of those that refer to it, which are dropped first, and come back last."""
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
        self.connection = connect(url, "growth", 5, Bounds(SECONDS))
        self.session = new_session_id()
        self.taken: defaultdict[str, list[float]] = defaultdict(list)
        self._fill(jobs)
        for name, kind in (("gw", "gateway"), ("busy", "gateway"), ("w", "worker")):
            execute(self.connection, processes.register(name, kind, "here", 1, ["queue 2"], 8))
        self._text(
            "UPDATE processes SET lease_until = now() + interval '1 day', steady_since = now() - interval '1 day'"
        )
        self.several = [new_session_id() for _ in range(SEVERAL)]
        for gateway, session in (("gw", self.session), *(("busy", each) for each in self.several)):
            opened = lifecycle.open_session(session, user_id="ada", agent="demo", model="m", gateway_id=gateway)
            execute(self.connection, opened)

    def _fill(self, jobs: int) -> None:
        """Write the rows as of calls that are over, and make the indexes of each table behind them."""
        sessions = max(1, jobs // CALLS_OF_A_SESSION)
        self._text(MARKED)
        self._text("SET session_replication_role = replica")  # no trigger writes the rows that stand here anyway
        self._text("SET synchronous_commit = off")
        self._text("SET maintenance_work_mem = '512MB'")
        for table, rows in (
            ("sessions", SESSIONS.format(sessions=sessions)),
            ("jobs", JOBS.format(jobs=jobs, sessions=sessions)),
            ("job_events", STEPS),
            ("items", SAID.format(of_a_session=CALLS_OF_A_SESSION)),
        ):
            began = perf_counter()
            made = [
                row for found in (KEYS, INDEXES) for row in self.connection.execute(found.format(table=table).encode())
            ]
            for drop, _ in made:
                self._text(drop)
            self._text(rows)
            for _, make in reversed(made):
                self._text(make)
            print(f"  {table} of {jobs:,} jobs: {perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
        for setting in ("session_replication_role", "maintenance_work_mem"):
            self._text(f"RESET {setting}")
        self._text("VACUUM (ANALYZE)")

    def turn(self) -> None:
        """Run each statement once, in the order of a call."""
        job, session = call_of(self.session), self.session
        self.time("admit", admission.admit(job, "gw", 1))
        (claimed,) = self.time("claim", transitions.claim(job.id, "w"))
        self.time("note progress", transitions.note_progress(job.id, claimed.token, "half"))
        self.time("progress of a session", transitions.progress_in(session))
        self.time("finish", transitions.finish(job.id, claimed.token, succeeded({"ok": True})))
        self.time("read ready", deliveries.read_ready(session, "gw", 1))
        self.time("poll for results", lifecycle.held_sessions("gw"))
        self.time("mark", deliveries.mark(session, "gw", 1, [job.id], [job.id]))
        self._session()
        self._of_several()
        self._sweeps()
        self.time("page of the history", history.page_of_jobs("default", JobQuery(tool=TOOL.name)), at_least=50)

    def _session(self) -> None:
        begun, token = new_session_id(), uuid4().bytes
        named: dict[str, Any] = {"user_id": "ada", "agent": "demo", "model": "m", "gateway_id": "gw"}
        self.time("begin a session", lifecycle.open_session(begun, **named, resume_hash=token))
        self._text(f"UPDATE sessions SET state = 'ended', ended_at = now() WHERE id = '{begun}'")
        said = items.Message(
            len(self.taken["claim"]), f"item_{uuid4().hex}", "user", [{"type": "input_text", "text": "hi"}]
        )
        self.time("write a message", items.save(self.session, "gw", 1, [said]))
        used = usage.ResponseUsage(self.session, uuid4().hex, 1, "completed", Usage(), None)
        self.time("record usage", usage.record([used]))
        whose = frozenset({"session", "user", "tenant"})
        self.time("check a budget", usage.usage_so_far(self.session, "default", "ada", whose))  # type: ignore[arg-type]
        self.time("loads of the queues", queues.loads())

    def _of_several(self) -> None:
        """Run each statement that a busy process runs once for what several sessions have."""
        jobs = [call_of(each) for each in self.several]
        admitted = [admission.admit(job, "busy", 1) for job in jobs]
        logged = self._logged()
        self.time("admit, several", admission.admit_all(admitted), SEVERAL)
        self.taken[LOG].append((self._logged() - logged) / SEVERAL / 1_000)
        claims = [execute(self.connection, transitions.claim(job.id, "w")).rows[0] for job in jobs]
        ends = [transitions.finish(row.id, row.token, succeeded({"ok": True})) for row in claims]
        self.time("finish, several", finishing.finish_all(ends), SEVERAL)
        reads = [deliveries.read_ready(each, "busy", 1) for each in self.several]
        self.time("read ready, several", deliveries.read_all_ready(reads), SEVERAL)
        marks = [deliveries.mark(job.session_id, "busy", 1, [job.id], [job.id]) for job in jobs]
        self.time("mark, several", joined(marks), SEVERAL)
        told = [deliveries.Told(job.id, uuid4().hex, 1.0, 1.0, 2.0, HeardBy.REPORT) for job in jobs]
        heard = [deliveries.note_told(job.session_id, "busy", 1, [of], 3.0) for job, of in zip(jobs, told, strict=True)]
        self.time("note what was heard, several", joined(heard), SEVERAL)
        number, content = len(self.taken["claim"]), [{"type": "input_text", "text": "hi"}]
        said = [items.Message(number, f"item_{uuid4().hex}", "user", content) for _ in self.several]
        pairs = zip(self.several, said, strict=True)
        self.time("write messages, several", joined([items.save(each, "busy", 1, [of]) for each, of in pairs]), SEVERAL)
        numbered = [(number, Moment(MomentKind.USER_BEGAN, 1.0, 1))]
        lines = [moments.save(each, "busy", 1, numbered, 2.0) for each in self.several]
        self.time("write moments, several", joined(lines), SEVERAL)

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
        job = call_of(self.session)
        execute(self.connection, admission.admit(job, "gw", 1))
        self._text(f"UPDATE jobs SET {change} WHERE id = '{job.id}'")
        return job.id

    def time(self, name: str, statement: Runnable, at_least: int = 1) -> list[Any]:
        """Time the statement; return its rows, of which there must be so many."""
        began = perf_counter()
        answer = execute(self.connection, statement)
        self.taken[name].append(1_000 * (perf_counter() - began))
        insist(f"rows of {name}", min(answer.count, at_least), at_least)
        return answer.rows

    def _logged(self) -> int:
        """Return how many bytes Postgres has written to its log so far."""
        (row,) = self.connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'").fetchall()
        return int(row[0])

    def _text(self, statement: str) -> None:
        self.connection.execute(statement.encode())


def call_of(session: UUID) -> NewJob:
    """Return a new call of the session."""
    call_id = f"call_{uuid4().hex}"
    return NewJob(job_id_of(session, call_id), session, call_id, "resp", TOOL.name, {}, TOOL)


def table(sides: Mapping[int, Mapping[str, list[float]]]) -> Iterator[str]:
    """Yield the rows of the table: each statement's median at each size, and the last of them to the first."""
    yield "| statement, ms | " + " | ".join(f"{jobs:,} calls" for jobs in sides) + " | ratio |"
    yield "| --- " * (len(sides) + 2) + "|"
    for name in next(iter(sides.values())):
        taken = [median(side[name]) for side in sides.values()]
        ratio = taken[-1] / taken[0]
        told = " | ".join(f"{each:.2f}" for each in taken)
        yield f"| {name} | {told} | {ratio:.2f}{'' if ratio <= FLAT else ' (grows)'} |"


@contextmanager
def databases() -> Iterator[Callable[[str], str]]:
    """Yield a function that makes a migrated database and returns its URL."""
    with embedded_servers() as servers:
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=whole(), nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--turns", type=whole(), default=200)
    parser.add_argument("--raw", type=Path, default=RAW, help="folder for the lines")
    given = parser.parse_args()
    lines = RawLines(given.raw, "growth")
    with databases() as make:
        sides = {jobs: Side(make(f"jobs_{jobs}"), jobs) for jobs in sorted(given.sizes)}
        for number in range(given.turns):
            for jobs in sorted(sides, reverse=bool(number % 2)):
                sides[jobs].turn()
        for jobs, side in sides.items():
            lines.turn(side=f"{jobs} jobs", ms={name: median(taken) for name, taken in side.taken.items()})
        print(lines.introduction())
        print("\n".join(table({jobs: side.taken for jobs, side in sides.items()})))
        print(lines.loads())


if __name__ == "__main__":
    main()
