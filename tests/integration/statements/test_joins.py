"""A joined call ends as the first call does, with any outcome, and never runs itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from ringback.jobs.outcomes import failed, from_row, succeeded, timed_out
from ringback.jobs.states import CancelReason, JobState
from ringback.statements.jobs import admission, deliveries, sweeps, transitions
from ringback.statements.jobs.transitions import outcome_of
from ringback.statements.sessions import items, lifecycle
from tests.integration.statements.statement_rows import ORDER, WEATHER, Rows, new_job, seconds_from_now, world
from tests.integration.statements.two_connections import Other, another

SUNNY = succeeded({"sky": "clear"})
ASKS = replace(WEATHER, behavior=replace(WEATHER.behavior, requires_approval=True, approval_seconds=5.0))


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def waiting(rows: Rows) -> UUID:
    return rows.asked()


def runs(rows: Rows) -> UUID:
    return rows.running()[0]


def finish_with(outcome: object) -> Callable[[Rows, UUID], None]:
    def end(rows: Rows, job: UUID) -> None:
        assert rows.count(transitions.finish(job, rows.job(job).token, outcome)) == 1  # type: ignore[arg-type]

    return end


def cancel(rows: Rows, job: UUID) -> None:
    assert rows.count(transitions.cancel(job, "default", CancelReason.BARGE_IN)) == 1


def cancel_and_leave(rows: Rows, job: UUID) -> None:
    cancel(rows, job)
    assert rows.count(transitions.hand_back("w")) == 1


def overdue(rows: Rows, job: UUID) -> None:
    rows.set(job, deadline_at=seconds_from_now(-2))
    assert job in {row.id for row in rows.run(sweeps.time_out_overdue())}


def lost_for_good(rows: Rows, job: UUID) -> None:
    rows.set(job, rescues=sweeps.MAX_RESCUES)
    rows.lose("w")
    assert rows.count(sweeps.take_back_lost("gw")) == 1


def lost_in_its_effect(rows: Rows, job: UUID) -> None:
    rows.set(job, effect="at_most_once", effect_started=True)
    rows.lose("w")
    assert rows.count(sweeps.take_back_lost("gw")) == 1


def given_up_unwanted(rows: Rows, job: UUID) -> None:
    cancel(rows, job)
    assert rows.count(transitions.give_up_claims([job], [rows.job(job).token])) == 1


@pytest.mark.parametrize(
    ("begin", "end", "state"),
    [
        (runs, finish_with(SUNNY), "succeeded"),
        (runs, finish_with(succeeded(None)), "succeeded"),
        (runs, finish_with(failed("no_such_city", "There is no such city.")), "failed"),
        (runs, finish_with(timed_out()), "timed_out"),
        (runs, overdue, "timed_out"),
        (waiting, overdue, "timed_out"),
        (waiting, cancel, "cancelled"),
        (runs, cancel_and_leave, "cancelled"),
        (runs, given_up_unwanted, "cancelled"),
        (runs, lost_for_good, "dead"),
        (runs, lost_in_its_effect, "unknown"),
    ],
)
def test_all_that_have_joined_a_call_end_as_it_does_and_their_answers_are_taken_with_its(
    rows: Rows, begin: Callable[[Rows], UUID], end: Callable[[Rows, UUID], None], state: str
) -> None:
    first = begin(rows)
    second, third = rows.joining(first), rows.joining(first)
    end(rows, first)
    whole = rows.job(first)
    assert whole.state == state
    for job in (second, third):
        row = rows.job(job)
        assert (row.state, row.result, row.error, row.cancel_reason, row.finished_at, row.delivery) == (
            *(whole.state, whole.result, whole.error, whole.cancel_reason, whole.finished_at, "ready"),
        )
        assert rows.steps(job) == ["pending/none", f"{state}/ready"]
    taken = rows.run(deliveries.read_ready(rows.session, "gw", 1))
    assert {row.id for row in taken} == {first, second, third}
    assert len({from_row(**outcome_of(row)).output() for row in taken}) == 1


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_call_that_joins_one_that_is_over_is_born_finished(rows: Rows, state: str) -> None:
    first, token = rows.running()
    if state == "cancelled":
        cancel_and_leave(rows, first)
    else:
        rows.count(transitions.finish(first, token, SUNNY if state == "succeeded" else failed("x", "No.")))
    second = rows.job(rows.joining(first))
    whole = rows.job(first)
    assert (second.state, second.result, second.error, second.cancel_reason, second.delivery) == (
        *(state, whole.result, whole.error, whole.cancel_reason, "ready"),
    )
    assert second.created_at <= second.finished_at
    assert rows.steps(second.id) == [f"{state}/ready"]


def test_a_joined_call_is_never_claimed_published_or_taken_back(rows: Rows) -> None:
    second = rows.joining(rows.asked(publish_count=1))
    assert rows.count(transitions.claim(second, "w")) == 0
    assert rows.job(second).publish_after is None
    assert second not in {row.id for row in rows.run(sweeps.publish_due())}
    assert rows.count(sweeps.publish_again()) == 1
    assert rows.count(sweeps.publish_taken("default")) == 1
    assert rows.job(second).publish_after is None
    assert not rows.move(second, state=JobState.RUNNING, token=second)


def test_a_joined_call_waits_while_the_one_it_joined_is_taken_back_tried_again_and_handed_back(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    assert rows.count(transitions.retry(first, token, {"code": "busy", "message": ""}, 0)) == 1
    assert rows.count(transitions.claim(first, "w")) == 1
    assert rows.count(transitions.hand_back("w")) == 1
    assert rows.count(transitions.claim(first, "w2")) == 1
    rows.lose("w2")
    assert rows.count(sweeps.take_back_lost("gw")) == 1
    assert (rows.job(first).state, rows.job(second).state) == ("pending", "pending")
    (claimed,) = rows.run(transitions.claim(first, "w"))
    assert rows.count(transitions.finish(first, claimed.token, SUNNY)) == 1
    assert (rows.job(second).state, rows.steps(second)) == ("succeeded", ["pending/none", "succeeded/ready"])


def test_a_joined_call_that_is_cancelled_leaves_the_other_alone_and_keeps_its_own_end(rows: Rows) -> None:
    first, token = rows.running()
    second, third = rows.joining(first), rows.joining(first)
    assert [row.state for row in rows.run(transitions.cancel(second, "default"))] == ["cancelled"]
    assert (rows.job(first).state, rows.job(first).cancel_requested) == ("running", False)
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    assert [rows.job(job).state for job in (second, third)] == ["cancelled", "succeeded"]


def test_a_joined_calls_time_is_up_when_that_of_the_one_it_joined_is(rows: Rows) -> None:
    first = rows.asked()
    second = rows.joining(first)
    rows.set(second, deadline_at=seconds_from_now(-2))
    assert rows.count(sweeps.time_out_overdue()) == 0
    rows.set(first, deadline_at=seconds_from_now(-2))
    assert [row.id for row in rows.run(sweeps.time_out_overdue())] == [first]
    assert rows.steps(second) == ["pending/none", "timed_out/ready"]


def test_a_joined_call_that_the_end_of_the_other_missed_is_answered_all_the_same(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    rows.connection.exec_driver_sql("SET session_replication_role = replica")  # No trigger ends it.
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    rows.connection.exec_driver_sql("SET session_replication_role = origin")
    assert rows.job(second).state == "pending"
    rows.set(second, deadline_at=seconds_from_now(-2))
    assert [row.id for row in rows.run(sweeps.time_out_overdue())] == [second]
    assert rows.job(second).error == {"code": "timed_out"}


def test_who_joins_a_joined_call_joins_the_first_and_is_not_ended_by_the_one_between(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    third = rows.joining(second)
    assert rows.job(third).joined_to == first
    cancel(rows, second)
    fourth = rows.joining(second)
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    assert [rows.job(job).state for job in (second, third, fourth)] == ["cancelled", "succeeded", "succeeded"]


def test_no_call_joins_one_of_another_session(rows: Rows) -> None:
    foreign = rows.asked()
    session = UUID(int=7)
    rows.count(lifecycle.open_session(session, user_id="eve", agent="demo", model="m", gateway_id="gw"))
    for target in (foreign, UUID(int=8)):
        with pytest.raises(IntegrityError, match="joins no job of its session"):
            rows.run(admission.admit(new_job(session, joined_to=target), "gw", 1))
        rows.connection.rollback()


def test_a_repeated_call_that_joins_makes_no_second_job(rows: Rows) -> None:
    first = rows.asked()
    job = new_job(rows.session, joined_to=first)
    assert rows.count(admission.admit(job, "gw", 1)) == 1
    assert rows.count(admission.admit(job, "gw", 1)) == 0


@pytest.mark.parametrize(("outcome", "says"), [(SUNNY, "clear"), (failed("x", "No."), "No.")], ids=["ends", "fails"])
def test_a_rebuilt_conversation_takes_in_both_answers(rows: Rows, outcome: object, says: str) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    rows.count(transitions.finish(first, token, outcome))  # type: ignore[arg-type]
    assert rows.count(lifecycle.next_epoch(rows.session, "gw", 1)) == 1
    assert {row.id for row in rows.run(items.replay(rows.session, "gw", 2))} == {first, second}
    assert says in from_row(**outcome_of(rows.job(second))).output()


def test_answers_that_come_after_the_end_are_both_kept_for_the_history(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "client_closed_1000")) == 1
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    assert [rows.job(job).delivery for job in (first, second)] == ["history_only", "history_only"]


def test_answers_that_came_as_the_session_ended_are_both_kept_by_a_sweeper(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    rows.set_state("ended")
    assert rows.count(sweeps.keep_late_results()) == 2
    assert rows.job(second).delivery == "history_only"


def test_a_second_call_of_an_order_is_answered_by_the_first_and_runs_nothing_twice(rows: Rows) -> None:
    first, token = rows.running(ORDER)
    assert rows.count(transitions.begin_effect(first, token)) == 1
    second = new_job(rows.session, ORDER, joined_to=first)
    assert rows.count(admission.admit(second, "gw", 1)) == 1
    assert rows.count(transitions.finish(first, token, succeeded("A-1"))) == 1
    row = rows.job(second.id)
    assert (row.result, row.attempt, row.effect_started) == ("A-1", 0, False)
