"""The database refuses each move that `ringback.jobs.states` does not list, and keeps a written outcome.

These tests use no statement of the product: they try by hand what must not happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from ringback.jobs.outcomes import failed, succeeded
from ringback.jobs.states import IN_A_CONVERSATION, LIVE, Delivery, Effect, JobState, may_be_delivered, may_move
from ringback.tables import job_events, jobs
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def columns_of(state: JobState) -> dict[str, Any]:
    """Return the columns that the table's CHECKs require with this state."""
    return {
        "state": state,
        "token": uuid4() if state is JobState.RUNNING else None,
        "finished_at": None if state in LIVE else seconds_from_now(0),
    }


def delivered(delivery: Delivery) -> dict[str, Any]:
    """Return the columns that the table's CHECKs require with this delivery."""
    return {
        "delivered_epoch": 1 if delivery in IN_A_CONVERSATION else None,
        "heard_at": seconds_from_now(0) if delivery is Delivery.HEARD else None,
    }


def born(rows: Rows, state: JobState, delivery: Delivery = Delivery.NONE, **columns: Any) -> UUID:
    """Insert a job in a state to which no statement brought it: INSERT is not a move."""
    job = uuid4()
    given: dict[str, Any] = {
        "id": job,
        "session_id": rows.session,
        "call_id": str(job),
        "epoch": 1,
        "tool": "weather",
        "queue": "default",
        "arguments": {},
        "effect": Effect.PURE,
        "timeout": 15.0,
        "max_attempts": 9,
        "publish_after": seconds_from_now(0),
        "deadline_at": seconds_from_now(60),
        "delivery": delivery,
        **delivered(delivery),
        **columns_of(state),
        **columns,
    }
    rows.count(insert(jobs).values(given))
    return job


@pytest.mark.parametrize(
    ("old", "joined"),
    [(state, joined) for state in JobState for joined in (False, True) if (state, joined) != (JobState.RUNNING, True)],
)
def test_the_database_lets_a_job_make_exactly_the_listed_moves(rows: Rows, old: JobState, joined: bool) -> None:
    allowed = set()
    first: dict[str, Any] = {"joined_to": rows.asked()} if joined else {}
    for new in set(JobState) - {old}:
        changed = columns_of(new)
        if old not in LIVE:
            del changed["finished_at"]  # The end time of a job that is over may not change either.
        if old not in LIVE and new in LIVE:
            changed["finished_at"] = None
        if rows.move(born(rows, old, **first), **changed):
            allowed.add(new)
    assert allowed == {new for new in JobState if may_move(old, new, joined=joined)}


@pytest.mark.parametrize("old", Delivery)
def test_the_database_lets_an_answer_make_exactly_the_listed_moves(rows: Rows, old: Delivery) -> None:
    allowed = set()
    for new in set(Delivery) - {old}:
        changed = {"delivery": new, **delivered(new)}
        if rows.move(born(rows, JobState.SUCCEEDED, old), **changed):
            allowed.add(new)
    assert allowed == {new for new in Delivery if may_be_delivered(old, new)} - {old}


@pytest.mark.parametrize("delivery", [Delivery.REPLAYED, Delivery.SPOKEN, Delivery.HEARD])
def test_an_answer_may_be_taken_into_one_epoch_after_another(rows: Rows, delivery: Delivery) -> None:
    assert may_be_delivered(delivery, delivery)
    assert rows.move(born(rows, JobState.SUCCEEDED, delivery), delivered_epoch=2)


@pytest.mark.parametrize(
    "changed",
    [
        {"result": {"sky": "dark"}},
        {"error": {"code": "other"}},
        {"finished_at": seconds_from_now(1)},
        {"finished_at": None, "state": JobState.PENDING, "delivery": Delivery.NONE},
    ],
    ids=["result", "error", "time", "undone"],
)
@pytest.mark.parametrize("outcome", [succeeded({"sky": "clear"}), failed("x", "y")], ids=["result", "error"])
def test_an_outcome_that_is_written_stays(rows: Rows, outcome: Any, changed: dict[str, Any]) -> None:
    job = rows.answered(outcome)
    before = rows.job(job)
    assert not rows.move(job, **changed)
    assert rows.job(job) == before


def test_a_result_may_not_take_the_place_of_no_result(rows: Rows) -> None:
    assert not rows.move(rows.answered(succeeded(None)), result={"late": True})


@pytest.mark.parametrize(
    "columns",
    [
        {"state": JobState.RUNNING, "token": None},
        {"state": JobState.PENDING, "token": uuid4()},
        {"state": JobState.SUCCEEDED, "finished_at": None},
        {"state": JobState.SUCCEEDED, "token": uuid4()},
        {"state": JobState.PENDING, "finished_at": seconds_from_now(0)},
        {"state": JobState.PENDING, "delivery": Delivery.READY},
        {"state": JobState.RUNNING, "delivery": Delivery.READY},
        {"state": "resting"},
        {"state": "resting", "finished_at": seconds_from_now(0)},
        {"state": JobState.SUCCEEDED, "delivery": "lost"},
        {"state": JobState.SUCCEEDED, "delivery": "lost", "delivered_epoch": 1},
        {"state": JobState.SUCCEEDED, "delivery": Delivery.SENT, "delivered_epoch": 1, "rerun_of": uuid4()},
        {"state": JobState.SUCCEEDED, "delivery": Delivery.SENT, "delivered_epoch": None},
        {"state": JobState.SUCCEEDED, "delivery": Delivery.READY, "delivered_epoch": 1},
        {"state": JobState.SUCCEEDED, "delivery": Delivery.HEARD, "delivered_epoch": 1, "heard_at": None},
        {"state": JobState.SUCCEEDED, "heard_by": "rumour"},
        {"state": JobState.PENDING, "attempt": 10},
        {"state": JobState.PENDING, "effect": "maybe"},
        {"state": JobState.PENDING, "approval": "perhaps"},
        {"state": JobState.RUNNING, "approval": "requested"},
    ],
    ids=lambda columns: " ".join(columns),
)
def test_a_row_that_contradicts_itself_cannot_be_written(rows: Rows, columns: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError, match="violates check constraint"):
        born(rows, **columns)
    rows.connection.rollback()


def test_every_move_is_in_the_chronicle_and_nothing_else_is(rows: Rows) -> None:
    job, token = rows.running()
    rows.set(job, progress="half way")
    rows.set(job, publish_count=5)
    assert rows.steps(job) == ["pending/none", "running/none"]
    event = rows.run(job_events.select().where(job_events.c.job_id == job))[-1]
    assert (event.attempt, event.worker_id, event.tenant) == (1, "w", "default")
    assert token is not None


def test_a_move_that_is_undone_leaves_no_trace(rows: Rows) -> None:
    job = rows.asked()
    rows.connection.execute(jobs.update().where(jobs.c.id == job).values(**columns_of(JobState.RUNNING)))
    rows.connection.rollback()
    assert rows.steps(job) == ["pending/none"]
