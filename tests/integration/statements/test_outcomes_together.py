"""Outcomes of several calls, written in one statement: each as if it were alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DataError

from ringback.jobs.outcomes import Outcome, failed, succeeded
from ringback.jobs.states import Delivery, JobState
from ringback.postgres.statement import Bound
from ringback.statements.clock import now
from ringback.statements.jobs import finishing, transitions
from ringback.tables import jobs
from tests.integration.statements.statement_rows import Rows, connected, world

KINDS: dict[str, tuple[Outcome, dict[str, Any]]] = {
    "a result": (succeeded({"zeta": 'ø\U0001f600 \\ "', "a": [1, 2.5, None, True], "nested": {"b": 1, "a": 2}}), {}),
    "a result that is nothing": (succeeded(None), {}),
    "a text": (succeeded("it's 5 °C"), {"summary": "5 °C"}),
    "a result that is not shown": (succeeded("…"), {"sealed_result": b"\x00\xff\\x00"}),
    "an error": (failed("busy", "Try later."), {"failure": {"type": "Busy", "at": ["a.py:1"]}}),
}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


def written(rows: Rows, *each: Bound) -> set[UUID]:
    return {row.job_id for row in rows.run(finishing.finish_all(each))}


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_has_the_row_that_it_has_alone(rows: Rows, kind: str) -> None:
    outcome, more = KINDS[kind]
    (alone, token), *both = (rows.running() for _ in range(3))
    (told,) = rows.run(transitions.finish(alone, token, outcome, **more))
    found = rows.run(finishing.finish_all([transitions.finish(*held, outcome, **more) for held in both]))
    assert {row.job_id for row in found} == {job for job, _ in both}
    assert {(row.session_id, row.delivery, row.gateway_id, row.epoch) for row in found} == {tuple(told)}
    expected = rows.job(alone)._asdict()
    for job, _ in both:
        row = rows.job(job)._asdict()
        for name in row.keys() - {"id", "call_id", "created_at", "deadline_at", "publish_after", "started_at"}:
            assert name == "finished_at" or row[name] == expected[name], name
        assert row["finished_at"] is not None
        assert str(row["result_in_order"]) == str(expected["result_in_order"])
        assert rows.steps(job) == rows.steps(alone)


def test_a_stale_token_changes_nothing_and_holds_up_no_other(rows: Rows) -> None:
    (mine, token), (lost, _), (swapped, _) = (rows.running() for _ in range(3))
    each = [(mine, token), (lost, uuid4()), (swapped, token)]
    assert written(rows, *(transitions.finish(*held, succeeded(1)) for held in each)) == {mine}
    for job in (lost, swapped):
        assert rows.job(job).state == JobState.RUNNING
        assert rows.job(job).result is None


def test_an_outcome_is_written_once(rows: Rows) -> None:
    held = [rows.running() for _ in range(2)]
    assert len(written(rows, *(transitions.finish(*each, succeeded("first")) for each in held))) == 2
    assert written(rows, *(transitions.finish(*each, succeeded("second")) for each in held)) == set()
    assert {rows.job(job).result for job, _ in held} == {"first"}


def test_a_call_that_was_cancelled_ends_as_its_worker_says(rows: Rows) -> None:
    (asked, token), other = rows.running(cancel_requested=True), rows.running()
    gone, gone_token = rows.running(state="cancelled", finished_at=now(), token=None)
    assert gone_token is not None
    each = [(asked, token), other, (gone, gone_token)]
    assert written(rows, *(transitions.finish(*held, succeeded(1)) for held in each)) == {asked, other[0]}
    assert rows.job(gone).state == JobState.CANCELLED


def test_a_session_that_is_over_hears_none_of_its_results(rows: Rows) -> None:
    here, over = rows.session, rows.another_session()
    mine, (theirs, token) = rows.running(), rows.running()
    rows.set(theirs, session_id=over)
    rows.session = over
    rows.set_state("ended")
    rows.session = here
    assert len(written(rows, *(transitions.finish(*held, succeeded(1)) for held in (mine, (theirs, token))))) == 2
    assert rows.job(mine[0]).delivery == Delivery.READY
    assert rows.job(theirs).delivery == Delivery.HISTORY_ONLY


def test_what_postgres_refuses_of_one_call_is_written_of_none(rows: Rows) -> None:
    held = [rows.running() for _ in range(2)]
    with pytest.raises(DataError):
        written(rows, transitions.finish(*held[0], succeeded(1)), transitions.finish(*held[1], succeeded("\x00")))
    rows.connection.rollback()
    assert {rows.job(job).state for job, _ in held} == {JobState.RUNNING}


def test_a_locked_job_is_left_out_and_waited_for_by_none(rows: Rows, database: str) -> None:
    """So two statements of several jobs never wait for each other, in whatever order they meet them."""
    free, locked = rows.running(), rows.running()
    each = [transitions.finish(*held, succeeded(1)) for held in (free, locked)]
    rows.connection.exec_driver_sql("SET lock_timeout = '1ms'")
    with connected(database) as other, other.begin():
        other.execute(update(jobs).where(jobs.c.id == locked[0]).values(progress="half"))
        assert written(rows, *each) == {free[0]}
    assert written(rows, *each) == {locked[0]}
    assert len(rows.run(select(jobs.c.id).where(jobs.c.state == JobState.SUCCEEDED))) == 2
