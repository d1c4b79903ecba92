"""Announcements of phone calls: each is settled once, a call has one session, and none is lost with a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from ringback.statements.sessions import announced_calls as receipts
from ringback.statements.sessions import calls, lifecycle
from ringback.tables import sessions, webhook_receipts
from tests.integration.statements.statement_rows import Rows, seconds_from_now, world
from tests.integration.statements.two_connections import another

CALL = "rtc_sip"


@pytest.fixture
def rows(database: str) -> Iterator[Rows]:
    with world(database) as rows:
        assert rows.count(announced("wh_1", "gw")) == 1
        yield rows


def announced(webhook_id: str, gateway: str) -> Any:
    return receipts.receive(webhook_id, gateway, call_id=CALL, caller="+1", called="+2", headers={})


def three(session: UUID, gateway: str = "gw", webhook_id: str = "wh_1") -> list[Any]:
    """The statements that give a session its call, in the order of their transaction."""
    return [
        receipts.hold(webhook_id, gateway, session, CALL),
        calls.attach(session, gateway, 1, CALL, "s3cret"),
        receipts.settle_attached(webhook_id, session, CALL),
    ]


def receipt(rows: Rows, webhook_id: str = "wh_1") -> Any:
    (row,) = rows.run(select(webhook_receipts).where(webhook_receipts.c.id == webhook_id))
    return row


def opened(rows: Rows, gateway: str) -> UUID:
    session = uuid4()
    rows.count(lifecycle.open_session(session, user_id="eve", agent="demo", model="m", gateway_id=gateway))
    return session


def taken(rows: Rows, gateway: str, *under_way: str) -> list[str]:
    return [row.id for row in rows.run(receipts.take_lost(gateway, under_way))]


def test_a_session_gets_its_call_and_settles_the_announcement_and_may_do_so_again(rows: Rows) -> None:
    for _ in range(2):  # the answer to a commit may be lost
        assert [rows.count(each) for each in three(rows.session)] == [1, 1, 1]
    assert receipt(rows).settled == receipts.ATTACHED
    assert rows.session_row().call_id == CALL
    assert rows.count(three(opened(rows, "gw"))[0]) == 0, "it is settled for another session"


def test_a_gateway_whose_announcement_was_taken_over_gets_no_call(rows: Rows) -> None:
    rows.lose("gw")
    assert taken(rows, "gw2") == ["wh_1"]
    assert rows.count(three(rows.session)[0]) == 0
    other = opened(rows, "gw2")
    assert [rows.count(each) for each in three(other, "gw2")] == [1, 1, 1]


def test_an_announcement_is_not_settled_by_a_session_that_was_lost(rows: Rows) -> None:
    rows.set_state("ended")
    assert [rows.count(each) for each in three(rows.session)] == [1, 0, 0]
    assert receipt(rows).settled is None


def test_a_call_has_one_session_that_lives(rows: Rows) -> None:
    rows.count(calls.attach(rows.session, "gw", 1, CALL, "s3cret"))
    second = opened(rows, "gw2")
    with pytest.raises(IntegrityError, match="ix_sessions_one_of_a_call"):
        rows.run(calls.attach(second, "gw2", 1, CALL, "s3cret"))
    rows.connection.rollback()
    rows.set_state("ended")
    assert rows.count(calls.attach(second, "gw2", 1, CALL, "s3cret")) == 1
    (row,) = rows.run(select(sessions.c.id).where(sessions.c.call_id == CALL, sessions.c.state != "ended"))
    assert row.id == second


def test_a_gateway_that_holds_an_announcement_has_its_taker_pass_it_by(rows: Rows, database: str) -> None:
    rows.lose("gw")
    with another(database) as stalled:
        stalled.begins(three(rows.session)[0])
        assert taken(rows, "gw2") == []
        stalled.begins(*three(rows.session)[1:])
        stalled.commits()
    assert taken(rows, "gw2") == []
    assert receipt(rows).settled == receipts.ATTACHED


def test_an_announcement_that_a_living_gateway_settles_is_left_to_it(rows: Rows) -> None:
    assert taken(rows, "gw2") == []
    assert taken(rows, "gw", "wh_0", "wh_1") == []


def test_a_gateway_takes_up_again_what_it_does_not_settle_any_more(rows: Rows) -> None:
    assert rows.count(announced("wh_2", "gw")) == 1
    assert taken(rows, "gw", "wh_2") == ["wh_1"]
    assert taken(rows, "gw") == ["wh_1", "wh_2"]
    assert rows.count(receipts.settle("wh_1", "gw", "rejected")) == 1
    assert taken(rows, "gw") == ["wh_2"]


def test_an_announcement_that_was_released_is_for_any_gateway(rows: Rows) -> None:
    assert rows.count(receipts.release("wh_1", "gw2")) == 0
    assert rows.count(receipts.release("wh_1", "gw")) == 1
    assert taken(rows, "gw2") == ["wh_1"]
    assert taken(rows, "gw") == []


def test_an_announcement_whose_caller_has_hung_up_is_taken_by_none(rows: Rows) -> None:
    long_ago = {"received_at": seconds_from_now(-receipts.RINGS_SECONDS - 1)}
    rows.count(update(webhook_receipts).values(**long_ago))
    assert taken(rows, "gw") == []
