"""Life of one call in real rows: each transition changes one row or none, and the count is the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from ringback.jobs.outcomes import Outcome, failed, succeeded, timed_out
from ringback.jobs.states import JobState
from ringback.statements.jobs import admission, transitions
from ringback.statements.jobs.admission import QUEUE_WAIT_SECONDS
from ringback.statements.sessions import lifecycle
from ringback.tools.spec import ToolSpec
from tests.integration.statements.statement_rows import (
    ORDER,
    WEATHER,
    Rows,
    connected,
    new_job,
    seconds_from_now,
    world,
)
from tests.servers import execute

SUNNY = succeeded({"sky": "clear"})
BUSY = {"code": "busy", "message": "Try later."}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


# — admitted —


def test_a_call_is_admitted_with_all_that_a_run_needs(rows: Rows) -> None:
    job = rows.job(rows.asked(WEATHER, "call_1"))
    assert (job.state, job.delivery, job.attempt, job.token) == ("pending", "none", 0, None)
    assert (job.session_id, job.call_id, job.epoch, job.tenant) == (rows.session, "call_1", 1, "default")
    assert (job.tool, job.queue, job.effect) == ("weather", "default", "pure")
    assert job.arguments == {"city": "Rome"}
    assert job.max_attempts == 2
    waits = (job.deadline_at - job.created_at).total_seconds()
    assert waits == pytest.approx(QUEUE_WAIT_SECONDS + 2 * WEATHER.timeout, abs=1)
    assert rows.steps(job.id) == ["pending/none"]


def test_a_repeated_call_is_admitted_once_whatever_its_id(rows: Rows) -> None:
    job = new_job(rows.session)
    assert rows.count(admission.admit(job, "gw", 1)) == 1
    assert rows.count(admission.admit(job, "gw", 1)) == 0
    assert rows.count(admission.admit(structs.replace(job, id=uuid4()), "gw", 1)) == 0


@pytest.mark.parametrize(("gateway", "epoch"), [("gw2", 1), ("nobody", 1), ("gw", 0), ("gw", 2)])
def test_only_the_owner_in_its_epoch_admits(rows: Rows, gateway: str, epoch: int) -> None:
    assert rows.count(admission.admit(new_job(rows.session), gateway, epoch)) == 0


def test_a_session_that_nobody_opened_admits_nothing(rows: Rows) -> None:
    assert rows.count(admission.admit(new_job(uuid4()), "gw", 1)) == 0


@pytest.mark.parametrize(("state", "admitted"), [("open", 1), ("draining", 1), ("detached", 0), ("ended", 0)], ids=str)
def test_a_session_that_is_not_held_admits_nothing(rows: Rows, state: str, admitted: int) -> None:
    rows.set_state(state)
    assert rows.count(admission.admit(new_job(rows.session), "gw", 1)) == admitted


def test_a_refused_call_is_born_finished_with_its_answer_ready(rows: Rows) -> None:
    refused = new_job(rows.session, None)
    assert rows.count(admission.admit(refused, "gw", 1, failed("unknown_tool", "No."))) == 1
    job = rows.job(refused.id)
    assert (job.state, job.delivery, job.queue) == ("failed", "ready", "")
    assert job.error == {"code": "unknown_tool", "message": "No."}
    assert job.finished_at is not None
    assert rows.count(transitions.claim(job.id, "w")) == 0


@pytest.mark.parametrize("arguments", [{}, {"city": "Ro\nme ✓"}, [1], "not JSON {", None, 7, {"a": {"b": [None, 1.5]}}])
def test_arguments_are_kept_as_they_came(rows: Rows, arguments: Any) -> None:
    asked = new_job(rows.session, None, arguments=arguments)
    assert rows.count(admission.admit(asked, "gw", 1, failed("invalid_arguments", "No."))) == 1
    assert rows.job(asked.id).arguments == arguments


def test_a_call_of_no_known_response_is_admitted(rows: Rows) -> None:
    assert rows.count(admission.admit(new_job(rows.session, response_id=None), "gw", 1)) == 1


def test_two_gateways_that_admit_one_call_at_once_make_one_job(database: str, rows: Rows) -> None:
    job = new_job(rows.session)
    with connected(database) as other:
        assert len(execute(other, admission.admit(job, "gw", 1)).all()) == 1
        rows.connection.exec_driver_sql("SET lock_timeout = '100ms'")
        with pytest.raises(Exception, match="lock timeout"):  # It waits for the first to be decided.
            rows.count(admission.admit(job, "gw", 1))
        rows.connection.rollback()
        other.commit()
    assert rows.count(admission.admit(job, "gw", 1)) == 0


# — claimed —


def test_a_claim_hands_out_a_token_and_all_that_the_run_needs(rows: Rows) -> None:
    job = rows.asked(WEATHER, "call_1")
    (claimed,) = rows.run(transitions.claim(job, "w"))
    row = rows.job(job)
    assert (row.state, row.attempt, row.worker_id, row.token) == ("running", 1, "w", claimed.token)
    assert (claimed.tool, claimed.arguments, claimed.call_id) == ("weather", {"city": "Rome"}, "call_1")
    assert (claimed.attempt, claimed.max_attempts, claimed.user_id) == (1, 2, "ada")
    assert 0 < claimed.seconds_left <= QUEUE_WAIT_SECONDS + 2 * WEATHER.timeout
    assert rows.steps(job) == ["pending/none", "running/none"]


def test_a_claim_hands_out_what_is_known_of_the_user(rows: Rows) -> None:
    session, claims = uuid4(), {"plan": "gold", "shops": [1, 2]}
    opened = lifecycle.open_session(session, user_id="ada", agent="demo", model="m", gateway_id="gw", claims=claims)
    rows.count(opened)
    job = new_job(session)
    assert rows.count(admission.admit(job, "gw", 1)) == 1
    (claimed,) = rows.run(transitions.claim(job.id, "w"))
    assert (claimed.user_id, claimed.claims) == ("ada", claims)
    (plain,) = rows.run(transitions.claim(rows.asked(), "w"))
    assert plain.claims == {}


def test_a_repeated_message_claims_nothing(rows: Rows) -> None:
    job, _ = rows.running()
    assert rows.count(transitions.claim(job, "w2")) == 0
    assert rows.job(job).worker_id == "w"


def test_a_forged_message_claims_nothing(rows: Rows) -> None:
    assert rows.count(transitions.claim(uuid4(), "w")) == 0


@pytest.mark.parametrize(
    "columns",
    [{"deadline_at": seconds_from_now(-0.01)}, {"cancel_requested": True}, {"attempt": 2}],
    ids=["past its deadline", "cancelled", "used up"],
)
def test_a_job_that_may_not_be_run_is_not_claimed(rows: Rows, columns: dict[str, Any]) -> None:
    assert rows.count(transitions.claim(rows.asked(**columns), "w")) == 0


def test_no_two_claims_hand_out_the_same_token(rows: Rows) -> None:
    job, first = rows.running()
    assert rows.count(transitions.retry(job, first, BUSY, 0)) == 1
    (again,) = rows.run(transitions.claim(job, "w"))
    assert again.token != first
    assert again.attempt == 2


# — finished —

ENDS = [
    SUNNY,
    succeeded(None),
    succeeded("text"),
    succeeded([1, {"a": None}]),
    failed("broken", "It broke."),
    timed_out(),
    Outcome(JobState.CANCELLED, code="cancelled", message="Cancelled."),
    Outcome(JobState.UNKNOWN, code="outcome_unknown", message="Unknown."),
]


@pytest.mark.parametrize("outcome", ENDS, ids=lambda outcome: f"{outcome.state} {outcome.result}")
def test_whoever_holds_the_token_writes_the_outcome_once(rows: Rows, outcome: Outcome) -> None:
    job, token = rows.running()
    (written,) = rows.run(transitions.finish(job, token, outcome))
    assert (written.session_id, written.delivery, written.gateway_id) == (rows.session, "ready", "gw")
    row = rows.job(job)
    assert (row.state, row.result, row.error, row.token) == (outcome.state, outcome.result, outcome.error, None)
    assert row.finished_at is not None
    for end in ENDS:
        assert rows.count(transitions.finish(job, token, end)) == 0
    assert rows.steps(job) == ["pending/none", "running/none", f"{outcome.state}/ready"]


def test_a_stale_token_moves_nothing(rows: Rows) -> None:
    job, stale = rows.running(replace(WEATHER, retries=5))  # so that the token alone refuses a retry
    rows.count(transitions.retry(job, stale, BUSY, 0))
    (held,) = rows.run(transitions.claim(job, "w2"))
    assert rows.count(transitions.finish(job, stale, SUNNY)) == 0
    assert rows.count(transitions.retry(job, stale, BUSY, 0)) == 0
    assert rows.count(transitions.note_progress(job, stale, "half way")) == 0
    assert rows.count(transitions.begin_effect(job, stale)) == 0
    assert rows.count(transitions.finish(job, held.token, SUNNY)) == 1


def test_the_token_of_one_job_is_no_token_of_another(rows: Rows) -> None:
    (one, _), (_, token) = rows.running(), rows.running()
    assert rows.count(transitions.finish(one, token, SUNNY)) == 0


def test_a_result_for_a_session_that_is_over_is_kept_for_the_history(rows: Rows) -> None:
    job, token = rows.running()
    rows.set_state("ended")
    (written,) = rows.run(transitions.finish(job, token, SUNNY))
    assert written.delivery == "history_only"
    assert rows.job(job).result == {"sky": "clear"}


def test_a_result_for_a_session_that_is_detached_waits_for_it(rows: Rows) -> None:
    job, token = rows.running()
    rows.set_state("detached", gateway_id=None)
    (written,) = rows.run(transitions.finish(job, token, SUNNY))
    assert written.delivery == "ready"


# — again —


def test_a_retry_gives_the_job_back(rows: Rows) -> None:
    job, token = rows.running()
    assert rows.count(transitions.retry(job, token, BUSY, 5)) == 1
    row = rows.job(job)
    assert (row.state, row.token, row.error, row.delivery) == ("pending", None, BUSY, "none")
    assert rows.count(transitions.claim(job, "w2")) == 0, "a message that comes early claims nothing"
    rows.set(job, not_before=seconds_from_now(-0.01))
    assert rows.count(transitions.claim(job, "w2")) == 1


@pytest.mark.parametrize(
    "columns",
    [{"max_attempts": 1}, {"cancel_requested": True}, {"deadline_at": seconds_from_now(4)}],
    ids=["no attempt left", "cancelled", "no time left"],
)
def test_where_there_is_no_other_attempt_nothing_is_given_back(rows: Rows, columns: dict[str, Any]) -> None:
    job, token = rows.running(**columns)
    assert rows.count(transitions.retry(job, token, BUSY, 5)) == 0
    assert rows.count(transitions.finish(job, token, failed("busy", "Try later."))) == 1


def test_what_must_not_run_twice_is_given_back_only_before_its_effect(rows: Rows) -> None:
    """If it were pending with a begun effect, its time-out would be refused, and each sweep with it."""
    job, token = rows.running(replace(ORDER, retries=3))
    assert rows.count(transitions.retry(job, token, BUSY, 0)) == 1
    (again,) = rows.run(transitions.claim(job, "w"))
    assert rows.count(transitions.begin_effect(job, again.token)) == 1
    assert rows.count(transitions.retry(job, again.token, BUSY, 0)) == 0


@pytest.mark.parametrize("tool", [WEATHER, replace(WEATHER, retries=0), replace(WEATHER, retries=4)])
def test_a_job_runs_as_often_as_its_tool_says(rows: Rows, tool: ToolSpec) -> None:
    job, runs = rows.asked(tool), 0
    while claimed := rows.run(transitions.claim(job, "w")):
        runs += 1
        rows.count(transitions.retry(job, claimed[0].token, BUSY, 0))
    assert runs == tool.retries + 1


def test_the_error_of_an_attempt_is_gone_when_a_later_one_succeeds(rows: Rows) -> None:
    job, token = rows.running()
    rows.count(transitions.retry(job, token, BUSY, 0))
    (again,) = rows.run(transitions.claim(job, "w"))
    rows.count(transitions.finish(job, again.token, SUNNY))
    assert rows.job(job).error is None


# — while it runs —


def test_progress_is_noted_by_the_holder_and_begins_anew_with_each_attempt(rows: Rows) -> None:
    job, token = rows.running()
    assert rows.count(transitions.note_progress(job, token, "half way")) == 1
    assert rows.job(job).progress == "half way"
    rows.count(transitions.retry(job, token, BUSY, 0))
    rows.count(transitions.claim(job, "w"))
    assert rows.job(job).progress is None


def test_an_effect_begins_once_and_only_for_the_holder(rows: Rows) -> None:
    job, token = rows.running(ORDER)
    assert rows.count(transitions.begin_effect(job, uuid4())) == 0
    assert rows.count(transitions.begin_effect(job, token)) == 1
    assert rows.count(transitions.begin_effect(job, token)) == 0


def test_an_effect_does_not_begin_for_a_call_that_nobody_waits_for(rows: Rows) -> None:
    job, token = rows.running(ORDER, cancel_requested=True)
    assert rows.count(transitions.begin_effect(job, token)) == 0


def test_a_worker_hears_of_its_own_cancelled_jobs(rows: Rows) -> None:
    mine, _ = rows.running(cancel_requested=True)
    rows.running(worker="w2", cancel_requested=True)
    rows.running()
    rows.asked(cancel_requested=True)
    assert [row.id for row in rows.run(transitions.cancelled_jobs("w"))] == [mine]
