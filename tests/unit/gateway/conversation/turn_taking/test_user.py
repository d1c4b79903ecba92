"""What the user is doing, as a table: every state and event, and how long the gateway gives way."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.turn_taking.user import (
    LONGEST_TURN_SECONDS,
    QUIET_LINE_SECONDS,
    TRANSITIONS,
    Answered,
    Appended,
    CameToEnd,
    Cleared,
    Holding,
    Silent,
    Speaking,
    Started,
    TurnTaken,
    User,
    UserEvent,
    advance,
    busy_until,
)

SPEAKS, HOLDS, GAVE = Speaking(1.0, 1.0), Holding(1.0, 1.0), TurnTaken(4.0, is_servers=True)
ENDED = CameToEnd(4.0, is_servers=True)
HEARD, HELD = Appended(3.0, is_held=False), Appended(3.0, is_held=True)


@pytest.mark.parametrize(
    ("user", "event", "after"),
    [
        (Silent(), Started(1.0), SPEAKS),
        (Silent(), ENDED, GAVE),
        (Silent(), HEARD, Silent()),
        (Silent(), HELD, Holding(3.0, 3.0)),
        (Silent(), Cleared(), Silent()),
        (Silent(), Answered(), Silent()),
        (SPEAKS, Started(2.0), Speaking(2.0, 2.0)),
        (SPEAKS, ENDED, GAVE),
        (SPEAKS, HEARD, Speaking(1.0, 3.0)),
        (SPEAKS, Cleared(), Silent()),
        (SPEAKS, Answered(), SPEAKS),
        (HOLDS, Started(1.0), SPEAKS),
        (HOLDS, ENDED, GAVE),
        (HOLDS, HELD, Holding(1.0, 3.0)),
        (HOLDS, Cleared(), Silent()),
        (HOLDS, Answered(), HOLDS),
        (GAVE, Started(1.0), SPEAKS),
        (GAVE, ENDED, GAVE),
        (GAVE, HEARD, GAVE),
        (GAVE, HELD, Holding(3.0, 3.0)),
        (GAVE, Cleared(), GAVE),
        (GAVE, Answered(), Silent()),
    ],
)
def test_each_event_in_each_state(user: User, event: UserEvent, after: User) -> None:
    assert advance(user, event) == after


def test_the_table_has_every_pair() -> None:
    pairs = {(user, event) for user in typing.get_args(User) for event in typing.get_args(UserEvent)}
    assert set(TRANSITIONS) == pairs


def test_that_the_line_is_alive_is_noted_once_a_second() -> None:
    user = Speaking(0.0, 0.0)
    assert advance(user, Appended(0.98, is_held=False)) is user
    assert advance(user, Appended(1.0, is_held=False)) == Speaking(0.0, 1.0)


def test_whoever_speaks_on_is_not_talked_over_while_audio_comes() -> None:
    user: User = Speaking(0.0, 0.0)
    for second in range(1, 120):
        user = advance(user, Appended(float(second), is_held=False))
    assert busy_until(user) == 119 + QUIET_LINE_SECONDS
    user = advance(user, Appended(LONGEST_TURN_SECONDS, is_held=False))
    assert busy_until(user) == LONGEST_TURN_SECONDS, "and yet there is a bound"


EVENTS: st.SearchStrategy[Any] = st.one_of(
    st.just(Started(0.0)),
    st.builds(CameToEnd, st.just(1.5), st.booleans()),
    st.builds(Appended, st.just(0.0), st.booleans()),
    st.just(Cleared()),
    st.just(Answered()),
)


@given(st.lists(EVENTS, max_size=30))
def test_after_any_order_of_events_the_gateway_gives_way_for_a_bounded_time(events: list[Any]) -> None:
    user: User = Silent()
    for event in events:
        user = advance(user, event)
        assert busy_until(user) <= LONGEST_TURN_SECONDS
