"""What the history reads out of real rows: calls that lived their lives through the product's own statements.

`Line` plays gateway and worker on one connection; the other history tests tell their stories with it, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, Row, insert, text

from ringback.config.settings import postgres_url
from ringback.history import documents, serving
from ringback.history.pagination import IdRange, JobQuery, SessionQuery
from ringback.jobs import outcomes
from ringback.jobs.outcomes import Outcome
from ringback.jobs.states import CancelReason
from ringback.postgres.statement import Runnable
from ringback.statements import history as statements
from ringback.statements import processes
from ringback.statements.jobs import admission, approvals, deliveries
from ringback.statements.jobs import transitions as job_statements
from ringback.statements.sessions import lifecycle as session_statements
from ringback.tables import DEFAULT_TENANT, jobs, sessions
from ringback.tools.spec import ToolSpec
from tests.servers import engine_of, execute, explained

LONG_AGO = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Line:
    """Gateway `gw` and worker `w`, and the rows that they leave."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def run(self, statement: Runnable) -> Sequence[Row[Any]]:
        result = execute(self.connection, statement)
        rows = result.all() if result.returns_rows else []
        self.connection.commit()
        return rows

    def open(self, agent: str = "demo") -> UUID:
        """Open a session of the gateway `gw`."""
        session = uuid4()
        self.run(
            session_statements.open_session(session, user_id="ada", agent=agent, model="simulator", gateway_id="gw")
        )
        return session

    def end(self, session: UUID) -> None:
        self.run(session_statements.end_session(session, "gw", 1, "client_left"))

    def ask(
        self,
        session: UUID,
        tool: str = "weather",
        arguments: Any = None,
        outcome: Outcome | None = None,
        **fields: Any,
    ) -> UUID:
        """Record a call, as the gateway does; with an outcome the gateway refused it. `fields` are those of NewJob."""
        job, call = uuid4(), f"call_{uuid4().hex[:8]}"
        queue = "slow" if tool == "order_status" else "default"
        announced = ToolSpec(tool, "d", {}, queue=queue, retries=1)
        new = admission.NewJob(job, session, call, "resp_1", tool, arguments or {}, announced, **fields)
        assert self.run(admission.admit(new, "gw", 1, outcome))
        return job

    def claim(self, job: UUID) -> UUID:
        """Claim the job; return the token."""
        (row,) = self.run(job_statements.claim(job, "w"))
        return UUID(str(row.token))

    def retry(self, job: UUID, token: UUID) -> None:
        self.run(job_statements.retry(job, token, {"code": "busy", "message": "Try later."}, 0.0))

    def finish(self, job: UUID, token: UUID, outcome: Outcome) -> None:
        assert self.run(job_statements.finish(job, token, outcome))

    def deliver(self, session: UUID, job: UUID) -> None:
        self.run(deliveries.mark(session, "gw", 1, [job]))
        self.run(deliveries.mark(session, "gw", 1, [job], [job]))

    def insert_jobs(self, wanted: int | list[UUID], session: UUID, **given: Any) -> list[UUID]:
        """Insert so many pending jobs, or those with the ids, with the given columns."""
        ids = [uuid4() for _ in range(wanted)] if isinstance(wanted, int) else wanted
        asked = {"tool": "weather", "queue": "default", "arguments": {}, "effect": "pure", "timeout": 15.0}
        bounds = {"epoch": 1, "max_attempts": 1, "publish_after": LONG_AGO, "deadline_at": LONG_AGO}
        rows = [{"id": id_, "session_id": session, "call_id": str(id_), **asked, **bounds, **given} for id_ in ids]
        self.run(insert(jobs).values(rows))
        return ids

    def foreign_job(self) -> tuple[UUID, UUID]:
        """Insert a session and a job of the tenant "other"."""
        session = uuid4()
        owned = {"tenant": "other", "user_id": "eve", "agent": "demo"}
        self.run(insert(sessions).values(id=session, **owned))
        return session, self.insert_jobs(1, session, tenant="other")[0]


@contextmanager
def line_on(database: str) -> Iterator[Line]:
    with engine_of(postgres_url(database)).connect() as connection:
        line = Line(connection)
        for process, kind in (("gw", "gateway"), ("w", "worker")):
            line.run(processes.register(process, kind, "here", 1, ["default", "slow"] if kind == "worker" else []))
        line.run(text("UPDATE processes SET lease_until = lease_until + interval '1 hour'"))
        yield line


@pytest.fixture
def line(database: str) -> Iterator[Line]:
    with line_on(database) as line:
        yield line


