"""Epochs: a session is taken over, fenced, detached and resumed, and its conversation is rebuilt from the rows."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from ringback.jobs.outcomes import succeeded
from ringback.statements.jobs import admission, deliveries, sweeps, transitions
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import Message
from tests.integration.statements.statement_rows import ORDER, Rows, new_job, seconds_from_now, world

OLD, NEW, NEWER = (sha256(word).digest() for word in (b"old", b"new", b"newer"))


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(resume_hash=OLD, resume_seconds=60.0)
        yield rows


def said(position: int, text: str = "hello", role: str = "user") -> Message:
    return Message(position, f"item_{position}", role, [{"type": "input_text", "text": text}])


def resume(rows: Rows, token: bytes = OLD, new: bytes = NEW, user: str = "ada", gateway: str = "gw2") -> list[object]:
    return list(rows.run(lifecycle.resume(token, new, user_id=user, gateway_id=gateway)))


def test_a_token_moves_the_session_to_another_gateway_once(rows: Rows) -> None:
    (row,) = rows.run(lifecycle.resume(OLD, NEW, user_id="ada", gateway_id="gw2"))
    assert (row.id, row.epoch, row.old_gateway_id) == (rows.session, 2, "gw")
    assert resume(rows, OLD, NEWER) == [], "it is used up"
    assert len(resume(rows, NEW, NEWER)) == 1
    assert rows.session_row().epoch == 3


def test_a_resumption_that_nobody_heard_of_is_found_again_by_who_made_it(rows: Rows) -> None:
    assert len(resume(rows, OLD, NEW)) == 1
    (row,) = rows.run(lifecycle.resume(OLD, NEW, user_id="ada", gateway_id="gw2"))
    assert (row.epoch, row.old_gateway_id) == (3, "gw2")


@pytest.mark.parametrize("wrong", [{"user": "eve"}, {"token": NEWER}, {"gateway": "gw-unheard-of"}])
def test_a_token_is_good_for_its_user_on_a_live_gateway_only(rows: Rows, wrong: dict[str, object]) -> None:
    assert resume(rows, **wrong) == []  # type: ignore[arg-type]
    assert rows.session_row().epoch == 1


def test_a_detached_session_is_resumed_in_its_time_and_ends_after_it(rows: Rows) -> None:
    assert rows.count(lifecycle.detach(rows.session, "gw", 1)) == 1
    assert rows.run(sweeps.end_unresumed()) == []
    rows.set_session(resume_until=seconds_from_now(-1))
    assert resume(rows) == []
    assert len(rows.run(sweeps.end_unresumed())) == 1
    assert (rows.session_row().state, rows.session_row().end_reason) == ("ended", "not_resumed")


def test_what_cannot_be_resumed_is_not_detached(rows: Rows) -> None:
    rows.set_session(resume_seconds=None)
    assert rows.count(lifecycle.detach(rows.session, "gw", 1)) == 0


def test_a_lost_gateway_leaves_what_can_be_resumed_detached_and_ends_the_rest(rows: Rows) -> None:
    rows.lose("gw")
    (row,) = rows.run(sweeps.release_lost_sessions("w"))
    assert row.state == "detached"
    assert len(resume(rows)) == 1


def test_an_old_epoch_records_takes_keeps_and_ends_nothing(rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))
    (row,) = rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    assert row.epoch == 2
    assert rows.run(admission.admit(new_job(rows.session), "gw", 1)) == []
    assert rows.run(deliveries.read_ready(rows.session, "gw", 1)) == []
    assert rows.count(deliveries.mark(rows.session, "gw", 1, [job], [job], 1)) == 0
    assert rows.run(items.save(rows.session, "gw", 1, [said(1)])) == []
    assert rows.run(items.replay(rows.session, "gw", 1)) == []
    assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "late")) == 0
    assert rows.count(lifecycle.detach(rows.session, "gw", 1)) == 0
    assert rows.run(lifecycle.next_epoch(rows.session, "gw", 1)) == []


def test_messages_are_kept_in_order_and_changed_in_place(rows: Rows) -> None:
    assert len(rows.run(items.save(rows.session, "gw", 1, [said(1), said(2, "hi", "assistant")]))) == 2
    assert len(rows.run(items.save(rows.session, "gw", 1, [said(2, "h", "assistant"), said(5)]))) == 2
    log = [(row.position, row.content[0]["text"]) for row in rows.run(items.log_of_messages(rows.session))]
    assert log == [(5, "hello"), (2, "h"), (1, "hello")]


def test_a_rebuilt_conversation_takes_in_what_is_finished_and_nothing_else(rows: Rows) -> None:
    ready = rows.answered(succeeded("sunny"))
    sent = rows.answered(succeeded("rainy"))
    rows.set(sent, delivery="sent", delivered_epoch=1)
    running, token = rows.running(ORDER)
    (row,) = rows.run(lifecycle.next_epoch(rows.session, "gw", 1))
    replayed = {row.id for row in rows.run(items.replay(rows.session, "gw", row.epoch))}
    assert replayed == {ready, sent}
    assert rows.count(transitions.finish(running, token, succeeded("bought"))) == 1
    assert rows.job(running).delivery == "ready", "it is delivered live"
    assert {row.id for row in rows.run(deliveries.read_ready(rows.session, "gw", 2))} == {running}
    assert rows.deliver(2) == [running]
    calls = {row.id: row.delivered_epoch for row in rows.run(items.log_of_calls(rows.session))}
    assert calls == {ready: 2, sent: 2, running: 2}
    assert all(0 <= row.took <= row.age for row in rows.run(items.log_of_calls(rows.session)))
    assert rows.steps(ready)[-1] == "succeeded/replayed"


def test_each_epoch_that_takes_an_answer_in_is_a_step_of_it(rows: Rows) -> None:
    job = rows.answered(succeeded("sunny"))
    for epoch in (1, 2):
        rows.run(lifecycle.next_epoch(rows.session, "gw", epoch))
        rows.run(items.replay(rows.session, "gw", epoch + 1))
    assert rows.steps(job)[-2:] == ["succeeded/replayed"] * 2


def test_a_worker_that_stops_hands_back_what_it_runs(rows: Rows) -> None:
    job, token = rows.running()
    bought, _ = rows.running(ORDER, effect_started=True)
    unwanted, _ = rows.running(cancel_requested=True)
    other, _ = rows.running(worker="w2")
    back = {row.id: row.state for row in rows.run(transitions.hand_back("w"))}
    assert back == {job: "pending", bought: "unknown", unwanted: "cancelled"}
    assert rows.job(other).state == "running"
    assert rows.count(transitions.finish(job, token, succeeded("late"))) == 0
    (claimed,) = rows.run(transitions.claim(job, "w2"))
    assert (claimed.attempt, claimed.max_attempts) == (2, 3)


def test_a_pending_call_is_cancelled_at_once_and_a_running_one_is_told(rows: Rows) -> None:
    waiting = rows.asked()
    running, _ = rows.running()
    assert [row.state for row in rows.run(transitions.cancel(waiting, "default"))] == ["cancelled"]
    assert [row.state for row in rows.run(transitions.cancel(running, "default"))] == ["running"]
    assert rows.run(transitions.cancel(waiting, "default")) == []
    assert rows.run(transitions.cancel(running, "somebody else")) == []
    assert (rows.job(waiting).delivery, rows.job(running).cancel_requested) == ("ready", True)
    assert rows.run(transitions.claim(waiting, "w")) == []


def test_a_message_that_comes_before_its_time_claims_nothing(rows: Rows) -> None:
    job, token = rows.running()
    assert rows.count(transitions.retry(job, token, {"code": "no"}, 30.0)) == 1
    assert rows.run(transitions.claim(job, "w")) == []
    rows.set(job, not_before=seconds_from_now(-1))
    assert len(rows.run(transitions.claim(job, "w"))) == 1
