"""Acts of operators: each is recorded with the rows that it changed, and a rerun speaks to no conversation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ringback.history.operators import ActName, AuditQuery
from ringback.history.pagination import JobQuery
from ringback.jobs.deciding import why_no_rerun
from ringback.jobs.outcomes import cancelled, failed, succeeded
from ringback.jobs.states import Approval, CancelReason, Delivery, Effect, JobState
from ringback.statements import history, processes, webhooks
from ringback.statements.jobs import deliveries, sweeps, transitions
from ringback.statements.operators import acts, audit
from ringback.statements.operators.audit import Operator
from ringback.statements.sessions import items
from ringback.tables import audit as audit_table
from ringback.tables import jobs
from tests.integration.statements.statement_rows import ORDER, Rows, seconds_from_now, world

ADA = Operator("default", "ada", "key:1", "a customer called")
FAILED = failed("order_unknown", "There is no such order.")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def recorded(rows: Rows) -> list[Any]:
    return list(rows.run(audit.page_of_acts("default", AuditQuery())))


def rerun_of(rows: Rows, job: UUID, **more: Any) -> UUID:
    (made,) = rows.run(acts.rerun(ADA, [job], **more))
    return UUID(str(made.id))


def in_state(rows: Rows, job: UUID, state: JobState) -> None:
    """Bring a job to its end, whatever the outcome."""
    rows.set(job, state=state, token=None, error={"code": "x"}, finished_at=seconds_from_now(0), delivery="ready")


# — cancel —


def test_one_cancelled_call_is_one_row_of_the_log(rows: Rows) -> None:
    job = rows.asked()
    (row,) = rows.run(acts.cancel(ADA, [job]))
    assert (row.id, row.state, row.session_id, row.gateway_id) == (job, "cancelled", rows.session, "gw")
    assert rows.job(job).cancel_reason == CancelReason.OPERATOR
    (act,) = recorded(rows)
    assert (act.subject, act.credential, act.act, act.target) == ("ada", "key:1", "job.cancel", str(job))
    assert (act.rows, act.filter, act.reason) == (1, None, "a customer called")


def test_calls_that_matched_are_cancelled_in_one_act_and_the_log_has_the_filter(rows: Rows) -> None:
    waiting, (running, _), over = rows.asked(), rows.running(), rows.answered(succeeded(1))
    query = JobQuery(tool="weather", state=(JobState.PENDING, JobState.RUNNING))
    done = rows.run(acts.cancel(ADA, [waiting, running, over], query))
    assert {row.id: row.state for row in done} == {waiting: "cancelled", running: "running"}
    assert rows.job(running).cancel_requested
    (act,) = recorded(rows)
    assert (act.rows, act.target, act.filter) == (2, "", {"tool": "weather", "state": ["pending", "running"]})


def test_an_act_that_changes_no_row_is_not_recorded(rows: Rows) -> None:
    over = rows.answered(succeeded(1))
    assert rows.run(acts.cancel(ADA, [over, uuid4()])) == []
    assert recorded(rows) == []


def test_the_calls_of_another_tenant_are_left_alone(rows: Rows) -> None:
    theirs, done = rows.asked(), rows.answered(succeeded(1))
    stranger = replace(ADA, tenant="other")
    assert rows.run(acts.cancel(stranger, [theirs])) == []
    assert rows.run(acts.rerun(stranger, [done])) == []
    assert rows.run(acts.facts("other", done)) == []


# — rerun —


def test_a_rerun_is_a_job_of_its_own_with_what_the_call_was_asked(rows: Rows) -> None:
    first = rows.answered(FAILED)
    again = rows.job(rerun_of(rows, first))
    assert again.rerun_of == first
    assert (again.session_id, again.tenant, again.tool, again.queue) == (rows.session, "default", "weather", "default")
    assert (again.arguments, again.state, again.delivery, again.attempt) == ({"city": "Rome"}, "pending", "none", 0)
    assert again.call_id.startswith("rerun_")
    assert (again.position, again.item_id, again.response_id) == (None, None, None)
    assert again.deadline_at > again.created_at
    assert rows.job(first).state == JobState.FAILED
    (act,) = recorded(rows)
    assert (act.act, act.target, act.rows) == ("job.retry", str(first), 1)


@pytest.mark.parametrize("end", ["finish", "cancel", "time out", "dead"])
def test_whatever_its_end_a_rerun_is_for_the_history_and_for_no_conversation(rows: Rows, end: str) -> None:
    rows.set_session(has_webhook=True)
    first = rows.answered(FAILED)
    rows.deliver()
    again = rerun_of(rows, first)
    if end == "cancel":
        rows.run(acts.cancel(ADA, [again]))
    elif end == "time out":
        rows.set(again, deadline_at=seconds_from_now(-5))
        assert [row.id for row in rows.run(sweeps.time_out_overdue())] == [again]
    else:
        (claimed,) = rows.run(transitions.claim(again, "w"))
        assert claimed.rerun_of == first
        if end == "dead":
            rows.set(again, rescues=sweeps.MAX_RESCUES)
            rows.lose("w")
            assert [row.state for row in rows.run(sweeps.take_back_lost("w2"))] == ["dead"]
        else:
            (row,) = rows.run(transitions.finish(again, claimed.token, succeeded("sunny")))
            assert row.delivery == Delivery.HISTORY_ONLY
    ended = rows.job(again)
    assert ended.finished_at is not None
    assert ended.delivery == Delivery.HISTORY_ONLY
    assert ended.notify_after is None
    assert rows.run(deliveries.read_ready(rows.session, "gw", 1)) == []
    assert rows.run(webhooks.take_due(10)) == []
    rows.set_session(epoch=2)
    assert again not in {row.id for row in rows.run(items.replay(rows.session, "gw", 2))}
    assert {row.id for row in rows.run(items.log_of_calls(rows.session))} == {first}
    assert {row.id for row in rows.run(history.calls_of(rows.session))} == {first}


@pytest.mark.parametrize("delivery", [Delivery.READY, Delivery.SENT, Delivery.ACKED, Delivery.REPLAYED])
def test_the_database_keeps_a_rerun_from_every_conversation(rows: Rows, delivery: Delivery) -> None:
    again = rerun_of(rows, rows.answered(FAILED))
    (claimed,) = rows.run(transitions.claim(again, "w"))
    rows.run(transitions.finish(again, claimed.token, succeeded("sunny")))
    epoch = {} if delivery is Delivery.READY else {"delivered_epoch": 1}
    moved = rows.move(again, delivery=delivery, **epoch)
    assert rows.job(again).delivery == Delivery.HISTORY_ONLY
    assert moved is (delivery is Delivery.READY)


def test_a_live_rerun_tells_a_conversation_of_no_progress(rows: Rows) -> None:
    again = rerun_of(rows, rows.answered(FAILED))
    (claimed,) = rows.run(transitions.claim(again, "w"))
    rows.run(transitions.note_progress(again, claimed.token, "half way"))
    assert rows.run(transitions.progress_in(rows.session)) == []


def test_a_call_has_one_rerun_at_a_time_and_each_repeats_the_first(rows: Rows) -> None:
    first = rows.answered(FAILED)
    again = rerun_of(rows, first)
    assert rows.run(acts.rerun(ADA, [first])) == []
    (live,) = rows.run(acts.live_rerun("default", first))
    assert (live.id, live.queue) == (again, "default")
    rows.run(acts.cancel(ADA, [again]))
    assert rows.run(acts.live_rerun("default", first)) == []
    third = rerun_of(rows, again)
    assert rows.job(third).rerun_of == first


def test_a_call_of_an_ended_session_runs_again_and_stays_in_that_session(rows: Rows) -> None:
    first = rows.answered(FAILED)
    rows.set_state("ended")
    again = rerun_of(rows, first)
    (claimed,) = rows.run(transitions.claim(again, "w"))
    assert (claimed.session_id, claimed.user_id) == (rows.session, "ada")


# Whether a job may run again: the columns that are set, whether it is confirmed, and whether it may.
CONDITIONS = [
    pytest.param({}, False, True, id="failed"),
    pytest.param({"queue": ""}, False, False, id="no worker took part"),
    pytest.param({"arguments": "no JSON"}, False, False, id="no arguments"),
    pytest.param({"approval": Approval.GRANTED}, False, True, id="approved"),
    pytest.param({"approval": Approval.DENIED}, False, False, id="denied"),
    pytest.param({"approval": Approval.REQUESTED}, False, False, id="not decided"),
    pytest.param({"manners": {"redact": ["card"]}}, False, False, id="what was redacted is gone"),
    pytest.param({"manners": {"redact": ["card"]}, "sealed_arguments": b"x"}, False, True, id="sealed"),
    pytest.param({"manners": {"redact": []}}, False, True, id="redacts nothing"),
    pytest.param({"effect": Effect.AT_MOST_ONCE}, False, False, id="may not happen twice"),
    pytest.param({"effect": Effect.AT_MOST_ONCE}, True, True, id="may happen twice"),
    pytest.param({"effect": Effect.IDEMPOTENT}, False, True, id="idempotent"),
]


@pytest.mark.parametrize(("columns", "is_confirmed", "may"), CONDITIONS)
def test_what_may_run_again_and_the_sentence_say_the_same(
    rows: Rows, columns: dict[str, Any], is_confirmed: bool, may: bool
) -> None:
    job = rows.answered(FAILED)
    if columns:
        rows.set(job, **columns)
    (facts,) = rows.run(acts.facts("default", job))
    why = why_no_rerun(**facts._mapping, is_confirmed=is_confirmed)
    made = rows.run(acts.rerun(ADA, [job], is_confirmed=is_confirmed))
    assert (why is None, len(made) == 1) == (may, may), why


@pytest.mark.parametrize("state", list(JobState))
def test_only_what_is_over_may_run_again(rows: Rows, state: JobState) -> None:
    job, _ = rows.running() if state is not JobState.PENDING else (rows.asked(), None)
    if state not in {JobState.PENDING, JobState.RUNNING}:
        in_state(rows, job, state)
    may = state not in {JobState.PENDING, JobState.RUNNING}
    (facts,) = rows.run(acts.facts("default", job))
    assert (why_no_rerun(**facts._mapping, is_confirmed=False) is None) is may
    assert len(rows.run(acts.rerun(ADA, [job]))) == int(may)


def test_a_tool_that_has_become_at_most_once_asks_for_the_confirmation_too(rows: Rows) -> None:
    job = rows.answered(FAILED)
    for announced in processes.announce("w", [replace(ORDER, name="weather")]):
        rows.count(announced)
    assert rows.run(acts.rerun(ADA, [job])) == []
    assert rows.job(rerun_of(rows, job, is_confirmed=True)).effect == Effect.AT_MOST_ONCE


def test_an_erased_user_s_call_is_not_run_again(rows: Rows) -> None:
    job = rows.answered(FAILED)
    rows.set_session(end_wanted="erased")
    assert rows.run(acts.rerun(ADA, [job])) == []


def test_a_rerun_of_a_call_that_joined_another_repeats_that_one(rows: Rows) -> None:
    first, token = rows.running()
    second = rows.joining(first)
    rows.run(transitions.finish(first, token, cancelled()))
    again = rows.job(rerun_of(rows, second))
    assert (again.rerun_of, again.joined_to) == (first, None)


# — the log —


def test_approval_by_an_operator_is_in_the_log(rows: Rows) -> None:
    first, second = rows.asking(), rows.asking()
    assert len(rows.run(acts.decide(ADA, first, approved=True))) == 1
    assert len(rows.run(acts.decide(ADA, second, approved=False))) == 1
    assert rows.run(acts.decide(ADA, second, approved=False)) == []
    assert [act.act for act in recorded(rows)] == ["job.deny", "job.approve"]


def test_a_page_of_the_log_is_cut_by_the_id_and_filtered_by_the_act(rows: Rows) -> None:
    for _ in range(3):
        rows.run(acts.cancel(ADA, [rows.asked()]))
    rows.run(acts.decide(ADA, rows.asking(), approved=True))
    first = rows.run(audit.page_of_acts("default", AuditQuery(limit=2)))
    assert len(first) == 3
    rest = rows.run(audit.page_of_acts("default", AuditQuery(limit=2, after=first[1].id)))
    assert [act.act for act in rest] == ["job.cancel", "job.cancel"]
    only = rows.run(audit.page_of_acts("default", AuditQuery(act=ActName.APPROVE)))
    assert [act.act for act in only] == ["job.approve"]
    assert rows.run(audit.page_of_acts("other", AuditQuery())) == []


def test_what_the_log_holds_is_neither_changed_nor_deleted(rows: Rows) -> None:
    rows.run(acts.cancel(ADA, [rows.asked()]))
    for statement in (
        update(audit_table).values(rows=2),
        update(audit_table).values(subject="bob"),
        update(audit_table).values(reason=None),
        delete(audit_table),
    ):
        with pytest.raises(IntegrityError):
            rows.run(statement)
        rows.connection.rollback()
    (act,) = recorded(rows)
    assert (act.rows, act.subject) == (1, "ada")


def test_an_act_goes_after_its_time_and_an_erased_user_s_name_at_once(rows: Rows) -> None:
    rows.run(acts.cancel(ADA, [rows.asked()]))
    rows.run(acts.cancel(replace(ADA, subject="bob", credential="key:2"), [rows.asked()]))
    assert len(rows.run(audit.drop_name("default", "ada"))) == 1
    assert [(act.subject, act.credential) for act in recorded(rows)] == [("bob", "key:2"), ("", "")]
    assert rows.count(audit.delete_old()) == 0
    rows.run(select(1))
    rows.connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER audit_refuse_changes")
    rows.connection.exec_driver_sql("UPDATE audit SET at = at - interval '402 days' WHERE subject = ''")
    rows.connection.exec_driver_sql("ALTER TABLE audit ENABLE TRIGGER audit_refuse_changes")
    rows.connection.commit()
    assert rows.count(audit.delete_old()) == 1
    assert [act.subject for act in recorded(rows)] == ["bob"]


def test_a_rerun_goes_with_its_session(rows: Rows) -> None:
    again = rerun_of(rows, rows.answered(FAILED))
    rows.run(acts.cancel(ADA, [again]))
    rows.run(delete(jobs).where(jobs.c.session_id == rows.session).returning(jobs.c.id))
    assert rows.run(select(jobs.c.id).where(jobs.c.id == again)) == []
