"""A call that needs approval: no worker runs it before, one decision counts, and silence is answered too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from ringback.jobs.outcomes import MESSAGES, failed, from_row
from ringback.jobs.states import CancelReason
from ringback.statements.jobs import admission, approvals, sweeps, transitions
from ringback.statements.jobs.admission import PUBLISH_GRACE_SECONDS, QUEUE_WAIT_SECONDS
from ringback.statements.jobs.transitions import outcome_of
from tests.integration.statements.statement_rows import ORDER, Rows, new_job, seconds_from_now, world
from tests.integration.statements.two_connections import PATIENCE, Other, another
from tests.servers import execute

ASKS = replace(ORDER, timeout=7.0, behavior=replace(ORDER.behavior, requires_approval=True, approval_seconds=45.0))


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def decision(rows: Rows, job: object, approved: bool) -> int:
    return rows.count(approvals.decide(job, "default", approved))  # type: ignore[arg-type]


def test_a_call_that_needs_a_yes_waits_for_as_long_as_its_tool_says(rows: Rows) -> None:
    row = rows.job(rows.asking(ASKS))
    assert (row.state, row.approval, row.publish_after) == ("pending", "requested", None)
    assert (row.deadline_at - row.created_at).total_seconds() == pytest.approx(45, abs=1)


def test_nobody_publishes_or_claims_what_waits_for_a_yes(rows: Rows) -> None:
    job = rows.asking(publish_count=1)
    assert rows.count(sweeps.publish_due()) == 0
    assert rows.count(sweeps.publish_again()) == 0
    assert rows.count(sweeps.publish_taken("default")) == 0
    assert rows.count(transitions.claim(job, "w")) == 0
    assert not rows.move(job, state="running", token=job), "not even by hand"


def test_with_a_yes_it_is_due_at_once_and_its_time_begins(rows: Rows) -> None:
    job = rows.asking(ASKS)
    (row,) = rows.run(approvals.decide(job, "default", True))
    assert (row.id, row.state, row.approval, row.queue) == (job, "pending", "granted", "default")
    assert (row.session_id, row.gateway_id) == (rows.session, "gw")
    waits = (rows.job(job).deadline_at - rows.job(job).created_at).total_seconds()
    assert waits == pytest.approx(QUEUE_WAIT_SECONDS + 7, abs=1)
    assert [(row.id, row.queue) for row in rows.run(sweeps.publish_due())] == [(job, "default")]
    assert rows.count(transitions.claim(job, "w")) == 1
    assert rows.steps(job) == ["pending/none", "pending/none", "running/none"], "the yes is a step of its own"


def test_the_session_can_see_that_somebody_has_said_yes_and_what_a_running_call_says(rows: Rows) -> None:
    rows.asking()
    approved, (talks, token), (_, _) = rows.asking(), rows.running(), rows.running()
    decision(rows, approved, True)
    rows.count(transitions.note_progress(talks, token, "half"))
    news = {row.id: (row.progress, row.is_approved) for row in rows.run(transitions.progress_in(rows.session))}
    assert news == {approved: (None, True), talks: ("half", False)}
    rows.run(transitions.claim(approved, "w"))
    assert {row.id for row in rows.run(transitions.progress_in(rows.session))} == {approved, talks}


def test_with_a_no_it_is_over_and_the_model_hears_why(rows: Rows) -> None:
    job = rows.asking()
    (row,) = rows.run(approvals.decide(job, "default", False))
    assert (row.state, row.approval) == ("cancelled", "denied")
    outcome = from_row(**outcome_of(rows.job(job)))
    assert (outcome.code, outcome.message) == ("approval_denied", MESSAGES["approval_denied"])
    assert (rows.job(job).cancel_reason, rows.job(job).delivery) == (CancelReason.DENIED, "ready")
    assert rows.count(transitions.claim(job, "w")) == 0


def test_a_no_after_the_end_of_the_session_is_kept_for_the_history(rows: Rows) -> None:
    job = rows.asking()
    rows.set_state("ended")
    assert decision(rows, job, False) == 1
    assert rows.job(job).delivery == "history_only"


@pytest.mark.parametrize("first", [True, False], ids=["yes", "no"])
@pytest.mark.parametrize("second", [True, False], ids=["yes", "no"])
def test_the_first_decision_counts(rows: Rows, first: bool, second: bool) -> None:
    job = rows.asking()
    assert [decision(rows, job, first), decision(rows, job, second)] == [1, 0]
    assert rows.job(job).approval == ("granted" if first else "denied")


@pytest.mark.parametrize("first", [True, False], ids=["yes", "no"])
def test_of_two_decisions_at_once_one_counts(rows: Rows, other: Other, first: bool) -> None:
    job = rows.asking()
    assert execute(rows.connection, approvals.decide(job, "default", first)).all()
    second = other.waits(approvals.decide(job, "default", not first))
    rows.connection.commit()
    assert second.result(PATIENCE) == [[]]
    assert rows.job(job).approval == ("granted" if first else "denied")


def test_a_yes_that_comes_while_it_is_cancelled_comes_too_late(rows: Rows, other: Other) -> None:
    job = rows.asking()
    assert execute(rows.connection, transitions.cancel(job, "default", CancelReason.CALLER)).all()
    granted = other.waits(approvals.decide(job, "default", True))
    rows.connection.commit()
    assert granted.result(PATIENCE) == [[]]
    assert (rows.job(job).state, rows.job(job).approval) == ("cancelled", "requested")


def test_a_yes_after_the_time_for_it_comes_too_late_even_before_a_sweeper_does(rows: Rows) -> None:
    job = rows.asking(deadline_at=seconds_from_now(-0.01))
    assert decision(rows, job, True) == decision(rows, job, False) == 0


def test_where_nobody_answers_the_model_is_told_that_nobody_agreed(rows: Rows) -> None:
    job = rows.asking(deadline_at=seconds_from_now(-2))
    assert rows.count(sweeps.time_out_overdue()) == 1
    outcome = from_row(**outcome_of(rows.job(job)))
    assert (outcome.state, outcome.code, outcome.message) == (
        *("timed_out", "approval_expired", MESSAGES["approval_expired"]),
    )


def test_one_that_was_granted_and_then_ran_out_of_time_is_no_question_of_agreement(rows: Rows) -> None:
    job = rows.asking()
    assert decision(rows, job, True) == 1
    rows.set(job, deadline_at=seconds_from_now(-2))
    assert rows.count(sweeps.time_out_overdue()) == 1
    assert rows.job(job).error == {"code": "timed_out"}


def test_what_needs_no_yes_and_what_is_another_tenants_is_decided_by_nobody(rows: Rows) -> None:
    asked, asking = rows.asked(), rows.asking()
    assert decision(rows, asked, True) == decision(rows, asked, False) == 0
    assert rows.count(approvals.decide(asking, "other", True)) == 0


def test_a_call_that_is_refused_at_once_asks_nobody(rows: Rows) -> None:
    job = new_job(rows.session, ASKS, needs_approval=True)
    assert rows.count(admission.admit(job, "gw", 1, failed("invalid_arguments", "No."))) == 1
    assert (rows.job(job.id).state, rows.job(job.id).approval) == ("failed", None)


def test_one_that_was_granted_is_published_again_and_rescued_like_any_other(rows: Rows) -> None:
    job = rows.asking()
    assert decision(rows, job, True) == 1
    assert rows.count(sweeps.publish_due()) == 1
    assert rows.count(sweeps.publish_again()) == 1
    (claimed,) = rows.run(transitions.claim(job, "w"))
    rows.lose("w")
    assert rows.count(sweeps.take_back_lost("gw")) == 1
    assert (rows.job(job).state, rows.job(job).approval) == ("pending", "granted")
    assert rows.count(transitions.claim(job, "w2")) == 1
    assert claimed.attempt == 1


def test_what_needs_no_yes_is_published_by_its_gateway_first(rows: Rows) -> None:
    row = rows.job(rows.asked())
    assert (row.publish_after - row.created_at).total_seconds() == pytest.approx(PUBLISH_GRACE_SECONDS, abs=0.5)


def test_who_joins_a_call_that_waits_for_a_yes_asks_nobody_and_has_as_much_time_once_it_is_granted(rows: Rows) -> None:
    first = new_job(rows.session, ASKS, needs_approval=True)
    assert rows.count(admission.admit(first, "gw", 1)) == 1
    second = new_job(rows.session, ASKS, needs_approval=True, joined_to=first.id)
    assert rows.count(admission.admit(second, "gw", 1)) == 1
    assert rows.job(second.id).approval is None
    assert rows.count(approvals.decide(second.id, "default", True)) == 0
    assert rows.count(approvals.decide(first.id, "default", True)) == 1
    later = rows.job(second.id).deadline_at - rows.job(first.id).deadline_at
    assert later.total_seconds() == pytest.approx(5, abs=0.01)


def test_a_no_is_the_answer_to_all_that_have_joined(rows: Rows) -> None:
    first = new_job(rows.session, ASKS, needs_approval=True)
    assert rows.count(admission.admit(first, "gw", 1)) == 1
    second = rows.joining(first.id)
    assert rows.count(approvals.decide(first.id, "default", False)) == 1
    outcome = from_row(**outcome_of(rows.job(second)))
    assert (outcome.state, outcome.message) == ("cancelled", MESSAGES["approval_denied"])
