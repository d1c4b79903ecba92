"""Sweeps in real rows: publish again, take back, time out; any number at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from ringback.jobs.outcomes import MESSAGES, from_row, succeeded
from ringback.postgres.statement import Runnable
from ringback.statements import clock, processes
from ringback.statements.jobs import admission, deliveries, sweeps, transitions
from ringback.statements.jobs.sweeps import AT_ONCE, FENCE_GRACE_SECONDS, MAX_RESCUES
from ringback.statements.jobs.transitions import outcome_of
from ringback.tables import jobs as jobs_table
from ringback.tables import processes as processes_table
from tests.integration.statements.statement_rows import (
    ORDER,
    WEATHER,
    Rows,
    connected,
    new_job,
    seconds_from_now,
    world,
)
from tests.integration.statements.two_connections import both_sweep
from tests.servers import execute

SUNNY = succeeded({"sky": "clear"})
PAST = seconds_from_now(-FENCE_GRACE_SECONDS - 0.1)


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def swept(rows: Rows, job: Any) -> tuple[str, str, dict[str, str] | None]:
    """Return a job's state, delivery and error after a sweep."""
    row = rows.job(job)
    assert row.token is None
    return row.state, row.delivery, row.error


# — published again —


def test_a_message_that_nobody_claimed_is_published_again_in_ever_longer_pauses(rows: Rows) -> None:
    job = rows.asked()
    assert rows.count(sweeps.publish_due()) == 0, "the gateway's own publish comes first"
    pauses = []
    for _ in range(6):
        rows.set(job, publish_after=seconds_from_now(-0.01))
        (due,) = rows.run(sweeps.publish_due())
        assert (due.id, due.queue) == (job, "default")
        assert rows.count(sweeps.publish_due()) == 0, "it was just published"
        row = rows.job(job)
        now = rows.run(select(clock.now()))[0][0]
        pauses.append(round((row.publish_after - now).total_seconds()))
    assert pauses == [2, 4, 8, 16, 32, 32]


@pytest.mark.parametrize("state", ["running", "over"])
def test_what_is_not_pending_is_not_published(rows: Rows, state: str) -> None:
    job = rows.running()[0] if state == "running" else rows.answered(SUNNY)
    rows.set(job, publish_after=seconds_from_now(-1))
    assert rows.count(sweeps.publish_due()) == 0


def test_a_retry_is_published_when_its_backoff_is_over(rows: Rows) -> None:
    job, token = rows.running()
    rows.count(transitions.retry(job, token, {"code": "busy", "message": ""}, 5))
    assert rows.count(sweeps.publish_due()) == 0
    rows.set(job, publish_after=seconds_from_now(-0.01))
    assert rows.count(sweeps.publish_due()) == 1


# — taken back —


def test_a_worker_that_lives_keeps_its_jobs(rows: Rows) -> None:
    rows.running()
    assert rows.count(sweeps.take_back_lost("gw")) == 0


@pytest.mark.parametrize("how", ["lease", "retired", "forgotten"])
def test_the_job_of_a_lost_worker_is_to_be_run_again(rows: Rows, how: str) -> None:
    job, token = rows.running()
    if how == "lease":
        rows.lose("w")
    elif how == "retired":
        rows.count(processes.retire("w"))
    else:
        rows.connection.execute(processes_table.delete().where(processes_table.c.id == "w"))
        rows.connection.commit()
    (taken,) = rows.run(sweeps.take_back_lost("gw"))
    assert (taken.id, taken.session_id, taken.state) == (job, rows.session, "pending")
    assert rows.job(job).finished_at is None
    assert rows.count(sweeps.publish_due()) == 1, "at once"
    assert rows.count(transitions.finish(job, token, SUNNY)) == 0, "the lost worker is fenced"
    assert rows.count(transitions.claim(job, "w2")) == 1


def test_only_the_lost_workers_jobs_are_taken_back(rows: Rows) -> None:
    lost, _ = rows.running()
    kept, token = rows.running(worker="w2")
    rows.lose("w")
    assert [row.id for row in rows.run(sweeps.take_back_lost("gw"))] == [lost]
    assert rows.count(transitions.finish(kept, token, SUNNY)) == 1


