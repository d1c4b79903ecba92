"""Lost, late and handed-over rows: workers, gateways, messages, detached sessions, cancelled calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Executable, select, update

from ringback.jobs.outcomes import succeeded
from ringback.statements import clock, processes
from ringback.statements.jobs import admission, sweeps, transitions
from ringback.statements.jobs.sweeps import TAKEN_AT_ONCE
from ringback.statements.sessions import lifecycle
from ringback.tables import jobs as jobs_table
from ringback.tables import processes as processes_table
from tests.integration.statements.statement_rows import ORDER, Rows, new_job, seconds_from_now, world
from tests.integration.statements.two_connections import both_sweep
from tests.servers import execute

SUNNY = succeeded("sunny")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def seconds_until(rows: Rows, moment: Any) -> float:
    return float((moment - rows.run(select(clock.now()))[0][0]).total_seconds())


def serve(rows: Rows, worker: str, *queues: str) -> None:
    changed = update(processes_table).where(processes_table.c.id == worker).values(queues=sorted(queues))
    assert rows.count(changed) == 1


# — workers —


def test_a_lost_worker_is_over_once_and_its_queues_are_told(rows: Rows) -> None:
    serve(rows, "w", "slow", "default")
    rows.lose("w")
    assert [(row.id, row.queues) for row in rows.run(processes.end_lost_workers("gw"))] == [("w", ["default", "slow"])]
    assert rows.run(processes.end_lost_workers("gw")) == []
    assert rows.count(processes.renew("w")) == 0, "it must stop, and begin anew"


def test_a_gateway_whose_lease_ran_out_is_not_over(rows: Rows) -> None:
    rows.lose("gw2")
    assert rows.run(processes.end_lost_workers("gw")) == []
    assert rows.count(processes.renew("gw2")) == 1


@pytest.mark.parametrize("sweeper", ["back", "lost", "unheard-of"])
@pytest.mark.parametrize("sweep", [processes.end_lost_workers, sweeps.take_back_lost, sweeps.release_lost_sessions])
def test_who_is_not_steady_declares_nobody_lost(rows: Rows, sweep: Any, sweeper: str) -> None:
    rows.running()
    for process in ("w", "gw"):
        rows.lose(process)
    rows.count(processes.register("back", "worker", "here", 1))
    rows.count(processes.register("lost", "worker", "here", 1))
    rows.lose("lost")
    assert rows.run(sweep(sweeper)) == []
    assert len(rows.run(sweep("gw2"))) >= 1


# — sessions of a lost gateway, and sessions that no client resumes —


def test_a_session_of_a_lost_gateway_may_be_resumed_for_as_long_as_it_was_promised(rows: Rows) -> None:
    rows.set_session(resume_hash=b"token", resume_seconds=60.0, state="draining")
    rows.lose("gw")
    assert [(row.id, row.state) for row in rows.run(sweeps.release_lost_sessions("w"))] == [(rows.session, "detached")]
    row = rows.session_row()
    assert (row.ended_at, row.end_reason, row.resume_hash) == (None, None, b"token")
    assert seconds_until(rows, row.resume_until) == pytest.approx(60, abs=5)
    assert rows.run(sweeps.release_lost_sessions("w")) == []


def test_a_session_that_ends_unresumed_keeps_its_answers_for_the_history(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    rows.set_state("detached", resume_hash=b"token")
    assert rows.run(sweeps.end_unresumed()) == []
    rows.set_session(resume_until=seconds_from_now(-0.01))
    assert [row.id for row in rows.run(sweeps.end_unresumed())] == [rows.session]
    assert rows.session_row().resume_hash is None
    assert rows.count(sweeps.keep_late_results()) == 1
    assert rows.job(job).delivery == "history_only"
    assert rows.run(sweeps.end_unresumed()) == []


def test_a_draining_gateway_holds_its_sessions_and_nobody_elses(rows: Rows) -> None:
    assert rows.count(lifecycle.drain("gw2")) == 0
    assert rows.count(lifecycle.drain("gw")) == 1
    assert rows.session_row().state == "draining"
    assert rows.count(lifecycle.drain("gw")) == 0
    assert [(row.id, row.epoch) for row in rows.run(lifecycle.held_sessions("gw"))] == [(rows.session, 1)]
    assert rows.count(admission.admit(new_job(rows.session), "gw", 1)) == 1, "what is under way goes on"


@pytest.mark.parametrize("state", ["detached", "ended"])
def test_what_nobody_holds_is_not_held(rows: Rows, state: str) -> None:
    rows.set_state(state)
    assert rows.run(lifecycle.held_sessions("gw")) == []
    assert rows.run(lifecycle.is_owned(rows.session, "gw", 1)) == []
    assert rows.run(lifecycle.next_epoch(rows.session, "gw", 1)) == []


def test_what_the_client_set_is_kept_by_the_owner_in_its_epoch(rows: Rows) -> None:
    asked = {"audio": {"output": {"voice": "marin"}}}
    for gateway, epoch in (("gw2", 1), ("gw", 2)):
        assert rows.count(lifecycle.save_client_session(rows.session, gateway, epoch, asked)) == 0
    assert rows.count(lifecycle.save_client_session(rows.session, "gw", 1, asked)) == 1
    assert rows.session_row().client_session == asked


def test_a_new_epoch_has_another_conversation_upstream(rows: Rows) -> None:
    rows.set_session(upstream_id="sess_1")
    assert [row.epoch for row in rows.run(lifecycle.next_epoch(rows.session, "gw", 1))] == [2]
    assert rows.session_row().upstream_id is None


def test_a_gateway_that_lost_its_lease_begins_no_epoch(rows: Rows) -> None:
    rows.lose("gw")
    assert rows.run(lifecycle.next_epoch(rows.session, "gw", 1)) == []


# — messages that may be gone —


def due(rows: Rows) -> set[Any]:
    return {row.id for row in rows.run(sweeps.publish_due())}


def test_what_was_published_is_published_again_when_its_queue_lost_a_worker(rows: Rows) -> None:
    published, elsewhere = rows.asked(publish_count=3), rows.asked(publish_count=3, queue="slow")
    rows.asked(), rows.running()
    assert rows.count(sweeps.publish_taken("default")) == 1
    assert due(rows) == {published}
    assert rows.count(sweeps.publish_taken("unheard-of")) == 0
    assert rows.count(sweeps.publish_taken("slow")) == 1
    assert due(rows) == {elsewhere}


def test_everything_published_is_published_again_when_redis_forgot(rows: Rows) -> None:
    asked = {rows.asked(publish_count=count, queue=queue) for count, queue in ((1, "default"), (4, "slow"))}
    assert rows.count(sweeps.publish_again()) == 2
    assert due(rows) == asked


def test_what_a_gateway_has_published_just_now_may_be_gone_as_well(rows: Rows) -> None:
    fresh = rows.asked()
    assert due(rows) == set()
    rows.count(sweeps.publish_taken("default"))
    assert due(rows) == set(), "a lost worker's queue is suspected of what a sweeper has published"
    rows.count(sweeps.publish_again())
    assert due(rows) == {fresh}


def test_the_pause_of_what_is_published_again_goes_on_growing(rows: Rows) -> None:
    job = rows.asked(publish_count=3)
    rows.count(sweeps.publish_taken("default"))
    assert due(rows) == {job}
    assert rows.job(job).publish_count == 4


def test_a_retry_waits_its_backoff_whatever_was_lost(rows: Rows) -> None:
    job, token = rows.running(publish_count=2)
    assert rows.count(transitions.retry(job, token, {"code": "busy", "message": ""}, 5)) == 1
    assert rows.count(sweeps.publish_again()) == 0
    assert due(rows) == set()


def test_the_oldest_of_a_long_queue_are_published_first(rows: Rows) -> None:
    for _ in range(TAKEN_AT_ONCE + 1):
        execute(rows.connection, admission.admit(new_job(rows.session), "gw", 1))
    rows.connection.execute(update(jobs_table).values(publish_count=1, publish_after=seconds_from_now(30)))
    rows.connection.commit()
    youngest = rows.asked(publish_count=1, publish_after=seconds_from_now(30))
    assert rows.count(sweeps.publish_taken("default")) == TAKEN_AT_ONCE
    assert youngest not in due(rows)


@pytest.mark.parametrize(
    "sweep",
    [
        processes.end_lost_workers("gw2"),
        sweeps.end_unresumed(),
        sweeps.publish_again(),
        sweeps.publish_taken("default"),
    ],
    ids=["workers", "sessions", "messages", "messages of a queue"],
)
def test_what_one_sweeper_holds_another_leaves_to_it(database: str, rows: Rows, sweep: Executable) -> None:
    rows.asked(publish_count=1)
    rows.set_state("detached")
    rows.set_session(resume_until=seconds_from_now(-1))
    rows.lose("w")
    first, second = both_sweep(database, rows, sweep)
    assert (len(first), len(second)) == (1, 0)


# — handed back, cancelled —


def test_a_job_may_be_handed_back_again_and_again(rows: Rows) -> None:
    job = rows.asked()
    for attempt in range(1, 6):
        (claimed,) = rows.run(transitions.claim(job, "w"))
        assert (claimed.attempt, claimed.max_attempts) == (attempt, attempt + 1)
        assert len(rows.run(transitions.hand_back("w"))) == 1
    assert rows.job(job).error == {"code": "handed_back"}
    assert due(rows) == {job}


@pytest.mark.parametrize("columns", [{"effect_started": True}, {"cancel_requested": True}], ids=str)
def test_what_is_over_when_it_is_handed_back_is_kept_where_nobody_hears_it(rows: Rows, columns: Any) -> None:
    job, _ = rows.running(ORDER, **columns)
    rows.set_state("ended")
    assert len(rows.run(transitions.hand_back("w"))) == 1
    assert rows.job(job).delivery == "history_only"


def test_a_call_of_a_session_that_is_over_is_cancelled_for_the_history(rows: Rows) -> None:
    job = rows.asked()
    rows.set_state("ended")
    assert [row.state for row in rows.run(transitions.cancel(job, "default"))] == ["cancelled"]
    assert rows.job(job).delivery == "history_only"


def test_a_call_that_is_over_is_not_cancelled(rows: Rows) -> None:
    job = rows.answered(SUNNY)
    assert rows.run(transitions.cancel(job, "default")) == []
    assert rows.job(job).cancel_requested is False


def test_after_a_cancellation_no_effect_begins_and_nothing_is_tried_again(rows: Rows) -> None:
    job, token = rows.running(ORDER, max_attempts=3)
    assert [row.state for row in rows.run(transitions.cancel(job, "default"))] == ["running"]
    assert rows.count(transitions.begin_effect(job, token)) == 0
    assert rows.count(transitions.retry(job, token, {"code": "busy", "message": ""}, 0)) == 0
    rows.lose("w")
    assert [row.state for row in rows.run(sweeps.take_back_lost("gw"))] == ["cancelled"]
