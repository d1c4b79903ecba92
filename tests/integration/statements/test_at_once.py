"""Two transactions at once, of which the first has not committed: in every order their rows agree."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from ringback.jobs.outcomes import failed, succeeded
from ringback.postgres.statement import Runnable
from ringback.statements.jobs import admission, deliveries, transitions
from ringback.statements.sessions import items, lifecycle
from ringback.statements.sessions.items import Message
from tests.integration.statements.statement_rows import Rows, new_job, world
from tests.integration.statements.two_connections import PATIENCE, Other, another, held
from tests.servers import execute

OLD, NEW, NEWER = (sha256(word).digest() for word in (b"old", b"new", b"newer"))
SUNNY = succeeded("sunny")


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(resume_hash=OLD, resume_seconds=60.0)
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def resuming(new: bytes, gateway: str = "gw2") -> Runnable:
    return lifecycle.resume(OLD, new, user_id="ada", gateway_id=gateway)


def rebuilding(rows: Rows) -> tuple[Runnable, ...]:
    """Return a new epoch of the same gateway: the increment, what it takes in, and the log; one transaction."""
    session = rows.session
    return (
        lifecycle.next_epoch(session, "gw", 1),
        items.replay(session, "gw", 2),
        items.log_of_calls(session),
        items.log_of_messages(session),
    )


def ids(found: Any) -> list[Any]:
    return [row.id for row in found]


# — one token —


def test_of_two_that_resume_with_one_token_one_gets_the_session(rows: Rows, other: Other) -> None:
    assert ids(execute(rows.connection, resuming(NEW))) == [rows.session]
    second = other.waits(resuming(NEWER, "gw"))
    rows.connection.commit()
    assert second.result(PATIENCE) == [[]]
    assert (rows.session_row().gateway_id, rows.session_row().epoch) == ("gw2", 2)


def test_a_resumption_that_failed_leaves_the_token_to_the_other(rows: Rows, other: Other) -> None:
    execute(rows.connection, resuming(NEW))
    second = other.waits(resuming(NEWER, "gw"))
    rows.connection.rollback()
    assert ids(second.result(PATIENCE)[0]) == [rows.session]


# — an epoch that begins meanwhile —


def test_a_call_that_was_first_is_in_the_log_of_the_new_epoch(rows: Rows, other: Other) -> None:
    job = new_job(rows.session)
    assert execute(rows.connection, admission.admit(job, "gw", 1)).all()
    rebuilt = other.waits(*rebuilding(rows))
    rows.connection.commit()
    _, _, calls, _ = rebuilt.result(PATIENCE)
    assert ids(calls) == [job.id]


def test_a_call_that_came_second_is_not_recorded(rows: Rows, other: Other) -> None:
    execute(rows.connection, lifecycle.next_epoch(rows.session, "gw", 1))
    admitted = other.waits(admission.admit(new_job(rows.session), "gw", 1))
    rows.connection.commit()
    assert admitted.result(PATIENCE) == [[]]


def test_a_message_that_was_first_is_in_the_log_of_the_new_epoch(rows: Rows, other: Other) -> None:
    said = Message(1, "item_1", "user", [{"type": "input_text", "text": "hello"}])
    assert execute(rows.connection, items.save(rows.session, "gw", 1, [said])).all()
    rebuilt = other.waits(*rebuilding(rows))
    rows.connection.commit()
    assert [row.item_id for row in rebuilt.result(PATIENCE)[3]] == ["item_1"]


def test_a_message_that_came_second_is_not_kept(rows: Rows, other: Other) -> None:
    said = Message(1, "item_1", "user", [{"type": "input_text", "text": "hello"}])
    execute(rows.connection, lifecycle.next_epoch(rows.session, "gw", 1))
    kept = other.waits(items.save(rows.session, "gw", 1, [said]))
    rows.connection.commit()
    assert kept.result(PATIENCE) == [[]]


def test_an_answer_that_was_marked_first_is_taken_in_again_by_the_new_epoch(rows: Rows, other: Other) -> None:
    job = rows.answered(SUNNY)
    assert execute(rows.connection, deliveries.mark(rows.session, "gw", 1, [job])).rowcount == 1
    rebuilt = other.waits(*rebuilding(rows))
    rows.connection.commit()
    assert ids(rebuilt.result(PATIENCE)[1]) == [job]
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("replayed", 2)


@pytest.mark.parametrize("how", ["rebuilt", "resumed"])
def test_an_answer_that_comes_between_replay_and_commit_is_not_lost_to_the_old_epoch(
    rows: Rows, other: Other, how: str
) -> None:
    """The old owner may still give it to its conversation. But if it marked the result as sent there, the new epoch
    would never tell it.
    """
    job, token = rows.running()
    gateway = "gw2" if how == "resumed" else "gw"
    execute(rows.connection, resuming(NEW) if how == "resumed" else lifecycle.next_epoch(rows.session, "gw", 1))
    assert execute(rows.connection, items.replay(rows.session, gateway, 2)).all() == []
    assert len(other.begins(transitions.finish(job, token, SUNNY))[0]) == 1
    other.commits()
    assert ids(other.begins(deliveries.read_ready(rows.session, "gw", 1))[0]) == [job]
    other.commits()
    late = other.waits(deliveries.mark(rows.session, "gw", 1, [job], [job], 1))
    rows.connection.commit()
    assert late.result(PATIENCE) == [[]]
    assert rows.run(deliveries.read_ready(rows.session, "gw", 1)) == []
    assert ids(rows.run(deliveries.read_ready(rows.session, gateway, 2))) == [job]


# — replay against finish: one or the other, never both and never neither —


def test_an_outcome_that_is_not_committed_when_an_epoch_begins_is_delivered_live(rows: Rows, other: Other) -> None:
    job, token = rows.running()
    assert len(other.begins(transitions.finish(job, token, SUNNY))[0]) == 1
    for statement in rebuilding(rows)[:2]:
        replayed = execute(rows.connection, statement).all()
    rows.connection.commit()
    other.commits()
    assert replayed == []
    assert ids(rows.run(deliveries.read_ready(rows.session, "gw", 2))) == [job]


def test_what_is_replayed_is_not_marked_by_the_old_epoch_nor_given_live(rows: Rows, other: Other) -> None:
    job = rows.answered(SUNNY)
    for statement in rebuilding(rows)[:2]:
        replayed = execute(rows.connection, statement).all()
    assert ids(replayed) == [job]
    old = other.waits(deliveries.mark(rows.session, "gw", 1, [job]))
    rows.connection.commit()
    assert old.result(PATIENCE) == [[]]
    assert rows.run(deliveries.read_ready(rows.session, "gw", 2)) == []
    assert (rows.job(job).delivery, rows.job(job).delivered_epoch) == ("replayed", 2)


# — a job that is taken away while it is finished —


def test_a_result_that_was_first_stays_when_its_worker_hands_back(rows: Rows, other: Other) -> None:
    job, token = rows.running()
    assert len(execute(rows.connection, transitions.finish(job, token, SUNNY)).all()) == 1
    back = other.waits(transitions.hand_back("w"))
    rows.connection.commit()
    assert back.result(PATIENCE) == [[]]
    assert rows.job(job).state == "succeeded"


def test_a_job_that_was_handed_back_first_takes_no_result(rows: Rows, other: Other) -> None:
    job, token = rows.running()
    assert ids(execute(rows.connection, transitions.hand_back("w"))) == [job]
    late = other.waits(transitions.finish(job, token, SUNNY))
    rows.connection.commit()
    assert late.result(PATIENCE) == [[]]
    assert rows.job(job).state == "pending"


def test_a_result_that_was_first_stays_when_the_call_is_cancelled(rows: Rows, other: Other) -> None:
    job, token = rows.running()
    assert execute(rows.connection, transitions.finish(job, token, SUNNY)).all()
    cancelled = other.waits(transitions.cancel(job, "default"))
    rows.connection.commit()
    assert cancelled.result(PATIENCE) == [[]]
    assert (rows.job(job).state, rows.job(job).cancel_requested) == ("succeeded", False)


def test_a_call_that_is_claimed_while_it_is_cancelled_is_told_and_not_ended(rows: Rows, other: Other) -> None:
    job = rows.asked()
    assert execute(rows.connection, transitions.claim(job, "w")).all()
    cancelled = other.waits(transitions.cancel(job, "default"))
    rows.connection.commit()
    assert [row.state for row in cancelled.result(PATIENCE)[0]] == ["running"]
    assert ids(rows.run(transitions.cancelled_jobs("w"))) == [job]


def test_a_call_that_was_cancelled_first_is_not_claimed(rows: Rows, other: Other) -> None:
    job = rows.asked()
    assert execute(rows.connection, transitions.cancel(job, "default")).all()
    claimed = other.waits(transitions.claim(job, "w"))
    rows.connection.commit()
    assert claimed.result(PATIENCE) == [[]]


# — several rows: all take them in id order —

NO = failed("unknown_tool", "No.")


def in_wrong_order(rows: Rows) -> list[UUID]:
    """Insert four results, written in reverse id order: a statement that does not sort deadlocks with one that does."""
    made = sorted((new_job(rows.session, None) for _ in range(4)), key=lambda job: job.id)
    for place, job in reversed(list(enumerate(made))):
        admitted = admission.admit(new_job(rows.session, None, f"call_{9 - place}", id=job.id), "gw", 1, NO)
        assert rows.count(admitted) == 1
    return [job.id for job in made]


def locking(rows: Rows, answers: list[UUID]) -> dict[str, tuple[Runnable, ...]]:
    """Return every statement that locks the results of one session without skipping any."""
    return {
        "mark": (deliveries.mark(rows.session, "gw", 1, answers[::-1], answers[::-1], 1),),
        "replay": (items.replay(rows.session, "gw", 1),),
        "history": (lifecycle.keep_for_history(rows.session),),
    }


@pytest.mark.parametrize(
    ("one", "two", "columns", "state"),
    [
        ("mark", "replay", {}, "open"),
        ("mark", "replay", {"delivery": "sent", "delivered_epoch": 1}, "open"),
        ("mark", "mark", {}, "open"),
        ("mark", "mark", {"delivery": "sent", "delivered_epoch": 1}, "open"),
        ("history", "history", {}, "ended"),
    ],
)
def test_two_that_lock_the_same_rows_never_wait_for_each_other(
    database: str, rows: Rows, other: Other, one: str, two: str, columns: dict[str, Any], state: str
) -> None:
    answers = in_wrong_order(rows)
    for answer in answers if columns else []:
        rows.set(answer, **columns)
    rows.set_state(state)
    execute(rows.connection, held(answers[2]))
    programs = locking(rows, answers)
    first = other.waits(*programs[one])
    with another(database) as third:
        second = third.waits(*programs[two])
        rows.connection.commit()
        moved = len(first.result(PATIENCE)[0]) + len(second.result(PATIENCE)[0])
    assert moved >= len(answers)


def test_two_that_hand_back_the_same_jobs_never_wait_for_each_other(database: str, rows: Rows, other: Other) -> None:
    running = sorted(rows.running()[0] for _ in range(4))
    execute(rows.connection, held(running[2]))
    first = other.waits(transitions.hand_back("w"))
    with another(database) as third:
        second = third.waits(transitions.hand_back("w"))
        rows.connection.commit()
        assert len(first.result(PATIENCE)[0]) + len(second.result(PATIENCE)[0]) == 4
