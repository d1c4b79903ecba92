"""Who is here, who is woken, and who is sent away: nobody of whom the rows could not know yet."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from gateway.live_sessions import Place, Presence

pytestmark = pytest.mark.anyio

A, B = uuid4(), uuid4()


@pytest.fixture
def presence() -> Presence:
    return Presence(2)


def recorded(presence: Presence, session_id: object = A) -> Place:
    place = presence.enter(session_id)  # type: ignore[arg-type]
    place.is_recorded = True
    return place


async def leaves(place: Place) -> float | None:
    async with asyncio.timeout(5):
        return await place.told_to_leave()


async def test_a_ring_wakes_those_who_are_here(presence: Presence) -> None:
    place = presence.enter(A)
    presence.ring([A, B])
    assert place.bell.is_set()


async def test_who_others_hold_is_sent_away_at_once(presence: Presence) -> None:
    place, other = recorded(presence), recorded(presence, B)
    assert presence.send_away_all_but({B}, presence.recorded()) == [A]
    assert await leaves(place) is None
    assert place.why_over == "session_superseded"
    assert other.why_over is None


async def test_who_came_in_while_the_rows_were_asked_is_left_in_peace(presence: Presence) -> None:
    place = presence.enter(A)
    before = presence.recorded()
    place.is_recorded = True
    assert presence.send_away_all_but(set(), before) == []


async def test_a_session_that_comes_back_on_another_connection_takes_the_place(presence: Presence) -> None:
    old, new = recorded(presence), recorded(presence)
    assert await leaves(old) is None
    presence.leave(A, old)
    assert presence.recorded() == {A: new}


async def test_a_gateway_that_ends_asks_those_who_are_here_and_those_at_the_door(presence: Presence) -> None:
    here = presence.enter(A)
    presence.ask_all_to_leave(7.0)
    late = presence.enter(B)
    assert await leaves(here) == await leaves(late) == 7.0


async def test_who_is_asked_to_leave_and_is_then_superseded_knows_both(presence: Presence) -> None:
    place = presence.enter(A)
    presence.ask_all_to_leave(7.0)
    place.send_away()
    assert place.why_over == "session_superseded"


async def test_it_is_empty_when_the_last_one_has_left(presence: Presence) -> None:
    place = presence.enter(A)
    waiting = asyncio.create_task(presence.emptied())
    await asyncio.sleep(0)
    assert not waiting.done()
    presence.leave(A, place)
    async with asyncio.timeout(5):
        await waiting


def test_it_is_full_at_its_limit(presence: Presence) -> None:
    recorded(presence)
    assert not presence.is_full
    recorded(presence, B)
    assert presence.is_full
