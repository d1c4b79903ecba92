"""Live calls: which no gateway attends to, and who gets them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from ringback.statements import erasure
from ringback.statements.jobs import sweeps
from ringback.statements.sessions import calls, lifecycle
from ringback.tables import processes as processes_table
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world
from tests.integration.statements.two_connections import both_sweep

CALL = {"call_id": "rtc_1", "transport": "webrtc", "item_secret": "secret", "resume_seconds": calls.UNATTENDED_SECONDS}


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        rows.set_session(**CALL)
        yield rows


def silent(rows: Rows, gateway: str, left: float) -> None:
    """The gateway has so much left of its lease."""
    lease = {"lease_until": seconds_from_now(left)}
    assert rows.count(update(processes_table).where(processes_table.c.id == gateway).values(**lease)) == 1


def given_up(rows: Rows, ago: float, **columns: str | None) -> None:
    """The time in which a gateway could take the call was over so many seconds ago."""
    rows.set_state("detached", **columns)
    rows.set_session(resume_until=seconds_from_now(-ago))


def taken(rows: Rows, gateway: str = "gw2") -> list[int]:
    """The epochs of what a gateway gets."""
    return [row.epoch for row in rows.run(calls.take(gateway))]


def test_a_call_of_a_gateway_that_lives_is_left_to_it(rows: Rows) -> None:
    assert rows.run(calls.unattended("gw2")) == []
    assert taken(rows) == []


def test_a_call_of_a_silent_gateway_is_taken_before_its_lease_ends_and_the_old_one_is_fenced(rows: Rows) -> None:
    silent(rows, "gw", calls.LEFT_SECONDS - 0.1)
    assert len(rows.run(calls.unattended("gw2"))) == 1
    (row,) = rows.run(calls.take("gw2"))
    assert (row.epoch, row.call_id, row.transport, row.user_id, row.end_wanted) == (2, "rtc_1", "webrtc", "ada", None)
    assert row.item_secret == "secret", "it knows the ids under which the old one has sent outputs"
    assert taken(rows, "gw") == [], "it is attended to"
    assert rows.count(lifecycle.end_session(rows.session, "gw", 1, "call_over")) == 0
    assert rows.count(calls.attach(rows.session, "gw", 1, "rtc_2", "s")) == 0


def test_a_gateway_takes_none_of_its_own(rows: Rows) -> None:
    silent(rows, "gw", 1.5)
    assert taken(rows, "gw") == []


def test_a_gateway_that_is_not_steady_takes_none(rows: Rows) -> None:
    rows.lose("gw")
    since = {"steady_since": seconds_from_now(0)}
    assert rows.count(update(processes_table).where(processes_table.c.id == "gw2").values(**since)) == 1
    assert taken(rows) == []


def test_a_session_that_is_no_call_is_not_taken(rows: Rows) -> None:
    rows.set_session(call_id=None)
    rows.lose("gw")
    assert taken(rows) == []


def test_a_call_that_was_given_up_is_taken_for_a_while(rows: Rows) -> None:
    assert rows.count(lifecycle.detach(rows.session, "gw", 1)) == 1
    assert rows.session_row().state == "detached"
    assert taken(rows) == [2]
    assert rows.session_row().state == "open"
    assert rows.count(lifecycle.detach(rows.session, "gw2", 2)) == 1
    rows.set_session(resume_until=seconds_from_now(-1))
    assert taken(rows) == []


def test_a_call_that_no_gateway_took_in_time_is_taken_to_be_hung_up(rows: Rows) -> None:
    given_up(rows, 1)
    assert len(rows.run(sweeps.end_unresumed())) == 1
    assert rows.run(sweeps.end_unresumed()) == [], "it waits for a gateway"
    assert (rows.session_row().state, rows.session_row().ended_at) == ("detached", None)
    (row,) = rows.run(calls.take("gw2"))
    assert (row.epoch, row.end_wanted) == (2, "not_resumed")


def test_a_call_that_was_asked_to_end_keeps_its_reason_however_late_it_is_taken(rows: Rows) -> None:
    given_up(rows, 1, end_wanted="revoked")
    assert rows.run(sweeps.end_unresumed()) == []
    assert [row.end_wanted for row in rows.run(calls.take("gw2"))] == ["revoked"]


@pytest.mark.parametrize("wanted", [None, "revoked"])
def test_a_call_that_can_be_live_no_more_ends_in_its_row(rows: Rows, wanted: str | None) -> None:
    given_up(rows, sweeps.LONGEST_CALL_SECONDS + 1, end_wanted=wanted)
    assert len(rows.run(sweeps.end_unresumed())) == 1
    assert (rows.session_row().state, rows.session_row().end_reason) == ("ended", "not_resumed")
    assert rows.session_row().end_wanted == wanted
    assert taken(rows) == []


def test_the_row_of_a_call_is_erased_once_it_is_hung_up(rows: Rows) -> None:
    rows.set_state("detached", end_wanted="erased")
    assert rows.run(erasure.next_user()) == []
    assert rows.count(erasure.delete_sessions("default", "ada")) == 0
    assert taken(rows) == [2]
    assert rows.count(lifecycle.end_session(rows.session, "gw2", 2, "erased")) == 1
    assert rows.count(erasure.delete_sessions("default", "ada")) == 1


def test_a_call_that_is_to_end_is_kept_for_a_gateway_to_hang_it_up(rows: Rows) -> None:
    rows.set_session(end_wanted="revoked")
    rows.lose("gw")
    assert [row.state for row in rows.run(sweeps.release_lost_sessions("gw2"))] == ["detached"]
    (row,) = rows.run(calls.take("gw2"))
    assert row.end_wanted == "revoked"


def test_why_a_call_ends_is_written_before_it_is_hung_up_by_the_gateway_that_has_it(rows: Rows) -> None:
    assert rows.count(calls.ask_to_end(rows.session, "gw", 2, "guarded")) == 0
    assert rows.count(calls.ask_to_end(rows.session, "gw2", 1, "guarded")) == 0
    assert rows.count(calls.ask_to_end(rows.session, "gw", 1, "guarded")) == 1
    assert rows.count(calls.ask_to_end(rows.session, "gw", 1, "call_ended")) == 1
    assert rows.session_row().state == "open"
    rows.lose("gw")
    (row,) = rows.run(calls.take("gw2"))
    assert row.end_wanted == "guarded"
    assert rows.count(calls.ask_to_end(rows.session, "gw", 1, "guarded")) == 0


def test_of_two_gateways_that_ask_at_once_one_gets_the_call(rows: Rows, database: str) -> None:
    rows.count(lifecycle.detach(rows.session, "gw", 1))
    found = both_sweep(database, rows, calls.take("gw2"))
    assert sorted(map(len, found)) == [0, 1]
