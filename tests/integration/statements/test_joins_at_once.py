"""The end of a call against the birth of one that joins it, in both orders, and against the end of the session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import CancelReason
from ringback.postgres.statement import Runnable
from ringback.statements.jobs import admission, sweeps, transitions
from ringback.statements.sessions import lifecycle
from tests.integration.statements.statement_rows import Rows, connected, new_job, seconds_from_now, world
from tests.integration.statements.two_connections import PATIENCE, Other, another, both_sweep, held
from tests.servers import execute

SUNNY = succeeded({"sky": "clear"})


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        yield rows


@pytest.fixture
def other(database: str) -> Iterator[Other]:
    with another(database) as other:
        yield other


def test_a_call_that_is_born_while_the_other_ends_gets_its_outcome(rows: Rows, other: Other) -> None:
    first, token = rows.running()
    second = new_job(rows.session, joined_to=first)
    assert execute(rows.connection, transitions.finish(first, token, SUNNY)).all()
    born = other.waits(admission.admit(second, "gw", 1))
    rows.connection.commit()
    assert len(born.result(PATIENCE)[0]) == 1
    assert (rows.job(second.id).state, rows.job(second.id).result) == ("succeeded", SUNNY.result)


def test_a_call_that_is_born_while_the_other_does_not_end_after_all_waits_for_it(rows: Rows, other: Other) -> None:
    first, token = rows.running()
    second = new_job(rows.session, joined_to=first)
    assert execute(rows.connection, transitions.finish(first, token, SUNNY)).all()
    born = other.waits(admission.admit(second, "gw", 1))
    rows.connection.rollback()
    assert len(born.result(PATIENCE)[0]) == 1
    assert rows.job(second.id).state == "pending"
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    assert rows.job(second.id).state == "succeeded"


@pytest.mark.parametrize("how", ["finish", "cancel", "time out", "hand back"])
def test_a_call_that_was_born_before_the_other_ended_is_not_forgotten(rows: Rows, other: Other, how: str) -> None:
    first, token = rows.running()
    if how in ("cancel", "time out"):
        rows.count(transitions.hand_back("w"))
    if how == "hand back":
        rows.run(transitions.cancel(first, "default", CancelReason.BARGE_IN))
    if how == "time out":
        rows.set(first, deadline_at=seconds_from_now(-2))
    second = new_job(rows.session, joined_to=first)
    ends: dict[str, Runnable] = {
        "finish": transitions.finish(first, token, SUNNY),
        "cancel": transitions.cancel(first, "default"),
        "time out": sweeps.time_out_overdue(),
        "hand back": transitions.hand_back("w"),
    }
    assert execute(rows.connection, admission.admit(second, "gw", 1)).all()
    if how == "time out":  # It skips what others hold, and comes back.
        assert other.begins(ends[how]) == [[]]
        other.commits()
        rows.connection.commit()
        assert rows.count(ends[how]) == 1
    else:
        ended = other.waits(ends[how])
        rows.connection.commit()
        assert len(ended.result(PATIENCE)[0]) == 1
    assert rows.job(second.id).state == rows.job(first).state != "pending"


def test_the_session_ends_while_a_joined_call_is_born_and_nothing_stays_ready(rows: Rows, other: Other) -> None:
    first, token = rows.running()
    second = new_job(rows.session, joined_to=first)
    assert execute(rows.connection, admission.admit(second, "gw", 1)).all()
    ended = other.waits(lifecycle.end_session(rows.session, "gw", 1, "client_closed_1000"))
    rows.connection.commit()
    ended.result(PATIENCE)
    assert rows.count(transitions.finish(first, token, SUNNY)) == 1
    assert [rows.job(job).delivery for job in (first, second.id)] == ["history_only", "history_only"]


def test_two_sweepers_that_find_everything_overdue_never_wait_for_each_other(database: str, rows: Rows) -> None:
    """Otherwise each would take some calls and those that joined the others, and want the rest of them."""
    pairs = [(first, rows.joining(first)) for first in (rows.asked() for _ in range(3))]
    for job in (job for pair in pairs for job in pair):
        rows.set(job, deadline_at=seconds_from_now(-2))
    with connected(database) as holder:
        execute(holder, held(pairs[0][0]))
        first, second = both_sweep(database, rows, sweeps.time_out_overdue())
        assert {row.id for row in (*first, *second)} == {pairs[1][0], pairs[2][0]}
        holder.rollback()
    assert rows.count(sweeps.time_out_overdue()) == 1
    assert {rows.job(job).state for pair in pairs for job in pair} == {"timed_out"}