def lookup(line: Line, job: UUID) -> documents.Job:
    (row,) = line.run(statements.jobs_with_steps(DEFAULT_TENANT, IdRange.only(job)))
    return documents.job(row)


def listed(line: Line, **asked: Any) -> list[UUID]:
    query = JobQuery(**asked)
    rows = line.run(statements.page_of_jobs(DEFAULT_TENANT, query))
    return [job.id for job in documents.page_of_jobs(rows, query.limit).data]


def test_a_call_that_went_all_the_way_round_has_every_step(line: Line) -> None:
    session = line.open()
    job = line.ask(session, "weather", {"city": "London"})
    line.retry(job, line.claim(job))
    line.finish(job, line.claim(job), outcomes.succeeded({"sky": "grey"}))
    line.deliver(session, job)
    told = lookup(line, job)
    assert [(step.state, step.delivery, step.attempt) for step in told.transitions] == [
        ("pending", "none", 0),
        ("running", "none", 1),
        ("pending", "none", 1),
        ("running", "none", 2),
        ("succeeded", "ready", 2),
        ("succeeded", "sent", 2),
        ("succeeded", "acked", 2),
    ]
    assert [(attempt.number, attempt.worker_id, attempt.ended) for attempt in told.attempts] == [
        (1, "w", "retried"),
        (2, "w", "succeeded"),
    ]
    assert (told.arguments, told.result, told.error) == ({"city": "London"}, {"sky": "grey"}, None)
    parts = told.timeline.model_dump()
    assert {part for part, ms in parts.items() if ms is None} == {"floor_ms", "voice_ms", "heard_ms"}, "not told yet"
    assert all(ms >= 0 for ms in parts.values() if ms is not None)


def test_a_running_jobs_token_is_not_even_read(line: Line) -> None:
    job = line.ask(line.open())
    token = line.claim(job)
    (row,) = line.run(statements.jobs_with_steps(DEFAULT_TENANT, IdRange.only(job)))
    assert row.state == "running"
    assert token not in tuple(row)


def test_a_call_that_was_refused_at_the_door_is_there_all_the_same(line: Line) -> None:
    job = line.ask(line.open(), "moon_phase", {"day": "now"}, outcomes.failed("unknown_tool", "There is none."))
    told = lookup(line, job)
    assert (told.state, told.delivery, told.attempts) == ("failed", "ready", [])
    assert told.error == documents.Problem(code="unknown_tool", message="There is none.")


def test_a_joined_call_says_which_one_it_joined_and_why_both_were_cancelled(line: Line) -> None:
    session = line.open()
    first = line.ask(session)
    second = line.ask(session, joined_to=first)
    assert lookup(line, second).joined_to == first
    line.run(job_statements.cancel(first, DEFAULT_TENANT, CancelReason.BARGE_IN))
    told, listed_ = lookup(line, second), line.run(statements.page_of_jobs(DEFAULT_TENANT, JobQuery()))
    assert (told.state, told.cancel_reason, told.approval, told.notified_at) == ("cancelled", "barge_in", None, None)
    assert told.error is not None
    assert told.error.message == outcomes.CANCELLED_BY["barge_in"]
    assert [job.joined_to for job in documents.page_of_jobs(listed_, 9).data] == [first, None]
    assert (told.attempts, told.timeline.waited_ms) == ([], None)


def test_each_step_of_an_approval_is_told_once(line: Line) -> None:
    job = line.ask(line.open(), needs_approval=True)
    line.run(approvals.decide(job, DEFAULT_TENANT, True))
    line.finish(job, line.claim(job), outcomes.succeeded(1))
    told = lookup(line, job)
    assert told.approval == "granted"
    assert [(step.state, step.approval) for step in told.transitions] == [
        ("pending", "requested"),
        ("pending", "granted"),
        ("running", None),
        ("succeeded", None),
    ]


def test_arguments_that_were_no_json_are_kept_as_the_text_they_were(line: Line) -> None:
    job = line.ask(line.open(), arguments='{"city": "Lon')
    assert lookup(line, job).arguments == '{"city": "Lon'


def test_a_session_counts_its_jobs_by_state(line: Line) -> None:
    session, empty = line.open(), line.open()
    line.insert_jobs(3, session)
    line.claim(line.ask(session))
    (row,) = line.run(statements.sessions_with_counts(DEFAULT_TENANT, IdRange.only(session)))
    assert row.counts == {"pending": 3, "running": 1}
    (row,) = line.run(statements.sessions_with_counts(DEFAULT_TENANT, IdRange.only(empty)))
    assert row.counts == {}


