"""The response slot as a table: every state and event, and that no state is without a way out."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.conversation.turn_taking.slot import (
    TRANSITIONS,
    Active,
    Asked,
    By,
    CreateLost,
    CreateRefused,
    CreateSent,
    Idle,
    ImpossibleTransition,
    ResponseBegan,
    ResponseEnded,
    ResponseFailed,
    Slot,
    SlotEvent,
    advance,
)

OURS = Asked("rb_1", By.RESULTS, at=1.0, until=11.0, about=frozenset({"a"}))
OTHER = Asked("rb_0", By.FILLER, at=0.0, until=10.0)
BY_OURS = Active("R1", By.RESULTS, "rb_1", asked=1.0, until=122.0, about=frozenset({"a"}))
BY_SERVER = Active("R1", By.SERVER, None, asked=2.0, until=122.0)
WAITED_FOR = Active("R1", By.SERVER, None, asked=2.0, until=122.0, behind=OURS)
FREE, BLOCKED = Idle(), Idle(7.0)


def began(response: str = "R1", named: Asked | None = None, *, is_servers: bool = False) -> ResponseBegan:
    return ResponseBegan(response, 2.0, 122.0, named, is_servers)


@pytest.mark.parametrize(
    ("slot", "event", "after"),
    [
        (FREE, CreateSent(OURS), OURS),
        (FREE, began(), BY_SERVER),
        (FREE, began(named=OURS), BY_OURS),
        (FREE, CreateRefused(None, 7.0), BLOCKED),
        (BLOCKED, ResponseEnded("R9"), FREE),
        (FREE, ResponseFailed("rb_1"), FREE),
        (FREE, CreateLost(), FREE),
        (OURS, began(), BY_OURS),
        (OURS, began(named=OURS), BY_OURS),
        (OURS, began(is_servers=True), WAITED_FOR),
        (OURS, began(named=OTHER), Active("R1", By.FILLER, "rb_0", 0.0, 122.0, behind=OURS)),
        (OURS, CreateRefused("rb_1", 7.0), BLOCKED),
        (OURS, CreateRefused(None, 7.0), BLOCKED),
        (OURS, CreateRefused("rb_0", 7.0), OURS),
        (OURS, ResponseFailed("rb_1"), FREE),
        (OURS, ResponseFailed("rb_0"), OURS),
        (OURS, ResponseEnded("R0"), OURS),
        (OURS, CreateLost(), FREE),
        (BY_OURS, began("R2"), Active("R2", By.SERVER, None, 2.0, 122.0)),
        (WAITED_FOR, began("R2"), Active("R2", By.RESULTS, "rb_1", 1.0, 122.0, frozenset({"a"}))),
        (BY_OURS, CreateRefused("rb_1", 7.0), Active("R1", By.SERVER, None, 1.0, 122.0)),
        (BY_OURS, CreateRefused(None, 7.0), Active("R1", By.SERVER, None, 1.0, 122.0)),
        (BY_OURS, CreateRefused("rb_0", 7.0), BY_OURS),
        (BY_SERVER, CreateRefused(None, 7.0), BY_SERVER),
        (WAITED_FOR, CreateRefused(None, 7.0), BY_SERVER),
        (WAITED_FOR, ResponseFailed("rb_1"), BY_SERVER),
        (BY_OURS, ResponseFailed("rb_1"), Active("R1", By.SERVER, None, 1.0, 122.0)),
        (BY_OURS, ResponseEnded("R1"), FREE),
        (BY_OURS, ResponseEnded("R0"), BY_OURS),
        (WAITED_FOR, ResponseEnded("R1"), OURS),
        (BY_OURS, CreateLost(), FREE),
        (WAITED_FOR, CreateLost(), OURS),
    ],
)
def test_each_event_in_each_state(slot: Slot, event: SlotEvent, after: Slot) -> None:
    assert advance(slot, event) == after


@pytest.mark.parametrize("slot", [OURS, BY_OURS, BY_SERVER])
def test_a_create_while_the_slot_is_taken_is_not_possible(slot: Slot) -> None:
    with pytest.raises(ImpossibleTransition):
        advance(slot, CreateSent(OTHER))


def test_the_table_has_every_pair() -> None:
    pairs = {(slot, event) for slot in typing.get_args(Slot) for event in typing.get_args(SlotEvent)}
    assert set(TRANSITIONS) == pairs


CREATES = st.sampled_from(["rb_0", "rb_1", "rb_2"])
RESPONSES = st.sampled_from(["R1", "R2", "R3"])
ASKED: st.SearchStrategy[Asked] = st.builds(Asked, CREATES, st.sampled_from(By), st.just(0.0), st.just(10.0))
EVENTS: st.SearchStrategy[Any] = st.one_of(
    st.builds(CreateSent, ASKED),
    st.builds(ResponseBegan, RESPONSES, st.just(1.0), st.just(120.0), st.none() | ASKED, st.booleans()),
    st.builds(CreateRefused, st.none() | CREATES, st.just(5.0)),
    st.builds(ResponseFailed, CREATES),
    st.builds(ResponseEnded, RESPONSES),
    st.just(CreateLost()),
)


@given(st.lists(EVENTS, max_size=30))
def test_after_any_order_of_events_the_slot_comes_free_within_two_bounds(events: list[Any]) -> None:
    slot: Slot = Idle()
    for event in events:
        if isinstance(event, CreateSent) and not isinstance(slot, Idle):
            continue  # the rules send nothing then
        slot = advance(slot, event)
        assert isinstance(slot, Idle) or slot.until > 0.0, "every wait has a bound"
    assert isinstance(advance(advance(slot, CreateLost()), CreateLost()), Idle), "there is a way out of every state"
