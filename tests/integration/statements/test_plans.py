"""Frequent statements cost the same for any number of rows: of waiting jobs, and of ended ones.

No test here measures time: it counts the pages that Postgres reads, and the rows that it throws away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from ringback.history.job_search import Argument, JobSearch
from ringback.history.pagination import JobQuery, SessionQuery, cursor
from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import Approval, JobState
from ringback.statements import history, job_search, looks, retention, session_end, usage, webhooks
from ringback.statements.identity import tenant_isolation
from ringback.statements.jobs import (
    admission,
    approvals,
    changes,
    controls,
    deliveries,
    finishing,
    gates,
    passing,
    queues,
    steps,
    sweeps,
    transitions,
)
from ringback.statements.operators import figures
from ringback.statements.sessions import items, lifecycle, session_quota
from ringback.statements.sessions.session_quota import Limits
from ringback.tables import jobs as jobs_table
from ringback.usage.prices import Usage
from ringback.usage.report import By, UsageQuery
from tests.integration.statements.many_rows import indexed_afterwards, without_events
from tests.integration.statements.statement_rows import Rows, new_job, world
from tests.integration.statements.test_sweeps_stay_cheap import BUFFERS_AT_MOST, pages, plan
from tests.servers import execute, own_database

THROWN_AWAY = 250
"""Most rows that one step may read in vain."""
PAGES_OF_A_PAGE = 1_000
"""Most pages for a page of the history: at most 51 rows for each state, each found by its id."""
PAGES_OF_A_BATCH = 4_000
"""Most pages for fifty jobs that are made due, each with an entry in every index."""
PAGES_OF_A_DELETION = 20_000
"""Most pages for fifty sessions with all their calls, and an entry of each in every index."""
KEPT_DAYS = 30

WAITING = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, publish_after,
                  publish_count, deadline_at)
SELECT gen_random_uuid(), :session, 'waiting_' || clock_timestamp() || n, 1, 'tool ' || n % 20, 'queue ' || n % 4, '{}',
       'pure', 10, 1, now() + interval '1 hour', n % 2, now() + interval '1 hour' FROM generate_series(1, :number) AS n
"""
OVER_SESSIONS = """
INSERT INTO sessions (id, user_id, agent, state, created_at, ended_at)
SELECT gen_random_uuid(), 'ada', 'agent ' || n % 20, 'ended', now() - make_interval(secs => n),
       now() - make_interval(secs => n) FROM generate_series(1, :number) AS n
"""
OVER_JOBS = """
INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, deadline_at,
                  state, delivery, approval, created_at, started_at, finished_at)
SELECT gen_random_uuid(), whose.id, 'over_' || n, 1, 'tool ' || n % 20, 'queue ' || n % 5, '{}', 'pure', 10, 1, now(),
       CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'succeeded' END, 'history_only',
       CASE WHEN n % 10000 = 0 THEN 'denied' END, now() - make_interval(secs => n), now(), now()
FROM generate_series(1, :number) AS n
JOIN (SELECT id, row_number() OVER () AS place FROM sessions) AS whose ON whose.place = 1 + n % (:number / 4)
"""


def is_flat(
    rows: Rows, name: str, statement: Any, *, small: AbstractSet[str] = frozenset(), at_most: int = BUFFERS_AT_MOST
) -> str:
    """Return the plan, in which no table is walked but those that are small here."""
    seen = plan(rows, statement)
    walked = re.findall(r"Seq Scan on (jobs|sessions)[^\n]*(?<!never executed\))\n", seen)
    assert not set(walked) - small, f"{name}: {seen}"
    thrown_away = [int(number) for number in re.findall(r"Rows Removed by [A-Z ]*[Ff]ilter: (\d+)", seen)]
    assert max(thrown_away, default=0) <= THROWN_AWAY, f"{name}: {seen}"
    assert pages(seen) <= at_most, f"{name}: {seen}"
    return seen


# — what waits —