def test_a_rescue_uses_up_none_of_the_tools_own_attempts(rows: Rows) -> None:
    job, _ = rows.running()
    rows.lose("w")
    rows.count(sweeps.take_back_lost("gw"))
    runs = 0
    while claimed := rows.run(transitions.claim(job, "w2")):
        runs += 1
        rows.count(transitions.retry(job, claimed[0].token, {"code": "busy", "message": ""}, 0))
    assert runs == WEATHER.retries + 1


def test_a_job_that_loses_one_worker_after_another_is_dead(rows: Rows) -> None:
    job = rows.asked()
    rows.lose("w")
    for _ in range(MAX_RESCUES):
        assert rows.count(transitions.claim(job, "w")) == 1
        assert [row.state for row in rows.run(sweeps.take_back_lost("gw"))] == ["pending"]
    assert rows.count(transitions.claim(job, "w")) == 1
    assert [row.state for row in rows.run(sweeps.take_back_lost("gw"))] == ["dead"]
    assert swept(rows, job) == ("dead", "ready", {"code": "worker_lost"})
    assert from_row(**outcome_of(rows.job(job))).message == MESSAGES["worker_lost"]
    assert rows.count(sweeps.take_back_lost("gw")) == 0


def test_an_at_most_once_job_whose_effect_may_have_happened_is_unknown(rows: Rows) -> None:
    job, token = rows.running(ORDER)
    assert rows.count(transitions.begin_effect(job, token)) == 1
    rows.lose("w")
    assert rows.count(sweeps.take_back_lost("gw")) == 1
    assert swept(rows, job) == ("unknown", "ready", {"code": "outcome_unknown"})
    assert rows.count(transitions.claim(job, "w2")) == 0, "it is never run again"


def test_an_at_most_once_job_whose_effect_had_not_begun_is_run_by_another(rows: Rows) -> None:
    job, token = rows.running(ORDER)
    rows.lose("w")
    assert [row.state for row in rows.run(sweeps.take_back_lost("gw"))] == ["pending"]
    assert rows.count(transitions.begin_effect(job, token)) == 0, "the first worker may not begin it any more"
    (again,) = rows.run(transitions.claim(job, "w2"))
    assert rows.count(transitions.begin_effect(job, again.token)) == 1


def test_a_cancelled_job_of_a_lost_worker_is_cancelled(rows: Rows) -> None:
    job, _ = rows.running(cancel_requested=True)
    rows.lose("w")
    assert rows.count(sweeps.take_back_lost("gw")) == 1
    assert swept(rows, job) == ("cancelled", "ready", {"code": "cancelled"})


SWEEPS_OF_THE_LOST: list[Callable[[str], Runnable]] = [sweeps.take_back_lost, sweeps.release_lost_sessions]


@pytest.mark.parametrize("sweep", SWEEPS_OF_THE_LOST, ids=["jobs", "sessions"])
@pytest.mark.parametrize(
    "columns",
    [
        {"steady_since": seconds_from_now(-1)},
        {"lease_until": seconds_from_now(-0.01)},
        {"ended_at": seconds_from_now(0)},
    ],
    ids=["has just come back", "has lost its own lease", "has retired"],
)
def test_a_process_that_is_not_steady_declares_nobody_lost(
    rows: Rows, sweep: Callable[[str], Runnable], columns: dict[str, Any]
) -> None:
    rows.running()
    rows.lose("w")
    rows.lose("gw")
    rows.count(update(processes_table).where(processes_table.c.id == "gw2").values(**columns))
    assert rows.count(sweep("gw2")) == 0
    assert rows.count(sweep("nobody")) == 0


# — timed out —


@pytest.mark.parametrize("state", ["pending", "running"])
def test_a_job_past_its_deadline_is_timed_out_and_answered(rows: Rows, state: str) -> None:
    job, token = (rows.asked(), None) if state == "pending" else rows.running()
    rows.set(job, deadline_at=seconds_from_now(0.0))
    assert rows.count(sweeps.time_out_overdue()) == 0, "a worker reports its own time-out first"
    rows.set(job, deadline_at=PAST)
    (overdue,) = rows.run(sweeps.time_out_overdue())
    assert (overdue.id, overdue.session_id, overdue.state) == (job, rows.session, "timed_out")
    assert swept(rows, job) == ("timed_out", "ready", {"code": "timed_out"})
    assert rows.count(sweeps.time_out_overdue()) == 0
    if token:
        assert rows.count(transitions.finish(job, token, SUNNY)) == 0, "the late worker is fenced"