def test_how_long_ago_is_reckoned_by_the_databases_clock(line: Line) -> None:
    session = line.open()
    now: datetime = line.run(text("SELECT clock_timestamp()"))[0][0]
    (recent,) = line.insert_jobs(1, session, created_at=now - timedelta(minutes=10))
    (older,) = line.insert_jobs(1, session, created_at=now - timedelta(minutes=90))
    assert listed(line, since="15m") == [recent]
    assert listed(line, since="2h") == [recent, older]
    assert listed(line, since=(now - timedelta(minutes=90)).isoformat()) == [recent, older]


def test_the_longest_time_ago_is_one_that_postgres_can_reckon_with(line: Line) -> None:
    jobs = line.insert_jobs(1, line.open(), created_at=LONG_AGO)
    assert listed(line, since="3660d") == jobs
    assert listed(line, since="0001-01-01") == jobs


def test_pages_are_found_by_an_index_and_not_by_sorting(line: Line) -> None:
    line.insert_jobs(2_000, line.open())
    line.run(text("ANALYZE jobs"))
    rows = line.run(statements.page_of_jobs(DEFAULT_TENANT, JobQuery(limit=1)))
    following = documents.page_of_jobs(rows, 1).next
    for query in (JobQuery(), JobQuery(after=following), JobQuery(since="1d", after=following)):
        statement = statements.page_of_jobs(DEFAULT_TENANT, query)
        plan = execute(line.connection, explained(statement))
        told = "\n".join(row[0] for row in plan)
        assert "Index Scan Backward using ix_jobs_tenant" in told
        assert "Sort" not in told
        assert "Filter" not in told, "a bound that the index does not know is looked at row by row"


@pytest.mark.parametrize("alike", [1, 5, 6])
def test_ids_that_begin_alike_are_all_found_up_to_a_bound(line: Line, alike: int) -> None:
    session = line.open()
    found = [UUID(f"3f2a9c{number:026x}") for number in range(alike)]
    line.insert_jobs(found, session)
    line.insert_jobs(3, session)
    rows = line.run(statements.jobs_with_steps(DEFAULT_TENANT, IdRange.beginning("3f2a9c")))
    assert [row.id for row in rows] == found[: statements.MAX_ALIKE]


def test_a_tool_is_told_once_with_the_number_of_live_workers_that_serve_it(line: Line) -> None:
    line.run(processes.register("w2", "worker", "there", 2, ["default"]))
    line.run(processes.register("gone", "worker", "there", 3, ["default"]))
    for worker, description in (("w", "old"), ("w2", "new"), ("gone", "gone")):
        for announced in processes.announce(worker, [ToolSpec("weather", description, {"type": "object"})]):
            line.run(announced)
    line.run(processes.retire("gone"))
    (tool,) = serving.tools(line.run(statements.served_tools())).data
    assert (tool.name, tool.description, tool.workers) == ("weather", "new", 2)


def test_processes_are_told_with_the_living_first_and_what_they_run(line: Line) -> None:
    line.claim(line.ask(line.open()))
    line.run(processes.register("w2", "worker", "there", 2, ["default"]))
    line.run(processes.retire("w2"))
    told = serving.processes(line.run(statements.all_processes(DEFAULT_TENANT))).data
    assert [(process.id, process.alive, process.running) for process in told] == [
        ("w", True, 1),
        ("gw", True, 0),
        ("w2", False, 0),
    ]


def test_no_list_of_processes_reads_the_key_of_a_gateway(line: Line) -> None:
    line.run(processes.register("gw", "gateway", "here", 1, doorbell_key=bytes(32)))
    told = line.run(statements.all_processes(DEFAULT_TENANT))
    assert [row.id for row in told if bytes(32) in row] == []


@pytest.mark.parametrize("tenant", ["other", "nobody"])
def test_every_statement_shows_only_what_is_its_tenants(line: Line, tenant: str) -> None:
    session = line.open()
    job = line.ask(session)
    asked = {
        "jobs": statements.page_of_jobs(tenant, JobQuery(session=session)),
        "job": statements.jobs_with_steps(tenant, IdRange.only(job)),
        "sessions": statements.page_of_sessions(tenant, SessionQuery()),
        "session": statements.sessions_with_counts(tenant, IdRange.only(session)),
        "processes": statements.all_processes(tenant),
    }
    assert {name: line.run(statement) for name, statement in asked.items()} == {name: [] for name in asked}
