"""Functions that no model could call, and the sentence that says what to change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from enum import Enum
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, WithJsonSchema

from ringback import Call, tool
from ringback.errors import ConfigurationError, DeclarationError


class Desk:
    def opens(self) -> None:
        """Do."""

    @staticmethod
    def closes() -> None:
        """Do."""


class Node(BaseModel):
    child: Node | None = None


def weather(city: str) -> str:
    """The weather in a city."""
    return city


def no_type(city) -> None:  # type: ignore[no-untyped-def]
    """Do."""


def undocumented(city: str) -> None: ...


def variadic(*cities: str) -> None:
    """Do."""


def variadic_keywords(**cities: str) -> None:
    """Do."""


def positional(city: str, /) -> None:
    """Do."""


def stale(city: str) -> None:
    """Do.

    Args:
        town: the old name
    """


def perhaps_a_call(city: str, call: Call | None = None) -> None:
    """Do."""


def no_number(days: int = "three") -> None:  # type: ignore[assignment]
    """Do."""


def nothing_by_default(days: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
    """Do."""


def too_small(days: Annotated[int, Field(ge=1)] = 0) -> None:
    """Do."""


def no_class_of_data(desk: Desk) -> None:
    """Do."""


def two_calls(call: Call, other: Call) -> None:
    """Do."""


def underscored(_city: str) -> None:
    """Do."""


def pydantics_own(model_config: str) -> None:
    """Do."""


def pydantics_method(json: str) -> None:
    """Do."""


def unknown_type(city: Nowhere) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


def a_function(back: Callable[[], int]) -> None:
    """Do."""


def no_data(default: object = object()) -> None:
    """Do."""


def field_as_default(number: int = Field(3, ge=1)) -> None:
    """Do."""


def endless(node: Node) -> None:
    """Do."""


def other_regex(name: Annotated[str, Field(pattern=r"^\p{L}+$")]) -> None:
    """Do."""


def looking_ahead(name: Annotated[str, Field(pattern=r"(?=a)a")]) -> None:
    """Do."""


def no_choice(of: Enum("Nothing", [])) -> None:  # type: ignore[valid-type]
    """Do."""


def too_much(of: Annotated[str, Field(description="x" * 16_000)]) -> None:
    """Do."""


def pointing(of: Annotated[str, WithJsonSchema({"$ref": "order.json"})]) -> None:
    """Do."""


def injected(desk: Annotated[object, "a marker of some framework"]) -> None:
    """Do."""


def wordless_text(city: Nowhere.Town) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


def no_annotation(city: "1 +") -> None:  # type: ignore[valid-type]  # noqa: F722
    """Do."""


def by_hand(of: Annotated[str, WithJsonSchema({"type": "text"})]) -> None:
    """Do."""


def piecemeal() -> Iterator[str]:
    """Do."""
    yield "one"


async def piecemeal_later() -> AsyncIterator[str]:
    """Do."""
    yield "one"


BAD_FUNCTIONS: list[tuple[Callable[..., Any], str]] = [
    (no_type, "no_type: give the parameter city a type, such as `: str`."),
    (undocumented, "undocumented: give it a docstring: the model chooses a tool by what it reads there."),
    (variadic, "variadic: a model names its arguments; replace *cities: 'str' by named ones."),
    (variadic_keywords, "variadic_keywords: a model names its arguments; replace **cities: 'str' by named ones."),
    (positional, "positional: a model names its arguments; replace city: 'str' by named ones."),
    (stale, "stale: the docstring describes town, which the signature lacks."),
    (two_calls, "two_calls: one parameter may be a Call, not 2; keep one."),
    (underscored, "underscored: rename the parameter _city: pydantic keeps that name for itself."),
    (pydantics_own, "pydantics_own: rename the parameter model_config"),
    (pydantics_method, "pydantics_method: rename the parameter json"),
    (unknown_type, "unknown_type: name 'Nowhere' is not defined; types of parameters must be importable"),
    (perhaps_a_call, "perhaps_a_call: write call: Call; a tool is always given one."),
    (no_class_of_data, "no_class_of_data: a parameter's type cannot be told to a model: Unable to generate"),
    (no_number, "no_number: the default of days, 'three', does not fit its type"),
    (nothing_by_default, "nothing_by_default: the default of days, None, does not fit its type; add `| None` to it."),
    (too_small, "too_small: the default of days, 0, does not fit its type"),
    (a_function, "a_function: a parameter's type cannot be told to a model"),
    (no_data, "no_data: a parameter's type cannot be told to a model: Default value"),
    (field_as_default, "field_as_default: write number: Annotated[…, Field(…)], and the default after it."),
    (endless, "endless: the type Node contains itself; a model needs a schema that ends."),
    (
        other_regex,
        "other_regex: '^\\\\p{L}+$' is not a 'regex' that Python's re reads, at properties.name.pattern; rewrite it.",
    ),
    (looking_ahead, "looking_ahead: a parameter's type cannot be told to a model: look-around, incl"),
    (no_choice, "no_choice: the enum at properties.of has no value, so that nothing fits; give it one."),
    (too_much, "too_much: its schema has 16130 characters, at most 16000 can be offered to a model; take fewer"),
    (pointing, "pointing: a parameter's type cannot be told to a model: KeyError: 'order.json'"),
    (injected, "injected: only Python can give a value of object, the type of desk: take a type that JSON has, or Any"),
    (wordless_text, "wordless_text: name 'Nowhere' is not defined; types of parameters must be importable"),
    (no_annotation, "no_annotation: Forward reference must be an expression"),
    (by_hand, "by_hand: its schema is no JSON schema at properties.of.type: 'text' is not valid"),
    (piecemeal, "piecemeal: it yields; a tool returns one result, and tells how far it is by call.progress(…)."),
    (piecemeal_later, "piecemeal_later: it yields"),
    (Desk.opens, "opens: a tool belongs to no class; move the function out of it."),
    (Desk.closes, "closes: a tool belongs to no class; move the function out of it."),
    (Desk, "Desk: put @tool on a function, written with def or async def, and on nothing else."),
    (tool(weather), "weather: put @tool on a function"),
    (partial(weather, "Rome"), "partial: put @tool on a function"),
    (lambda: None, "<lambda>: its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
]


@pytest.mark.parametrize(
    ("function", "sentence"), BAD_FUNCTIONS, ids=[each[1].partition(":")[0] for each in BAD_FUNCTIONS]
)
def test_a_function_that_no_model_could_call_is_refused_where_it_stands(
    function: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        tool(function)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert "arbitrary_types_allowed" not in str(raised.value)
    assert isinstance(raised.value, ConfigurationError)


def test_a_name_without_its_keyword_is_answered_with_what_to_write() -> None:
    with pytest.raises(DeclarationError, match=r"@tool\('weather'\): write @tool\(name='weather'\)"):
        tool("weather")  # type: ignore[call-overload]