@pytest.mark.parametrize(("begun", "state"), [(True, "unknown"), (False, "timed_out")])
def test_an_overdue_at_most_once_job_is_unknown_from_where_its_effect_began(
    rows: Rows, begun: bool, state: str
) -> None:
    job, token = rows.running(ORDER)
    if begun:
        rows.count(transitions.begin_effect(job, token))
    rows.set(job, deadline_at=PAST)
    assert [row.state for row in rows.run(sweeps.time_out_overdue())] == [state]
    assert rows.count(transitions.begin_effect(job, token)) == 0


def test_an_answer_that_a_sweeper_made_is_delivered_like_any_other(rows: Rows) -> None:
    job = rows.asked(deadline_at=PAST)
    rows.count(sweeps.time_out_overdue())
    (taken,) = rows.run(deliveries.read_ready(rows.session, "gw", 1))
    assert taken.id == job
    assert "did not finish in time" in from_row(**outcome_of(taken)).output()


# — sessions of a lost gateway —


def test_the_sessions_of_a_lost_gateway_end_and_their_answers_are_kept(rows: Rows) -> None:
    ready, running = rows.answered(SUNNY), rows.running()
    rows.lose("gw")
    assert [row.id for row in rows.run(sweeps.release_lost_sessions("gw2"))] == [rows.session]
    assert (rows.session_row().state, rows.session_row().end_reason) == ("ended", "gateway_lost")
    assert rows.count(sweeps.keep_late_results()) == 1
    assert rows.job(ready).delivery == "history_only"
    job, token = running
    assert rows.count(transitions.finish(job, token, SUNNY)) == 1, "the work goes on, and its result is kept"
    assert rows.job(job).delivery == "history_only"
    assert rows.count(sweeps.release_lost_sessions("gw2")) == 0


def test_the_sessions_of_a_gateway_that_lives_go_on(rows: Rows) -> None:
    rows.answered(SUNNY)
    rows.lose("gw2")
    assert rows.count(sweeps.release_lost_sessions("gw")) == 0
    assert rows.count(sweeps.keep_late_results()) == 0


# — many at once —


def many_asked(rows: Rows, number: int, **columns: Any) -> None:
    for _ in range(number):
        execute(rows.connection, admission.admit(new_job(rows.session), "gw", 1))
    rows.connection.execute(update(jobs_table).values(**columns))
    rows.connection.commit()


@pytest.mark.parametrize(
    ("columns", "sweep"),
    [
        ({"publish_after": seconds_from_now(-1)}, sweeps.publish_due()),
        ({"deadline_at": PAST}, sweeps.time_out_overdue()),
    ],
    ids=["publish", "time out"],
)
def test_two_sweepers_take_different_rows_and_wait_for_nobody(
    database: str, rows: Rows, columns: dict[str, Any], sweep: Runnable
) -> None:
    many_asked(rows, AT_ONCE + 20, **columns)
    first, second = both_sweep(database, rows, sweep)
    assert len(first) == AT_ONCE
    assert len(second) == 20
    assert not {row.id for row in first} & {row.id for row in second}
    assert rows.count(sweep) == 0


def test_a_row_that_somebody_holds_is_left_to_them(database: str, rows: Rows) -> None:
    held, free = rows.running()[0], rows.running()[0]
    rows.lose("w")
    with connected(database) as other:
        other.execute(select(jobs_table.c.id).where(jobs_table.c.id == held).with_for_update())
        assert [row.id for row in rows.run(sweeps.take_back_lost("gw"))] == [free]
        other.rollback()
    assert [row.id for row in rows.run(sweeps.take_back_lost("gw"))] == [held]


def test_two_sweepers_end_each_lost_session_once(database: str, rows: Rows) -> None:
    rows.lose("gw")
    first, second = both_sweep(database, rows, sweeps.release_lost_sessions("gw2"))
    assert [row.id for row in first] == [rows.session]
    assert not second


def test_a_job_that_is_finished_while_a_sweeper_looks_keeps_its_result(database: str, rows: Rows) -> None:
    job, token = rows.running()
    rows.set(job, deadline_at=PAST)
    with connected(database) as worker:
        assert execute(worker, transitions.finish(job, token, SUNNY)).all()
        assert rows.count(sweeps.time_out_overdue()) == 0
        worker.commit()
    assert rows.count(sweeps.time_out_overdue()) == 0
    assert rows.job(job).state == "succeeded"
