"""Which sessions are here, are woken and are ended: none of which the rows could not know yet."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from gateway.live_sessions import SessionHandle, SessionRegistry

pytestmark = pytest.mark.anyio

A, B = uuid4(), uuid4()
PATIENCE = 20.0


@pytest.fixture
def live_sessions() -> SessionRegistry:
    return SessionRegistry(2)


def held(live_sessions: SessionRegistry, session_id: object = A) -> SessionHandle:
    handle = live_sessions.enter(session_id)  # type: ignore[arg-type]
    handle.is_held = True
    return handle


def leaves(handle: SessionHandle) -> float | None:
    assert handle.is_to_leave
    return handle.leave_within


async def test_sessions_that_are_here_are_woken(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    told: list[str] = []
    live_sessions.wake([A, B])
    handle.on_wake = lambda: told.append("wake")
    live_sessions.wake([A, B])
    assert (handle.is_awake, told) == (True, ["wake"])


async def test_a_session_that_records_what_it_has_is_not_woken_for_that(live_sessions: SessionRegistry) -> None:
    handle, other = live_sessions.enter(A), live_sessions.enter(B)
    handle.is_marking = True
    live_sessions.wake_waiting([A, B])
    assert (handle.is_awake, other.is_awake) == (False, True)
    live_sessions.wake([A])
    assert handle.is_awake, "a doorbell wakes it all the same"
    handle.is_awake = False
    handle.is_marking = False
    live_sessions.wake_waiting([A])
    assert handle.is_awake


async def test_a_session_that_records_on_and_on_is_passed_over_every_other_time(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    handle.is_marking = True
    woken = []
    for _ in range(4):
        live_sessions.wake_waiting([A])
        woken.append(handle.is_awake)
        handle.is_awake = False
    assert woken == [False, True, False, True]


async def test_who_others_hold_is_sent_away_at_once(live_sessions: SessionRegistry) -> None:
    handle, other = held(live_sessions), held(live_sessions, B)
    assert live_sessions.terminate_all_but({B}, live_sessions.held()) == [A]
    assert leaves(handle) is None
    assert handle.why_over == "session_superseded"
    assert other.why_over is None


async def test_who_came_in_while_the_rows_were_asked_is_left_in_peace(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    before = live_sessions.held()
    handle.is_held = True
    assert live_sessions.terminate_all_but(set(), before) == []


async def test_who_left_while_the_rows_were_asked_is_not_lost(live_sessions: SessionRegistry) -> None:
    handle = held(live_sessions)
    before = live_sessions.held()
    handle.is_held = False  # its row is about to say that it is over
    assert live_sessions.terminate_all_but(set(), before) == []
    assert handle.why_over is None


async def test_a_session_that_comes_back_on_another_connection_takes_the_place(live_sessions: SessionRegistry) -> None:
    old, new = held(live_sessions), held(live_sessions)
    assert leaves(old) is None
    live_sessions.leave(A, old)
    assert live_sessions.held() == {A: new}


async def test_a_gateway_that_ends_asks_those_who_are_here_and_those_at_the_door(
    live_sessions: SessionRegistry,
) -> None:
    here = live_sessions.enter(A)
    live_sessions.ask_all_to_leave(7.0)
    late = live_sessions.enter(B)
    assert leaves(here) == leaves(late) == 7.0


async def test_who_is_asked_to_leave_and_is_then_superseded_knows_both(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    told: list[float | None] = []
    handle.on_leave = lambda: told.append(handle.leave_within)
    live_sessions.ask_all_to_leave(7.0)
    live_sessions.ask_all_to_leave(3.0)
    handle.terminate()
    assert (handle.why_over, told) == ("session_superseded", [7.0, None])


async def test_it_is_empty_when_the_last_one_has_left(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    waiting = asyncio.create_task(live_sessions.emptied())
    await asyncio.sleep(0)
    assert not waiting.done()
    live_sessions.leave(A, handle)
    async with asyncio.timeout(PATIENCE):
        await waiting


def test_sessions_that_left_and_links_that_they_did_without_are_counted(live_sessions: SessionRegistry) -> None:
    handle = live_sessions.enter(A)
    live_sessions.link_over()
    assert live_sessions.over == 1
    live_sessions.leave(A, handle)
    assert live_sessions.over == 2


def test_it_is_full_at_its_limit(live_sessions: SessionRegistry) -> None:
    held(live_sessions)
    assert not live_sessions.is_full
    held(live_sessions, B)
    assert live_sessions.is_full


async def test_what_needs_a_session_waits_for_the_first_and_rests_after_the_last(
    live_sessions: SessionRegistry,
) -> None:
    waiting = asyncio.create_task(live_sessions.populated())
    await asyncio.sleep(0)
    assert not waiting.done()
    one = live_sessions.enter(A)
    async with asyncio.timeout(PATIENCE):
        await waiting
        await live_sessions.populated()
    live_sessions.leave(A, one)
    again = asyncio.create_task(live_sessions.populated())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()
