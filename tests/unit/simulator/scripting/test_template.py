"""Templates: what is filled in, and what happens when it is missing."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.scripting.template import as_number, fill, render, unknown_specs

VALUES = {"city": "london", "low": "one", "nested": {"list": ["a", {"deep": 3}]}, "empty": None, "n": 11}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("In {city:title}: {n} degrees", "In London: 11 degrees"),
        ("{city:upper}", "LONDON"),
        ("{low:number}", "1"),
        ("{nested.list.1.deep}", "3"),
        ("{nested.list.7}", None),
        ("{empty}", None),
        ("{missing}", None),
        ("{missing|none}", "none"),
        ("{missing.deeper|}", ""),
        ("{city:number|7}", "7"),
        ('{"json": {city}}', '{"json": london}'),
    ],
)
def test_a_template_is_filled_or_missing(template: str, expected: str | None) -> None:
    assert render(template, VALUES) == expected


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"a": "{low:number}", "b": "{missing}"}, {"a": 1}),
        ({"a": "{missing:number|10}"}, {"a": 10}),
        (["{city}", 3, None], ["london", 3, None]),
        ({"a": {"b": "{nested.list}"}}, {"a": {"b": ["a", {"deep": 3}]}}),
        ({"a": "{city} {n}"}, {"a": "london 11"}),
    ],
)
def test_a_tree_is_filled_and_keeps_its_types(tree: Any, expected: Any) -> None:
    assert fill(tree, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("7", 7), ("-3", -3), ("one", 1), ("Ten", 10), ("forty two", 42), ("forty-two", 42)),
        *(("a hundred", 100), ("one hundred", 100), ("many", None), ("", None)),
    ],
)
def test_numbers_are_read_in_digits_and_in_words(text: str, number: int | None) -> None:
    assert as_number(text) == number


def test_unknown_formats_are_found() -> None:
    assert unknown_specs("{a:title} {b:shout}") == {"shout"}