@pytest.fixture(scope="module")
def busy(database_url: str, migrated_template: str) -> Iterator[Rows]:
    """Yield a database that ANALYZE last saw when almost no job waited, as at night."""
    with own_database(database_url, "ringback_busy", migrated_template) as url, world(url) as rows:
        rows.connection.execute(text("ALTER TABLE jobs SET (autovacuum_enabled = false)"))
        rows.connection.commit()
        for _ in range(3):
            rows.running()
            rows.answered(succeeded(1))
        rows.connection.execute(text("ANALYZE"))
        rows.connection.commit()
        yield rows


def waiting(rows: Rows, number: int) -> UUID:
    """Insert so many waiting jobs; return one of them."""
    pending = select(jobs_table.c.id).where(jobs_table.c.state == JobState.PENDING)
    there = len(rows.run(pending))
    with without_events(rows.connection):
        rows.connection.execute(text(WAITING), {"session": rows.session, "number": max(0, number - there)})
    return UUID(str(rows.run(pending.limit(1))[0].id))


@pytest.mark.parametrize("number", [6_000, 20_000])
def test_a_backlog_makes_no_step_of_a_call_and_no_sweep_dearer(busy: Rows, number: int) -> None:
    job = waiting(busy, number)
    running, token = busy.running()
    asked: dict[str, Any] = {
        "claim": transitions.claim(job, "w"),
        "begin_effect": transitions.begin_effect(running, token),
        "finish": transitions.finish(running, token, succeeded({"paid": True})),
        "finish_all": finishing.finish_all([transitions.finish(running, token, succeeded({"paid": True}))] * 2),
        "retry": transitions.retry(running, token, {"code": "busy"}, 1),
        "give_up": transitions.give_up_claims([running], [token]),
        "note_progress": transitions.note_progress(running, token, "half"),
        "cancel": transitions.cancel(job, "default"),
        "cancelled_on": transitions.cancelled_jobs("w"),
        "decide": approvals.decide(job, "default", True),
        "put_off": gates.postpone(job, 1),
        "wake_first": gates.wake_first("tool 1"),
        "read_ready": deliveries.read_ready(busy.session, "gw", 1),
        "mark": deliveries.mark(busy.session, "gw", 1, [job], [job], 1),
        "publish_due": sweeps.publish_due(),
        "take_back_lost": sweeps.take_back_lost("gw"),
        "time_out_overdue": sweeps.time_out_overdue(),
        "publish_taken_along": sweeps.publish_taken("queue 1"),
        "keep_late_answers": sweeps.keep_late_results(),
        "loads": queues.loads(),
        "look": looks.look_of_gateway("gw"),
        "held_sessions": lifecycle.held_sessions("gw"),
        "take_due": webhooks.take_due(8),
    }
    for name, statement in asked.items():
        # By its old statistics `jobs` is small: a walk of it shows in the rows that it throws away.
        at_most = PAGES_OF_A_BATCH if name == "publish_taken_along" else BUFFERS_AT_MOST
        is_flat(busy, name, statement, small={"sessions", "jobs"}, at_most=at_most)


