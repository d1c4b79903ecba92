"""What a model reads of a signature: one flat JSON schema, with a word about each argument from the docstring."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional
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


def collections(pair: tuple[int, str], unique: set[str], anything: Any, names: dict[str, list[int]]) -> None:
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
            "pair": {"type": "array", "prefixItems": [INTEGER, TEXT], "minItems": 2, "maxItems": 2},
            "unique": {"type": "array", "items": TEXT, "uniqueItems": True},
            "anything": {},
            "names": {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}},
        },
        ["pair", "unique", "anything", "names"],
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


# — docstrings —


def google(city: str, call: Call, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    Args:
        city: the name of the city,
            as people say it.
        days: how many days ahead.
    """


def numpy(city: str, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    Parameters
    ----------
    city : str
        the name of the city,
        as people say it.
    days
        how many days ahead.
    """


def rest(city: str, days: int = 1) -> None:
    """Look up the weather.

    It asks the warehouse first.

    :param city: the name of the city,
        as people say it.
    :param int days: how many days ahead.
    """


@pytest.mark.parametrize("function", [google, numpy, rest])
def test_docstrings_of_three_styles_are_read(function: Callable[..., Any]) -> None:
    announcement = tool(function).announcement
    assert announcement.description == "Look up the weather.\nIt asks the warehouse first."
    properties = announcement.parameters["properties"]
    assert set(properties) == {"city", "days"}
    assert " ".join(properties["city"]["description"].split()) == "the name of the city, as people say it."
    assert properties["days"]["description"] == "how many days ahead."


def test_the_docstring_speaks_before_the_annotation() -> None:
    def both(city: Annotated[str, Field(description="from the annotation")]) -> None:
        """Do.

        Args:
            city: from the docstring
        """

    assert schema_of(both)["properties"]["city"]["description"] == "from the docstring"


class Parcel(BaseModel):
    """What is sent.

    Attributes:
        weight: in grams,
            with the wrapping.
        note: from the docstring
        gone: a field of an older version
    """

    weight: int
    note: Annotated[str, Field(description="from the field")] = ""


class Sender(BaseModel):
    """Who sends it.

    Parameters
    ----------
    name : str
        as on the door.
    """

    name: str


@dataclass
class Insured:
    """How it is insured.

    :param value: in euros.
    """

    value: int


def test_the_docstring_of_a_nested_model_tells_of_its_fields() -> None:
    def send(parcel: Parcel, sender: Sender, insured: Insured | None = None) -> None:
        """Do.

        Args:
            parcel: what to send.
        """

    properties = schema_of(send)["properties"]
    assert properties["parcel"]["description"] == "what to send.", "said of the argument before said of its kind"
    told = {name: field["description"] for name, field in properties["parcel"]["properties"].items()}
    assert {name: " ".join(text.split()) for name, text in told.items()} == {
        "weight": "in grams, with the wrapping.",
        "note": "from the field",
    }
    assert properties["sender"]["description"] == "Who sends it."
    assert properties["sender"]["properties"]["name"]["description"] == "as on the door."
    value = properties["insured"]["anyOf"][0]["properties"]["value"]
    assert value["description"] == "in euros."


def test_a_nested_docstring_that_tells_of_no_field_is_left_as_it_is() -> None:
    class Note(BaseModel):
        """First.

        Second: with a colon.
        """

        text: str

    def write(note: Note) -> None:
        """Do."""

    write.__annotations__["note"] = Note
    assert schema_of(write)["properties"]["note"]["description"] == "First.\n\nSecond: with a colon."
