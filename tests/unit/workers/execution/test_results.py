"""Conversion of a tool's arguments and results."""

from __future__ import annotations

from collections import UserList, deque
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from math import inf, nan
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy
import pytest
from pydantic import BaseModel

from ringback import Call, ToolError, tool
from ringback.jobs.outcomes import failed
from workers.execution.results import MAX_RESULT_BYTES, arguments_for, as_data


class Model(BaseModel):
    at: datetime


@dataclass
class Point:
    x: int


class Named(NamedTuple):
    a: str
    b: str


class NaTType(datetime):
    """Type of pandas' missing time."""

    def isoformat(self, *_: Any, **__: Any) -> str:
        raise TypeError("there is no time in it")


class NAType:
    """Type of pandas' missing value."""


COUNTED = {"count": 3, "share": 0.5, "sure": True}


class Colour(Enum):
    RED = "red"


@tool
def book(guests: int, call: Call, name: str = "nobody") -> None:
    """Book a table."""


@pytest.mark.parametrize(
    ("given", "arguments"),
    [
        ({"guests": 2}, {"guests": 2, "name": "nobody"}),
        ({"guests": "2", "name": "Ada"}, {"guests": 2, "name": "Ada"}),
    ],
)
def test_arguments_are_typed_and_completed(given: Any, arguments: dict[str, Any]) -> None:
    assert arguments_for(book, given) == arguments


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({}, "guests: Field required"),
        ({"guests": "many"}, "guests: Input should be a valid integer"),
        ({"guests": 2, "colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"guests": 2, "call": {}}, "call: Extra inputs are not permitted"),
        ("text", "arguments: Input should be a valid dictionary"),
    ],
)
def test_arguments_that_do_not_fit_are_named(given: Any, complaint: str) -> None:
    with pytest.raises(ToolError, match=complaint) as caught:
        arguments_for(book, given)
    assert caught.value.code == "invalid_arguments"


def test_however_much_does_not_fit_the_model_hears_what_to_do() -> None:
    given = {"guests": 2} | {f"{'x' * 500}{number}": "y" * 500 for number in range(50)}
    with pytest.raises(ToolError, match=r"and 42 more\. Correct them and call the function again") as caught:
        arguments_for(book, given)
    assert failed("invalid_arguments", caught.value.message).message == caught.value.message, "it is not cut"


@pytest.mark.parametrize(
    ("result", "data"),
    [
        (None, None),
        ("text", "text"),
        (Model(at=datetime(2026, 1, 2, tzinfo=UTC)), {"at": "2026-01-02T00:00:00Z"}),
        ([Point(1), Colour.RED], [{"x": 1}, "red"]),
        ({1: Decimal("1.10"), "t": (1, 2)}, {"1": "1.10", "t": [1, 2]}),
        ({"a\0": ["b\0", "\ud800c"], "d\ud800": Named("\ud800e", "f")}, {"a": ["b", "c"], "d": ["e", "f"]}),
        # JSON has no such number, and the rest is worth telling.
        ({"rows": [1.0, nan, 3.0], "name": "Oslo"}, {"rows": [1.0, None, 3.0], "name": "Oslo"}),
        (-inf, None),
        ((nan for _ in range(2)), [None, None]),
        (numpy.array([[1.5, nan], [2.0, inf]]), [[1.5, None], [2.0, None]]),
        ({"count": numpy.int64(3), "share": numpy.float32(0.5), "sure": numpy.bool_(True)}, COUNTED),
        ({"when": NaTType(2026, 1, 1), "how_many": (NAType(), 1)}, {"when": None, "how_many": [None, 1]}),
        # Python's containers.
        ({1: "a", (2, 3): "b", None: "c"}, {"1": "a", "2,3": "b", "None": "c"}),
        ([range(2), {"a": 1}.keys(), MappingProxyType({"a": 1}), UserList([1])], [[0, 1], ["a"], {"a": 1}, [1]]),
        ([map(str, (1, 2)), frozenset({3}), deque([4])], [["1", "2"], [3], [4]]),
        ("x" * (MAX_RESULT_BYTES - 2), "x" * (MAX_RESULT_BYTES - 2)),
    ],
)
def test_a_result_becomes_json_data(result: Any, data: Any) -> None:
    assert as_data(result) == data


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (object(), "bad_result"),
        ({"a": [object()]}, "bad_result"),
        (ValueError("returned, not raised"), "bad_result"),
        (b"\xff", "bad_result"),
        ("x" * (MAX_RESULT_BYTES - 1), "result_too_large"),
        ("ü" * (MAX_RESULT_BYTES // 2), "result_too_large"),
    ],
)
def test_a_result_that_cannot_be_kept_is_refused(result: Any, code: str) -> None:
    with pytest.raises(ToolError) as caught:
        as_data(result)
    assert caught.value.code == code


def test_a_result_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ToolError, match="is no data"):
        as_data(endless)


def test_numbers_that_json_does_not_have_are_counted_in_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    as_data({"rows": [nan, 1.0, inf]}, "weather")
    assert caplog.messages == ["result changed (tool weather): 2 numbers are NaN or infinite, and become null"]