def test_a_backlog_makes_no_statement_of_a_session_dearer(busy: Rows) -> None:
    waiting(busy, 20_000)
    own = uuid4()
    busy.count(lifecycle.open_session(own, user_id="ada", agent="demo", model="m", gateway_id="gw"))
    job = new_job(own)
    busy.count(admission.admit(job, "gw", 1))
    busy.run(transitions.claim(job.id, "w"))
    said = items.Message(1, "item_1", "user", [{"type": "input_text", "text": "hello"}])
    asked: dict[str, Any] = {
        "admit": admission.admit(new_job(own), "gw", 1),
        "admit_all": admission.admit_all([admission.admit(new_job(each), "gw", 1) for each in (own, busy.session)]),
        "read_all_ready": deliveries.read_all_ready([deliveries.read_ready(own, "gw", 1)] * 2),
        "finished_as": transitions.finished_as(job.id, "w", 1, JobState.SUCCEEDED),
        "hand_back": transitions.hand_back("w"),
        "progress_in": transitions.progress_in(own),
        "wanted_tool": gates.wanted_tool(job.id),
        "load_around": gates.load_around(job.id, "tool 1"),
        "pass_on": passing.pass_on(job.id, 1),
        "lock of controls": controls.lock("queue 1", "tool 1"),
        "running_in": gates.running_in("queue 1"),
        "wake_first": gates.wake_first("tool 1"),
        "read_ready": deliveries.read_ready(own, "gw", 1),
        "mark": deliveries.mark(own, "gw", 1, [job.id], [job.id], 1),
        "save": items.save(own, "gw", 1, [said]),
        "replay": items.replay(own, "gw", 1),
        "log_of_messages": items.log_of_messages(own),
        "log_of_calls": items.log_of_calls(own),
        "record": usage.record([usage.ResponseUsage(own, "resp_1", 1, "completed", Usage(), None)]),
        "usage_so_far": usage.usage_so_far(own, "default", "ada", frozenset({"session", "user", "tenant"})),
        "count_sessions": session_quota.count_sessions("default", "ada", Limits(10, 10)),
        "is_owned": lifecycle.is_owned(own, "gw", 1),
        "next_epoch": lifecycle.next_epoch(own, "gw", 1),
        "detach": lifecycle.detach(own, "gw", 1),
        "end_session": lifecycle.end_session(own, "gw", 1, "client_left"),
        "keep_for_history": lifecycle.keep_for_history(own),
        "cancel_calls": session_end.cancel_calls(session_end.one_session(own, "default")),
    }
    for name, statement in asked.items():
        is_flat(busy, name, statement, small={"sessions", "jobs"})


@pytest.mark.parametrize("which", ["mark", "note_told"])
def test_a_result_is_found_by_its_id_however_many_calls_its_session_has(busy: Rows, which: str) -> None:
    """With the plan that Postgres makes once for all parameters: a connection has it from the sixth time on."""
    waiting(busy, 20_000)
    held = busy.session, "gw", 1
    marked = deliveries.mark(*held, [], [], 1) if which == "mark" else deliveries.note_told(*held, [], 0.0)
    given = ", ".join(["NULL"] * len(marked.parameters))
    asked = f"PREPARE marked AS {marked.text.decode()}", "SET LOCAL plan_cache_mode = force_generic_plan"
    for statement in asked:
        busy.connection.exec_driver_sql(statement)
    seen = "\n".join(busy.connection.exec_driver_sql(f"EXPLAIN EXECUTE marked ({given})").scalars())
    busy.connection.exec_driver_sql("DEALLOCATE marked")
    busy.connection.rollback()
    assert re.findall(r"(?:Index Scan|Scan) (?:using|on) (\w*jobs\w*)", seen).count("pk_jobs") == 2, seen
    assert not re.search(r"uq_jobs|ix_jobs|Seq Scan on jobs", seen), seen


def test_the_steps_of_calls_are_found_by_their_ids_however_many_there_are(busy: Rows) -> None:
    job = waiting(busy, 20_000)
    events = "INSERT INTO job_events (job_id, state, delivery, attempt) SELECT id, 'pending', 'none', 0 FROM jobs"
    busy.connection.execute(text(events))
    busy.connection.commit()
    assert "ix_job_events_job_id" in is_flat(busy, "steps_of", steps.steps_of([job, uuid4()]))


def test_a_page_that_is_opened_after_a_night_reads_the_newest_events_alone(busy: Rows) -> None:
    waiting(busy, 20_000)
    events = (
        "INSERT INTO job_events (job_id, tenant, state, delivery, attempt) SELECT id, :tenant, 'x', 'none', 0 FROM jobs"
    )
    for tenant in ("of yesterday", "default"):
        busy.connection.execute(text(events), {"tenant": tenant})
    busy.connection.commit()
    asked = changes.changed_tenants(0)
    assert [row.tenant for row in busy.run(asked)] == ["default"]
    is_flat(busy, "changed_tenants", asked)


