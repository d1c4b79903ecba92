"""What a model reads of a signature: one flat JSON schema, with a word about each argument from the docstring."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple, Optional
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field

from ringback import Call, tool


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Line(BaseModel):
    """One line of an order."""

    cake: str
    title: str = "no title"
    number: Annotated[int, Field(ge=1)] = 1


class Address(BaseModel):
    street: str
    lines: list[Line] = []


class Place(NamedTuple):
    lat: float
    long: float


class Card(BaseModel):
    kind: Literal["card"]


class Cash(BaseModel):
    kind: Literal["cash"]


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    parameters = tool(function).announcement.parameters
    Draft202012Validator.check_schema(parameters)
    assert "$ref" not in (text := json.dumps(parameters)), "nothing to follow"
    assert "$defs" not in text
    return parameters


def plain(city: str, days: int, share: float, sure: bool) -> None:
    """Do."""


def optional(city: Optional[str], days: int | None = None) -> None:  # noqa: UP045 — authors write it so
    """Do."""


def unions(when: int | str, what: list[int] | dict[str, bool] = []) -> None:  # noqa: B006
    """Do."""


def choices(size: Size, unit: Literal["celsius", "fahrenheit"] = "celsius") -> None:
    """Do."""


def constraints(
    number: Annotated[int, Field(ge=1, le=10)],
    code: Annotated[str, Field(min_length=2, max_length=8, pattern="^[A-Z]+$")] = "AB",
    tags: Annotated[list[str], Field(max_length=3, description="from the annotation")] = [],  # noqa: B006
) -> None:
    """Do."""


def times(day: dt.date, at: dt.datetime, every: dt.timedelta, order: UUID) -> None:
    """Do."""


def nested(address: Address, spare: Line = Line(cake="plain", title="spare")) -> None:  # noqa: B008
    """Do."""


def told_apart(payment: Annotated[Card | Cash, Field(discriminator="kind")]) -> None:
    """Do."""


def collections(
    pair: tuple[int, str],
    place: Place,
    anything_listed: list,  # type: ignore[type-arg]
    unique: set[str],
    anything: Any,
    names: dict[str, list[int]],
) -> None:
    """Do."""


def awkward(title: str, properties: dict[str, Any] = {"title": "t"}) -> None:  # noqa: B006
    """Do."""


def with_call(call: Call, *, city: str) -> None:
    """Do."""


def nothing() -> None:
    """Do."""


TEXT, INTEGER = {"type": "string"}, {"type": "integer"}
LINE = {
    "type": "object",
    "properties": {
        "cake": TEXT,
        "title": TEXT | {"default": "no title"},
        "number": INTEGER | {"default": 1, "minimum": 1},
    },
    "required": ["cake"],
    "description": "One line of an order.",
}

SCHEMAS: list[tuple[Callable[..., Any], dict[str, Any], list[str]]] = [
    (
        plain,
        {"city": TEXT, "days": INTEGER, "share": {"type": "number"}, "sure": {"type": "boolean"}},
        ["city", "days", "share", "sure"],
    ),
    (
        optional,
        {
            "city": {"anyOf": [TEXT, {"type": "null"}]},
            "days": {"anyOf": [INTEGER, {"type": "null"}], "default": None},
        },
        ["city"],
    ),
    (
        unions,
        {
            "when": {"anyOf": [INTEGER, TEXT]},
            "what": {
                "anyOf": [
                    {"type": "array", "items": INTEGER},
                    {"type": "object", "additionalProperties": {"type": "boolean"}},
                ],
                "default": [],
            },
        },
        ["when"],
    ),
    (
        choices,
        {
            "size": TEXT | {"enum": ["small", "large"]},
            "unit": TEXT | {"enum": ["celsius", "fahrenheit"], "default": "celsius"},
        },
        ["size"],
    ),
    (
        constraints,
        {
            "number": INTEGER | {"minimum": 1, "maximum": 10},
            "code": TEXT | {"minLength": 2, "maxLength": 8, "pattern": "^[A-Z]+$", "default": "AB"},
            "tags": {
                "type": "array",
                "items": TEXT,
                "maxItems": 3,
                "default": [],
                "description": "from the annotation",
            },
        },
        ["number"],
    ),
    (
        times,
        {
            "day": TEXT | {"format": "date"},
            "at": TEXT | {"format": "date-time"},
            "every": TEXT | {"format": "duration"},
            "order": TEXT | {"format": "uuid"},
        },
        ["day", "at", "every", "order"],
    ),
    (
        nested,
        {
            "address": {
                "type": "object",
                "properties": {"street": TEXT, "lines": {"type": "array", "items": LINE, "default": []}},
                "required": ["street"],
            },
            "spare": LINE | {"default": {"cake": "plain", "title": "spare", "number": 1}},
        },
        ["address"],
    ),
    (
        told_apart,
        {
            "payment": {
                "oneOf": [
                    {"type": "object", "properties": {"kind": TEXT | {"const": kind}}, "required": ["kind"]}
                    for kind in ("card", "cash")
                ]
            }
        },
        ["payment"],
    ),
    (
        collections,
        {
            "pair": {
                "type": "array",
                "items": {"anyOf": [INTEGER, TEXT]},
                "minItems": 2,
                "maxItems": 2,
                "description": "In this order: integer, string.",
            },
            "place": {
                "type": "array",
                "items": {"type": "number"},
                "minItems": 2,
                "maxItems": 2,
                "description": "In this order: Lat (number), Long (number).",
            },
            "anything_listed": {"type": "array", "items": {}},
            "unique": {"type": "array", "items": TEXT, "uniqueItems": True},
            "anything": {},
            "names": {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}},
        },
        ["pair", "place", "anything_listed", "unique", "anything", "names"],
    ),
    (
        awkward,
        {"title": TEXT, "properties": {"type": "object", "additionalProperties": True, "default": {"title": "t"}}},
        ["title"],
    ),
    (with_call, {"city": TEXT}, ["city"]),
    (nothing, {}, []),
]


@pytest.mark.parametrize(("function", "properties", "required"), SCHEMAS, ids=[each[0].__name__ for each in SCHEMAS])
def test_a_signature_becomes_one_flat_schema(
    function: Callable[..., Any], properties: dict[str, Any], required: list[str]
) -> None:
    schema = schema_of(function)
    assert schema.pop("required", []) == required
    assert schema == {"type": "object", "properties": properties, "additionalProperties": False}


def test_an_invented_argument_does_not_fit() -> None:
    assert not Draft202012Validator(schema_of(plain)).is_valid(
        {"city": "Rome", "days": 1, "share": 0.5, "sure": True, "country": "IT"}
    )
