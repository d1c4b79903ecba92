"""A doorbell's entry names a session; any other entry is ignored."""

from __future__ import annotations

from uuid import uuid4

import pytest

from ringback.redis.notifications import EXPIRE_SECONDS, MAX_LENGTH, TIME_TO_LIVE, Doorbells, Ring, heard, stream_of


def test_an_entry_names_a_session() -> None:
    session_id = uuid4()
    entry, expiry = Doorbells().commands("gw_1", session_id)
    assert entry == ("XADD", "ringback:doorbell:gw_1", "MAXLEN", "~", MAX_LENGTH, "*", "session", str(session_id))
    assert expiry == ("EXPIRE", "ringback:doorbell:gw_1", TIME_TO_LIVE)
    assert heard({"session": str(session_id)}) == Ring(session_id)


def test_a_sealed_result_goes_along() -> None:
    session_id = uuid4()
    entry, _ = Doorbells().commands("gw_1", session_id, "sealed")
    assert entry[-2:] == ("result", "sealed")
    assert heard({"session": str(session_id), "result": "sealed"}) == Ring(session_id, "sealed")


def test_the_time_to_live_is_renewed_once_in_a_while_and_after_a_failure() -> None:
    now, session_id = [100.0], uuid4()
    doorbells = Doorbells(lambda: now[0])

    def sent(gateway_id: str) -> list[object]:
        return [command[0] for command in doorbells.commands(gateway_id, session_id)]

    assert sent("gw_1") == ["XADD", "EXPIRE"]
    assert sent("gw_1") == ["XADD"]
    assert sent("gw_2") == ["XADD", "EXPIRE"], "each gateway has a stream"
    now[0] += EXPIRE_SECONDS
    assert sent("gw_1") == ["XADD", "EXPIRE"]
    doorbells.failed("gw_1")
    assert sent("gw_1") == ["XADD", "EXPIRE"]
    assert EXPIRE_SECONDS < TIME_TO_LIVE / 2


def test_each_gateway_has_a_stream_of_its_own() -> None:
    assert stream_of("gw_1") == "ringback:doorbell:gw_1"
    assert stream_of("gw_1") != stream_of("gw_2")


@pytest.mark.parametrize("fields", [{}, {"job": "1"}, {"session": ""}, {"session": "nobody"}, {"session": "1" * 33}])
def test_an_entry_that_is_not_ours_rings_for_nobody(fields: dict[str, str]) -> None:
    assert heard(fields) is None
