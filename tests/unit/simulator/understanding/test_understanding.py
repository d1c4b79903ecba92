"""Sentences, typed and as recognisers write them, and the calls and questions that they lead to."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from simulator.understanding.offered import offered
from simulator.understanding.understanding import Dropped, Question, ToolUse, understand
from simulator.understanding.values import Said, yes_or_no
from tests.unit.simulator.understanding.tools import TOOLS, tool

MONDAY = date(2026, 11, 30)
Call = tuple[str, dict[str, Any]]


def heard(*sentences: str) -> Call | str | None:
    """What a talk of these sentences comes to: a call, a question, "dropped", or None."""
    question: Question | None = None
    for sentence in sentences:
        understood = understand(Said.of(sentence, MONDAY), TOOLS, question)
        question = understood if isinstance(understood, Question) else None
    if isinstance(understood, ToolUse):
        return understood.tool, dict(understood.arguments)
    if isinstance(understood, Dropped):
        return "dropped"
    return understood.text if isinstance(understood, Question) else None


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("what is the weather in Paris", ("weather", {"city": "Paris"})),
        ("What's the weather in New York today?", ("weather", {"city": "New York"})),
        ("weather for san francisco please", ("weather", {"city": "san francisco"})),
        ('the weather in "Bad Homburg"', ("weather", {"city": "Bad Homburg"})),
        ("give me a quote", ("quote_of_the_day", {})),
        ("pick a number between 3 and 9", ("random_number", {"minimum": 3, "maximum": 9})),
        ("a random number with maximum forty two", ("random_number", {"maximum": 42})),
        ("where is order A-1042", ("order_status", {"order_id": "A-1042"})),
        ("where is order a one oh four two", ("order_status", {"order_id": "A-1042"})),
        ("Where is my order at 1042?", ("order_status", {"order_id": "A-1042"})),
        ("where is order A 1 0 4 2", ("order_status", {"order_id": "A-1042"})),
        ("is my order b twenty two hundred there", ("order_status", {"order_id": "B-2200"})),
        ("use lookup_invoice number INV-1", ("lookup_invoice", {"number": "INV-1"})),
        ("look up invoice number seventeen", ("lookup_invoice", {"number": "INV-17"})),
        ("what about invoice i n v 3", ("lookup_invoice", {"number": "INV-3"})),
        ("check INV-8", ("lookup_invoice", {"number": "INV-8"})),
        ("fetch https://example.com/a?b=1.", ("fetch_url", {"url": "https://example.com/a?b=1"})),
        ("book a table for four at seven thirty pm", ("book_table", {"guests": 4, "at": "19:30"})),
        ("book table for 2 at 19:00", ("book_table", {"guests": 2, "at": "19:00"})),
        ("book a table for two at half past seven", ("book_table", {"guests": 2, "at": "07:30"})),
        ("order a large shirt as a gift", ("order_shirt", {"size": "large", "gift": True})),
        ("order a small shirt, not a gift", ("order_shirt", {"size": "small", "gift": False})),
        ("add milk, bread and butter to my list", ("add_to_list", {"things": ["milk", "bread", "butter"]})),
        ("use gift card for my sister", ("gift_card", {"subject": "my sister"})),
        (
            "book a flight from Madrid to Rome on Friday",
            ("book_flight", {"origin": "Madrid", "destination": "Rome", "day": "2026-12-04"}),
        ),
        (
            "book a flight from madrid to rome on the third of January",
            ("book_flight", {"origin": "madrid", "destination": "rome", "day": "2027-01-03"}),
        ),
        ("find part a b 1 2 3", ("find_part", {"part": "AB_123"})),
        ("set the heating to 21.5", ("set_heating", {"degrees": 21.5})),
        ("set heating to minus 3", ("set_heating", {"degrees": -3})),
        ("set the heating to twenty one degrees", ("set_heating", {"degrees": 21})),
        ("tell me a joke", None),
        ("hello", None),
        ("what can you do", None),
        ("A-1042", ("order_status", {"order_id": "A-1042"})),
        ("", None),
    ],
)
def test_a_sentence_calls_the_tool_that_it_is_about(sentence: str, expected: Call | None) -> None:
    assert heard(sentence) == expected


@pytest.mark.parametrize(
    ("sentence", "question"),
    [
        ("use weather", "Which city?"),
        ("what's the weather like", "Which city?"),
        ("where is my order", "Which order id?"),
        ("book a table", "How many guests?"),
        ("book a table for four", "At what time?"),
        ("order a shirt", "Which size: small or large?"),
        ("close account", "Which name?"),
        ("book a flight from Madrid to Rome", "On which day?"),
        ("book a flight to Rome tomorrow", "Which origin?"),
        ("set the heating", "Which degrees?"),
    ],
)
def test_what_is_missing_is_asked_for(sentence: str, question: str) -> None:
    assert heard(sentence) == question


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        (("weather", "Paris"), ("weather", {"city": "Paris"})),
        (("weather", "in Paris, please"), ("weather", {"city": "Paris"})),
        (("where is my order", "A 1042"), ("order_status", {"order_id": "A-1042"})),
        (("where is my order", "it's b 2 2 0 0"), ("order_status", {"order_id": "B-2200"})),
        (("book a table", "for four please", "at eight pm"), ("book_table", {"guests": 4, "at": "20:00"})),
        (("book a table", "four at 19:00"), ("book_table", {"guests": 4, "at": "19:00"})),
        (("order a shirt", "the small one"), ("order_shirt", {"size": "small"})),
        (("order a shirt", "blue"), "Sorry, which size: small or large?"),
        (("order a shirt", "blue", "green"), "dropped"),
        (("order a shirt", "blue", "large"), ("order_shirt", {"size": "large"})),
        (("close account", "Alice", "yes, go ahead"), ("closeAccount", {"name": "Alice", "sure": True})),
        (("close account", "Alice", "no"), ("closeAccount", {"name": "Alice", "sure": False})),
        (("add to list", "apples and pears"), ("add_to_list", {"things": ["apples", "pears"]})),
        (("use gift card", "the birthday of my mother"), ("gift_card", {"subject": "birthday of my mother"})),
        (("use gift card", "never mind"), "dropped"),
        (("use gift card", "what is the weather in Paris"), ("weather", {"city": "Paris"})),
        (("use weather", "a joke", "Paris"), None),
    ],
)
def test_the_next_sentence_is_the_answer(sentences: tuple[str, ...], expected: Call | str | None) -> None:
    assert heard(*sentences) == expected


def test_a_question_about_a_tool_that_is_gone_is_forgotten() -> None:
    question = Question("gone", {}, "city", "Which city?")
    assert understand(Said.of("Paris", MONDAY), TOOLS, question) is None


@pytest.mark.parametrize(
    "schema",
    [{}, {"type": ["string", "null"]}, {"enum": []}, {"type": "object"}, {"pattern": "("}, {"anyOf": [True]}, True, 7],
)
def test_an_odd_schema_is_no_failure(schema: Any) -> None:
    odd = offered([{**tool("odd_one", "Odd."), "parameters": {"type": "object", "properties": {"x": schema}}}])
    assert isinstance(understand(Said.of("use odd one with x 7", MONDAY), odd), ToolUse)
    assert offered([{"type": "function", "name": "x", "parameters": 7}, {"type": "mcp"}])[0].parameters == ()


@pytest.mark.parametrize(
    ("sentence", "answer"),
    [
        ("yes", True),
        ("Yes, please.", True),
        ("okay", True),
        ("go ahead", True),
        ("no", False),
        ("No, thank you.", False),
        ("please don't", False),
        ("better not", False),
        ("maybe", None),
        ("", None),
    ],
)
def test_a_yes_and_a_no(sentence: str, answer: bool | None) -> None:
    assert yes_or_no(sentence) is answer
