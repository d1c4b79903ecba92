"""A parameter has a type that a model can give, or is Any: a type that only Python can give is found at any depth."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,  # before Python 3.12 pydantic accepts only these
    TypeVar,
)

import pytest
from pydantic import BaseModel, Field, FilePath, Json, JsonValue, PlainValidator, SecretStr, WithJsonSchema
from typing_extensions import TypedDict

from ringback.tools.json_types import not_of_json

T = TypeVar("T")
Anything = NewType("Anything", object)


class Desk: ...


def desk_of(_value: Any) -> Desk:
    return Desk()


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    inner: list[object]


@dataclass
class Kept:
    inner: type[int]


class Typed(TypedDict):
    inner: NotRequired[object]


class Named(NamedTuple):
    inner: object


class Wrapped(BaseModel, Generic[T]):
    inner: T


class Tree(BaseModel):
    children: list[Tree]
    value: Any = None


class Described(BaseModel):
    inner: Annotated[object, WithJsonSchema({"type": "string"})]


@pytest.mark.parametrize(
    ("hint", "found"),
    [
        (object, object),
        (Annotated[object, "a marker"], object),
        (Annotated[object, Field(description="A desk.")], object),
        (Annotated[Desk, PlainValidator(desk_of)], Desk),
        (object | None, object),
        (list[object], object),
        (dict[str, object], object),
        (tuple[int, object], object),
        (Annotated[list[object], Field(max_length=3)], object),
        (Anything, Anything),
        (Hashable, Hashable),
        (type[int], type[int]),
        (T, T),
        (Model, object),
        (list[Model], object),
        (Kept, type[int]),
        (Typed, object),
        (Named, object),
        (Wrapped, T),
        (Wrapped[object], object),
    ],
)
def test_what_python_alone_can_give_is_found(hint: Any, found: Any) -> None:
    assert not_of_json(hint) == found


@pytest.mark.parametrize(
    "hint",
    [
        *(Any, JsonValue, list, dict, tuple, set, frozenset, int, bytes, dt.date, Colour, SecretStr, FilePath, Json),
        *(Any | None, list[Any], dict[str, JsonValue], Mapping[str, Any], Sequence[str], tuple[int, ...], Json[Any]),  # type: ignore[misc]
        *(Tree, Wrapped[int], Described, Literal["a", None]),
        Annotated[Any, Field(description="Whatever.")],
        Annotated[int | None, Field(description="A number.")],
        # the text beside a type describes it
        Annotated[Desk, PlainValidator(desk_of, json_schema_input_type=str)],
        Annotated[object, WithJsonSchema({"type": "string"})],
    ],
)
def test_a_type_that_json_has_is_not_found(hint: Any) -> None:
    assert not_of_json(hint) is None