def test_what_joined_a_call_is_found_by_that_call_however_many_wait(busy: Rows) -> None:
    waiting(busy, 20_000)
    joined = text("SELECT id FROM jobs WHERE joined_to = CAST(:id AS uuid) AND state || '' = 'pending'")
    assert "ix_jobs_joined" in is_flat(busy, "jobs_end_joined", joined.bindparams(id=str(uuid4())))
    (body,) = busy.run(select(text("prosrc FROM pg_proc WHERE proname = 'jobs_end_joined'")))
    assert "joined_to = NEW.id AND state || '' = 'pending'" in body[0]


def test_a_redis_that_forgot_gets_a_backlog_in_batches_that_are_found_in_order(busy: Rows) -> None:
    waiting(busy, 20_000)
    seen = plan(busy, sweeps.publish_again())
    assert "ix_jobs_to_publish" in seen
    assert "Sort" not in seen


# — what is over —


@pytest.fixture(scope="module", params=[60_000, pytest.param(400_000, marks=pytest.mark.long)])
def over(request: pytest.FixtureRequest, database_url: str, migrated_template: str) -> Iterator[Rows]:
    """Yield a year's history: half of it failed, tool by tool and queue by queue; a few calls were denied."""
    with own_database(database_url, "ringback_over", migrated_template) as url, world(url) as rows:
        with without_events(rows.connection), indexed_afterwards(rows.connection):
            rows.connection.execute(text(OVER_SESSIONS), {"number": request.param // 4})
            rows.connection.execute(text(OVER_JOBS), {"number": request.param})
        rows.connection.execute(text("ANALYZE"))
        rows.connection.commit()
        yield rows


def test_outcomes_of_several_calls_are_found_by_their_ids_in_a_table_of_any_size(
    database_url: str, migrated_template: str
) -> None:
    """Postgres takes a recordset for a hundred rows, and walks a table of some thousand pages rather than look for so
    many by key."""
    with own_database(database_url, "ringback_middling", migrated_template) as url, world(url) as rows:
        with without_events(rows.connection), indexed_afterwards(rows.connection):
            rows.connection.execute(text(OVER_SESSIONS), {"number": 2_500})
            rows.connection.execute(text(OVER_JOBS), {"number": 10_000})
        rows.connection.execute(text("ANALYZE"))
        rows.connection.commit()
        ends = [transitions.finish(*rows.running(), succeeded(1)) for _ in range(8)]
        is_flat(rows, "finish_all", finishing.finish_all(ends), small={"sessions"})


FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "a state that is rare": {"state": "unknown"},
    "a state that is common": {"state": "failed"},
    "states": {"state": "failed,unknown,dead"},
    "a tool": {"tool": "tool 7"},
    "a tool that is not there": {"tool": "no tool"},
    "a tool, in a state that it is never in": {"tool": "tool 7", "state": "failed"},
    "a queue": {"queue": "queue 2"},
    "a queue, in a rare state": {"queue": "queue 2", "state": "dead"},
    "an approval": {"approval": Approval.DENIED},
    "an approval that is not there": {"approval": Approval.REQUESTED, "tool": "tool 7"},
    "a tool in its queue": {"tool": "tool 7", "queue": "queue 2"},
    "a tool, of late": {"tool": "tool 7", "since": "1h"},
}


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("page", ["first", "later"])
def test_a_page_of_the_history_costs_the_same_whatever_is_asked_for(over: Rows, name: str, page: str) -> None:
    middle = over.run(select(jobs_table.c.created_at, jobs_table.c.id).order_by(jobs_table.c.created_at).limit(1))[0]
    after = {"after": cursor(middle)} if page == "later" else {}  # type: ignore[arg-type]
    execute(over.connection, tenant_isolation.restrict_to("default"))
    is_flat(over, name, history.page_of_jobs("default", JobQuery(**FILTERS[name], **after)), at_most=PAGES_OF_A_PAGE)


@pytest.mark.parametrize(
    "asked", [{}, {"agent": "agent 3"}, {"state": "detached"}, {"agent": "agent 3", "state": "open"}]
)
def test_a_page_of_sessions_costs_the_same_whatever_is_asked_for(over: Rows, asked: dict[str, str]) -> None:
    execute(over.connection, tenant_isolation.restrict_to("default"))
    is_flat(over, str(asked), history.page_of_sessions("default", SessionQuery(**asked)), at_most=PAGES_OF_A_PAGE)


SEARCHES: dict[str, dict[str, Any]] = {
    "none": {},
    "a state that is rare": {"state": "unknown"},
    "a tool": {"tool": "tool 7"},
    "a queue, in a rare state": {"queue": "queue 2", "state": "dead"},
    "a tool, of late": {"tool": "tool 7", "since": "1h"},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_a_page_of_the_consoles_search_costs_the_same_whatever_is_asked_for(over: Rows, name: str) -> None:
    execute(over.connection, tenant_isolation.restrict_to("default"))
    is_flat(over, name, job_search.page("default", JobSearch(**SEARCHES[name])), at_most=PAGES_OF_A_PAGE)


@pytest.mark.parametrize("name", SEARCHES)
def test_a_page_of_the_consoles_search_looks_no_call_up_again_by_its_id(over: Rows, name: str) -> None:
    execute(over.connection, tenant_isolation.restrict_to("default"))
    assert "pk_jobs" not in plan(over, job_search.page("default", JobSearch(**SEARCHES[name])))


@pytest.mark.parametrize("by", get_args(By))
def test_a_report_of_usage_reads_its_days_once(over: Rows, by: By) -> None:
    execute(over.connection, tenant_isolation.restrict_to("default"))
    assert plan(over, usage.groups("default", UsageQuery(group_by=by))).count("on usage_days") == 1


def test_what_the_console_reads_beside_its_search_walks_no_jobs(over: Rows) -> None:
    ids = [row.id for row in over.run(select(jobs_table.c.id).limit(50))]
    execute(over.connection, tenant_isolation.restrict_to("default"))
    is_flat(over, "contents", job_search.contents("default", ids), small={"sessions"}, at_most=PAGES_OF_A_PAGE)
    newest_and_their_sessions = 300 * 5  # a row's page at most, and four to find its session in a large table
    is_flat(over, "examples", job_search.examples("default"), small={"sessions"}, at_most=newest_and_their_sessions)
    searches = {"arguments": JobSearch(args=(Argument(("city",), "London"),)), "an agent": JobSearch(agent="agent 3")}
    for name, search in searches.items():
        asked = {
            "page": job_search.page("default", search),
            "edge": job_search.edge("default", search),
            "act": job_search.matching("default", search, 1_001, with_reruns=False),
            "act on these": job_search.among("default", search, ids),
        }
        for which, statement in asked.items():
            assert "Seq Scan on jobs" not in plan(over, statement), (name, which)
    assert "Seq Scan on jobs" not in plan(over, job_search.counts("default", JobSearch(since="1d"), 1_440))


def test_the_figures_of_a_window_read_no_more_than_the_calls_that_they_count(over: Rows) -> None:
    day = timedelta(days=1)
    for name, statement in {
        "queues": figures.live_queues(day),
        "tools": figures.live_tools_of("default", day),
        "a tenant's tools": figures.live_tools_of("other", day),
    }.items():
        is_flat(over, name, statement, at_most=figures.COUNTED_AT_MOST)


def test_what_ends_with_a_user_and_what_is_kept_no_longer_is_found_by_an_index(over: Rows) -> None:
    is_flat(over, "cancel_calls", session_end.cancel_calls(session_end.one_session(over.session, "default")))
    for days, at_most in ((0, PAGES_OF_A_DELETION), (KEPT_DAYS, BUFFERS_AT_MOST), (None, BUFFERS_AT_MOST)):
        is_flat(over, f"delete_over({days})", retention.delete_expired(days), at_most=at_most)
