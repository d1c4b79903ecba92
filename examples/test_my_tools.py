"""Tests of tools: called as functions, with a call made by hand, and in a whole conversation.

    pytest examples/test_my_tools.py

docs/how-to/test-a-tool.md explains the kit.
"""

from __future__ import annotations

import asyncio
from datetime import time

import pytest

from examples.my_slow_tools import book_flight, find_flights
from examples.my_tools import book_table, opening_hours
from ringback import ToolError
from ringback.testing import Turn, converse, fake_call


def test_a_tool_is_a_function() -> None:
    assert opening_hours(day="monday") == "closed"


def test_a_booking_bears_the_callers_name_and_the_key_of_the_call() -> None:
    call = fake_call(user="ada", key="0badcafe")
    table = asyncio.run(book_table(4, time(19), call))
    assert (table.name, table.reference) == ("ada", "0badca")
    assert call.notes == ["asking the book"]


def test_too_many_guests_are_told_what_to_do() -> None:
    with pytest.raises(ToolError, match="offer two tables"):
        asyncio.run(book_table(10, time(19), fake_call()))


def test_the_caller_hears_when_the_restaurant_is_open() -> None:
    talk = converse("Are you open on sunday?", tools=[opening_hours], calls={"opening_hours": {"day": "sunday"}})
    assert talk.said == ["The answer is: from 12 to 23 o'clock"]


def test_a_day_that_is_none_is_refused_before_the_function_runs() -> None:
    talk = converse("Are you open on someday?", tools=[opening_hours], calls={"opening_hours": {"day": "someday"}})
    assert (talk.calls[0].state, talk.calls[0].attempts) == ("failed", 0)
    assert "day: Input should be 'monday', 'tuesday'" in str(talk.calls[0].output)


def test_the_caller_is_told_how_far_it_is() -> None:
    flights = {"find_flights": {"to": "Bergen", "on": "2027-05-01"}}
    talk = converse("Any flights to Bergen?", tools=[find_flights], calls=flights)
    assert "I am still at it: 2 of 3 airlines have answered." in talk.said, str(talk)
    assert talk.calls[0].result == {"P100": 100, "G200": 110, "S300": 120}


def test_a_caller_who_has_enough_stops_it() -> None:
    talk = converse(
        "Any flights to Bergen?",
        Turn("Never mind.", after=6.0),
        tools=[find_flights],
        calls=[{"find_flights": {"to": "Bergen", "on": "2027-05-01"}}, {"cancel_call": {}}],
    )
    assert talk.calls[0].state == "cancelled", str(talk)


@pytest.mark.parametrize(("approved", "state"), [(True, "succeeded"), (False, "cancelled")])
def test_nothing_is_booked_before_the_caller_has_said_yes(approved: bool, state: str) -> None:
    talk = converse(
        "Book it.",
        "Well …",
        tools=[book_flight],
        calls=[{"book_flight": {"number": "P100"}}, {"answer_approval": {"approved": approved}}],
    )
    assert talk.said[0].startswith("May I do this: book_flight"), str(talk)
    assert talk.calls[0].state == state
