"""The tools that ship, called as functions, and their specifications."""

from __future__ import annotations

import asyncio
from datetime import date

import pytest

from ringback import Call, ToolError
from workers.tools.fetch_url import text_of
from workers.tools.order_status import order_status
from workers.tools.quote_of_the_day import QUOTES, quote_for, quote_of_the_day
from workers.tools.random_number import random_number
from workers.tools.weather import PLACES, find, weather


@pytest.mark.parametrize(
    ("said", "city"),
    [
        ("London, UK", "London"),
        ("london uk", "London"),
        ("LONDON", "London"),
        (" London,  England ", "London"),
        ("New York City", "New York"),
        ("new york, ny", "New York"),
        ("Sao Paulo", "São Paulo"),
        ("Zürich, Switzerland", "Zürich"),
        ("Singapore", "Singapore"),
    ],
)
def test_a_city_is_found_however_it_is_said(said: str, city: str) -> None:
    place = find(said)
    assert place is not None
    assert place.city == city


@pytest.mark.parametrize("said", ["Paris, Texas", "London, Ontario", "Atlantis", "", "UK", "Rom"])
def test_another_place_is_not_taken_for_a_known_one(said: str) -> None:
    with pytest.raises(ToolError, match="Some cities that there is: Amsterdam") as caught:
        weather(said)
    assert caught.value.code == "unknown_city"


def test_every_city_is_found_by_its_own_name_and_country() -> None:
    assert [find(place.city) for place in PLACES] == list(PLACES)
    assert [find(f"{place.city}, {place.country}") for place in PLACES] == list(PLACES)


def test_the_weather_is_told_in_a_sentence() -> None:
    assert weather("london") == {
        "city": "London, UK",
        "temperature_c": 12,
        "condition": "light rain",
        "summary": "In London, UK it is 12 degrees Celsius, light rain.",
    }


def test_the_quote_changes_with_the_day_and_only_then() -> None:
    days = [quote_for(date.fromordinal(700_000 + day))["quote"] for day in range(len(QUOTES))]
    assert len(set(days)) == len(QUOTES)
    assert quote_of_the_day().keys() == {"quote", "author"}


def test_a_number_lies_between_both_ends() -> None:
    assert {random_number(1, 2)["number"] for _ in range(200)} == {1, 2}
    assert random_number(5, 5) == {"number": 5}
    assert 1 <= random_number()["number"] <= 100


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ToolError, match="minimum 2 is above maximum 1"):
        random_number(2, 1)


@pytest.mark.parametrize("said", ["A-1042", "a 1042", "A1042", " a-1042. "])
def test_an_order_is_found_however_its_number_is_said(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_ORDER_DELAY", "0")
    notes: list[str] = []
    found = asyncio.run(order_status(said, Call(_report=notes.append)))
    assert (found["order_id"], found["status"]) == ("A-1042", "out for delivery")
    assert notes == ["asked the warehouse", "asked the carrier"]


def test_an_unknown_order_is_refused_with_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RINGBACK_ORDER_DELAY", "0")
    with pytest.raises(ToolError, match="There is no order Z-9; ask for the number again") as caught:
        asyncio.run(order_status("Z-9", Call()))
    assert caught.value.code == "order_not_found"


def test_slow_orders_have_a_queue_of_their_own_and_the_model_may_speak_meanwhile() -> None:
    announced = order_status.announcement
    assert (announced.queue, announced.timeout, announced.retries, announced.behavior.say_after) == ("slow", 20, 2, 3)
    assert announced.parameters["required"] == ["order_id"]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", b"<b>as it is</b>", "<b>as it is</b>"),
        (
            "text/html",
            b"<head><title>no</title></head><h1>A &amp; B</h1><p>c  d<script>no()</script>\n\n\n<p>e",
            "A & B\nc d\ne",
        ),
        ("text/html", b"<p>never closed <script>no", "never closed"),
        ("text/html", "<p>gr\u00fc\u00dfe".encode(), "gr\u00fc\u00dfe"),
    ],
)
def test_of_a_page_only_what_is_shown_is_read(content_type: str, body: bytes, text: str) -> None:
    assert text_of(content_type, body, "utf-8") == text


def test_an_unknown_charset_is_read_as_utf_8() -> None:
    assert text_of("text/plain", b"a\xff", "no-such-charset") == "a\ufffd"
