"""Calls of several sessions, admitted in one statement, and their results, read in one: as if each were alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from msgspec import structs
from sqlalchemy import select, update
from sqlalchemy.exc import DataError

from ringback.jobs.outcomes import Outcome, failed, succeeded
from ringback.postgres.statement import Bound
from ringback.statements.jobs import admission, deliveries, transitions
from ringback.statements.jobs.admission import NewJob, Sealed
from ringback.statements.sessions import lifecycle
from ringback.tables import jobs, sessions
from ringback.tools.behavior import ToolBehavior
from tests.integration.statements.statement_rows import ORDER, WEATHER, Rows, connected, new_job, world
from tests.integration.statements.two_connections import another
from tests.servers import execute

CLOCKS = {"created_at", "deadline_at", "publish_after", "finished_at"}
NOT_SEALED = Sealed()
ARGUMENTS = {"zeta": 'ø\U0001f600 \\ "', "a": [1, 2.5, None, True], "nested": {"b": 1, "a": 2}}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def second(rows: Rows) -> UUID:
    """Another session of the same gateway."""
    return rows.another_session()


def admitted(job: NewJob, epoch: int = 1, outcome: Outcome | None = None, sealed: Sealed = NOT_SEALED) -> Bound:
    return admission.admit(job, "gw", epoch, outcome, sealed)


def together(rows: Rows, *each: Bound) -> set[UUID]:
    return {row.id for row in rows.run(admission.admit_all(each))}


KINDS: dict[str, tuple[dict[str, Any], Outcome | None, Sealed]] = {
    "a plain call": ({}, None, NOT_SEALED),
    "a call with all that can be said of it": ({"item_id": "item_1", "position": 1_000_000_000_000}, None, NOT_SEALED),
    "a call that waits for a yes": ({"tool": ORDER, "needs_approval": True}, None, NOT_SEALED),
    "a call of no tool": ({"tool": None, "response_id": None}, failed("unknown_tool", "There is none."), NOT_SEALED),
    "a call that the gateway serves": ({}, succeeded({"z": 1, "a": [None, 0.5]}), NOT_SEALED),
    "a call whose result is nothing": ({}, succeeded(None), NOT_SEALED),
    "what is not shown": ({}, succeeded("…"), Sealed(b"\x00\xff\\x00", b"")),
    "a tool with manners": (
        {"tool": replace(WEATHER, timeout=0.1, behavior=ToolBehavior(say_after=3.0))},
        None,
        NOT_SEALED,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_has_the_row_that_it_has_alone(rows: Rows, second: UUID, kind: str) -> None:
    fields, outcome, sealed = KINDS[kind]
    fields = {"arguments": ARGUMENTS, **fields}
    alone = new_job(rows.session, fields.pop("tool", WEATHER), "alone", **fields)
    both = structs.replace(alone, id=uuid4(), call_id="together"), structs.replace(alone, id=uuid4(), session_id=second)
    assert rows.count(admitted(alone, outcome=outcome, sealed=sealed)) == 1
    assert together(rows, *(admitted(job, outcome=outcome, sealed=sealed) for job in both)) == {job.id for job in both}
    expected = rows.job(alone.id)._asdict()
    for job in both:
        row = rows.job(job.id)._asdict()
        assert row["session_id"] == job.session_id
        assert row["call_id"] == job.call_id
        for name in row.keys() - {"id", "session_id", "call_id", *CLOCKS}:
            assert row[name] == expected[name], name
        assert list(row["arguments_in_order"]) == list(ARGUMENTS)
        for name in CLOCKS:
            assert (row[name] is None) == (expected[name] is None), name
        for later, earlier in (("deadline_at", "created_at"), ("publish_after", "created_at")):
            if row[later] is not None:
                lasts, lasted = (each[later] - each[earlier] for each in (row, expected))
                assert abs((lasts - lasted).total_seconds()) < 1, later
        assert rows.steps(job.id) == rows.steps(alone.id)


def test_a_session_that_has_moved_on_is_left_out_and_holds_up_no_other(rows: Rows, second: UUID) -> None:
    rows.count(lifecycle.next_epoch(second, "gw", 1))
    first, late, now = new_job(rows.session), new_job(second), new_job(second)
    assert together(rows, admitted(first), admitted(late), admitted(now, epoch=2)) == {first.id, now.id}
    assert rows.job(now.id).epoch == 2
    rows.set_session(gateway_id="gw2")
    more, other = new_job(rows.session), new_job(second)
    assert together(rows, admitted(more), admitted(other, epoch=2)) == {other.id}
    rows.count(lifecycle.end_session(second, "gw", 2, "client_left"))
    assert together(rows, admitted(new_job(second), epoch=2), admitted(new_job(second), epoch=2)) == set()


def test_a_call_that_is_recorded_is_left_out_also_if_it_comes_twice_at_once(rows: Rows, second: UUID) -> None:
    recorded = rows.asked(call_id="call_1")
    again, new = new_job(rows.session, call_id="call_1"), new_job(second, call_id="call_1")
    assert together(rows, admitted(again), admitted(new)) == {new.id}
    twice = [new_job(second, call_id="call_2") for _ in range(2)]
    assert len(together(rows, *map(admitted, twice))) == 1
    kept = rows.run(select(jobs.c.id).where(jobs.c.call_id == "call_1"))
    assert {row.id for row in kept} == {recorded, new.id}


def test_what_postgres_refuses_of_one_call_records_none(rows: Rows, second: UUID) -> None:
    refused = new_job(second, arguments={"city": "\x00"})
    with pytest.raises(DataError):
        together(rows, admitted(new_job(rows.session)), admitted(refused))
    rows.connection.rollback()
    assert rows.run(select(jobs)) == []


def test_a_locked_session_is_left_out_and_waited_for_by_none(rows: Rows, second: UUID, database: str) -> None:
    """So two statements of several sessions never wait for each other, in whatever order they meet them."""
    first, locked = new_job(rows.session), new_job(second)
    rows.connection.exec_driver_sql("SET lock_timeout = '1ms'")
    with connected(database) as other, other.begin():
        other.execute(update(sessions).where(sessions.c.id == second).values(model="busy"))
        assert together(rows, admitted(first), admitted(locked)) == {first.id}
    assert together(rows, admitted(locked), admitted(first)) == {locked.id}


def test_an_epoch_that_begins_meanwhile_waits_and_includes_the_calls(rows: Rows, second: UUID, database: str) -> None:
    job = new_job(second)
    execute(rows.connection, admission.admit_all([admitted(new_job(rows.session)), admitted(job)]))
    with another(database) as other:
        epoch = other.waits(lifecycle.next_epoch(second, "gw", 1))
        rows.connection.commit()
        assert epoch.result()[0][0].epoch == 2
    assert rows.job(job.id).epoch == 1


def test_a_call_that_joins_another_is_admitted_alone(rows: Rows) -> None:
    first = rows.asked()
    assert admission.goes_alone(new_job(rows.session, joined_to=first))
    assert not admission.goes_alone(new_job(rows.session))


def ready(session: UUID, epoch: int = 1, given: list[UUID] | None = None) -> Bound:
    return deliveries.read_ready(session, "gw", epoch, given or [])


def all_ready(rows: Rows, *each: Bound) -> list[tuple[UUID, UUID]]:
    return [(row.session_id, row.id) for row in rows.run(deliveries.read_all_ready(each))]


def answered(rows: Rows, session: UUID) -> UUID:
    job, token = new_job(session), uuid4()
    rows.count(admitted(job))
    rows.count(transitions.claim(job.id, "w", token))
    assert rows.count(transitions.finish(job.id, token, succeeded({"z": "sunny", "a": 1}))) == 1
    return job.id


def test_each_session_reads_its_own_results_and_the_first_that_ended_comes_first(rows: Rows, second: UUID) -> None:
    mine, theirs = [answered(rows, rows.session) for _ in range(3)], answered(rows, second)
    found = all_ready(rows, ready(rows.session), ready(second))
    assert [job for session, job in found if session == rows.session] == mine
    assert [job for session, job in found if session == second] == [theirs]
    assert all_ready(rows, ready(rows.session, given=mine[:2]), ready(second, given=[theirs])) == [
        (rows.session, mine[2])
    ]


def test_a_result_that_is_read_with_others_is_the_row_that_it_is_alone(rows: Rows, second: UUID) -> None:
    answered(rows, rows.session)
    (alone,), (both,) = (
        rows.run(ready(rows.session)),
        rows.run(deliveries.read_all_ready([ready(second), ready(rows.session)])),
    )
    assert {**alone._asdict(), "age": 0} == {**both._asdict(), "age": 0}


def test_only_what_this_gateway_holds_in_this_epoch_is_read(rows: Rows, second: UUID) -> None:
    mine = answered(rows, rows.session)
    answered(rows, second)
    rows.count(lifecycle.next_epoch(second, "gw", 1))
    assert all_ready(rows, ready(rows.session), ready(second)) == [(rows.session, mine)]
    rows.lose("gw")
    assert all_ready(rows, ready(rows.session), ready(second, epoch=2)) == []
