"""The gateway, from a schema, and the worker, from the function's types, tell misfits in the same words."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError

from ringback import tool
from ringback.tools import misfits
from ringback.tools.misfits import MAX_FOUND, MAX_TOLD


class Size(Enum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


class Address(BaseModel):
    street: str
    number: Annotated[int, Field(ge=1)] = 1


class Card(BaseModel):
    kind: Literal["card"]
    number: str


class Cash(BaseModel):
    kind: Literal["cash"]


@tool
def book(
    guests: Annotated[int, Field(ge=1, le=20, multiple_of=2)],
    city: Annotated[str, Field(min_length=2, max_length=5, pattern="^[A-Z]")] = "Rome",
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    sure: bool = False,
    size: Size = Size.SMALL,
    unit: Literal["m"] = "m",
    tags: Annotated[list[str], Field(min_length=1, max_length=2)] = ["a"],  # noqa: B006
    to: Address | None = None,
    names: dict[str, int] | None = None,
    way: Card | Cash = Cash(kind="cash"),  # noqa: B008
    either: int | list[int] = 1,
) -> None:
    """Book a table."""


def by_schema(arguments: Any) -> str:
    return misfits.told(misfits.of_schema(Draft202012Validator(book.announcement.parameters).iter_errors(arguments)))


def by_types(arguments: Any) -> str:
    assert book.arguments is not None
    with pytest.raises(ValidationError) as raised:
        book.arguments.model_validate(arguments)
    return misfits.told(misfits.of_model(raised.value))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "guests: Field required"),
        ({"colour": "red"}, "guests: Field required; colour: Extra inputs are not permitted"),
        ({"guests": "many"}, "guests: Input should be a valid integer"),
        ({"guests": 0}, "guests: Input should be greater than or equal to 1"),
        ({"guests": 22}, "guests: Input should be less than or equal to 20"),
        ({"guests": 3}, "guests: Input should be a multiple of 2"),
        ({"guests": 2, "city": 7}, "city: Input should be a valid string"),
        ({"guests": 2, "city": "R"}, "city: String should have at least 2 characters"),
        ({"guests": 2, "city": "Reykjavik"}, "city: String should have at most 5 characters"),
        ({"guests": 2, "city": "rome"}, "city: String should match pattern '^[A-Z]'"),
        ({"guests": 2, "share": 0}, "share: Input should be greater than 0"),
        ({"guests": 2, "share": 1}, "share: Input should be less than 1"),
        ({"guests": 2, "share": []}, "share: Input should be a valid number"),
        ({"guests": 2, "sure": []}, "sure: Input should be a valid boolean"),
        ({"guests": 2, "size": "huge"}, "size: Input should be 'small', 'medium' or 'large'"),
        ({"guests": 2, "unit": "km"}, "unit: Input should be 'm'"),
        ({"guests": 2, "tags": "a"}, "tags: Input should be a valid list"),
        ({"guests": 2, "tags": []}, "tags: List should have at least 1 item"),
        ({"guests": 2, "tags": [*"abc"]}, "tags: List should have at most 2 items"),
        ({"guests": 2, "tags": ["a", 7]}, "tags.1: Input should be a valid string"),
        ({"guests": 2, "to": {}}, "to.street: Field required"),
        ({"guests": 2, "to": {"street": "x", "number": 0}}, "to.number: Input should be greater than or equal to 1"),
        ({"guests": 2, "names": {"a": "b"}}, "names.a: Input should be a valid integer"),
        ({"guests": 0, "city": 7}, "guests: Input should be greater than or equal to 1; city: Input should be a valid"),
    ],
)
def test_a_schema_speaks_of_misfits_as_pydantic_does(arguments: dict[str, Any], words: str) -> None:
    assert by_schema(arguments).startswith(words)
    # Pydantic adds why a text is no number, and how many items there were.
    for one in words.split("; "):
        assert one in by_types(arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"to": "Rome"}, "to: Input should be a valid dictionary"),
        ({"either": "x"}, "either: Input should be a valid integer or a valid list"),
        ({"either": [1, "x"]}, "either.1: Input should be a valid integer"),
        ({"way": {"kind": "card"}}, "way.number: Field required"),
        ({"way": {"kind": "card", "number": 7}}, "way.number: Input should be a valid string"),
        ({"way": {"kind": "cheque"}}, "way.kind: Input should be 'cash'"),
        ({"way": {"kind": "cheque", "number": "7"}}, "way.kind: Input should be 'card' or 'cash'"),
    ],
)
def test_of_a_union_the_branch_that_was_meant_is_told(arguments: dict[str, Any], words: str) -> None:
    assert by_schema({"guests": 2, **arguments}) == words


@pytest.mark.parametrize(
    ("schema", "arguments", "words"),
    [
        ({"type": "array", "uniqueItems": True}, ["a", "a"], "arguments: ['a', 'a'] has non-unique elements"),
        ({"type": ["integer", "null"]}, "x", "arguments: Input should be a valid integer"),
        ({"type": "null"}, "x", "arguments: Input should be None"),
        ({"anyOf": [{"type": "null"}]}, "x", "arguments: Input should be None"),
        ({"oneOf": [{}, {}]}, 1, "arguments: 1 is valid under each of {}, {}"),
        ({"type": "object", "minProperties": 1}, {}, "arguments: Dictionary should have at least 1 item"),
        ({"maxProperties": 0}, {"a": 1}, "arguments: Dictionary should have at most 0 items"),
    ],
)
def test_a_schema_from_elsewhere_is_told_in_words_too(schema: dict[str, Any], arguments: Any, words: str) -> None:
    assert misfits.told(misfits.of_schema(Draft202012Validator(schema).iter_errors(arguments))).startswith(words)


def test_misfits_are_told_all_at_once_and_never_without_end() -> None:
    validator = Draft202012Validator({"items": {"type": "integer"}})
    found = misfits.of_schema(validator.iter_errors(["x" * 1_000] * 10_000))
    assert len(found) == MAX_FOUND
    assert misfits.sentence(found).endswith(
        f"; and {MAX_FOUND - MAX_TOLD} more. Correct them and call the function again."
    )
    assert len(misfits.sentence(found)) < 1_000


def test_what_fits_has_no_misfit() -> None:
    assert by_schema({"guests": 2, "to": None}) == ""
