"""Declaring a tool: what it announces, and what is said about a declaration that no model could call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from ringback import Call, Tool, tool
from ringback.errors import ConfigurationError, DeclarationError
from ringback.jobs import Effect
from ringback.manners import Limits, Manners
from ringback.tools import Announcement


class Node(BaseModel):
    child: Node | None = None


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def test_a_bare_decorator_takes_the_defaults() -> None:
    declared = tool(weather)
    assert isinstance(declared, Tool)
    assert declared.name == "weather"
    assert asdict(declared.announcement) == {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "queue": "default",
        "timeout": 15.0,
        "retries": 0,
        "effect": Effect.PURE,
        "manners": asdict(Manners()),
        "limits": asdict(Limits()),
    }


def test_everything_can_be_said() -> None:
    declared = tool(name="w-1", queue="slow.eu", timeout=0.5, retries=10, effect="idempotent", say_after=3)(weather)
    announced = declared.announcement
    assert (announced.name, announced.queue, announced.timeout) == ("w-1", "slow.eu", 0.5)
    assert (announced.retries, announced.effect, announced.manners.say_after) == (10, Effect.IDEMPOTENT, 3)


def test_a_declared_function_is_still_called_as_one() -> None:
    assert tool(weather)("Rome") == "sunny in Rome"
    assert tool(weather)(city="Rome") == "sunny in Rome"


def test_an_async_function_is_known_as_one() -> None:
    async def later(call: Call, city: str = "Rome") -> str:
        """Later."""
        return f"{city} for {call.user}"

    declared = tool(later)
    assert declared.is_async
    assert not tool(weather).is_async
    assert declared.call_parameter == "call"
    assert asyncio.run(declared(Call(user="ada"))) == "Rome for ada"


def test_the_model_is_told_name_description_and_parameters_only() -> None:
    told = tool(queue="secret")(weather).announcement.for_model()
    assert set(told) == {"type", "name", "description", "parameters"}
    assert told["type"] == "function"
    assert "secret" not in json.dumps(told)


def test_a_version_changes_with_the_declaration_and_with_nothing_else() -> None:
    one = tool(weather).announcement
    assert one.version == tool(weather).announcement.version
    assert len(one.version) == 12
    changed = [
        replace(one, description="Other."),
        replace(one, parameters={}),
        replace(one, queue="slow"),
        replace(one, timeout=1.0),
        replace(one, retries=1),
        replace(one, effect=Effect.IDEMPOTENT),
        replace(one, manners=Manners(say_after=1.0)),
        replace(one, limits=Limits(concurrency=1)),
    ]
    assert len({one.version, *(announcement.version for announcement in changed)}) == len(changed) + 1


def test_a_very_long_description_is_cut() -> None:
    def long() -> None: ...

    long.__doc__ = "word " * 1_000
    assert len(tool(long).announcement.description) == 1_024


# — declarations that cannot be —


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
    (a_function, "a_function: a parameter's type cannot be told to a model"),
    (no_data, "no_data: a parameter's type cannot be told to a model: Default value"),
    (field_as_default, "field_as_default: write number: Annotated[…, Field(…)], and the default after it."),
    (endless, "the type Node contains itself; a model needs a schema that ends."),
    (other_regex, "the pattern '^\\\\p{L}+$' is not one that Python's re reads"),
    (looking_ahead, "looking_ahead: a parameter's type cannot be told to a model"),
    (lambda: None, "<lambda>: its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
]


@pytest.mark.parametrize(("function", "sentence"), BAD_FUNCTIONS, ids=[each[0].__name__ for each in BAD_FUNCTIONS])
def test_a_function_that_no_model_could_call_is_refused_where_it_stands(
    function: Callable[..., Any], sentence: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        tool(function)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert isinstance(raised.value, ConfigurationError)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"name": "two words"}, "two words: its name may have 1 to 64 letters"),
        ({"name": "x" * 65}, "x"),
        ({"queue": "Orders"}, "weather: queue='Orders': use 1 to 64 of a-z"),
        ({"queue": ""}, "weather: queue=''"),
        ({"timeout": 0}, "weather: timeout=0: use seconds above 0, up to 3300."),
        ({"timeout": 3_301}, "weather: timeout=3301"),
        ({"timeout": float("nan")}, "weather: timeout=nan"),
        ({"retries": -1}, "weather: retries=-1: use 0 to 10."),
        ({"retries": 11}, "weather: retries=11"),
        ({"effect": "maybe"}, 'weather: effect=\'maybe\' is none of "pure", "idempotent", "at_most_once".'),
        ({"effect": "at_most_once", "retries": 1}, "weather: an at_most_once tool is never run again"),
        ({"say_after": 0}, "weather: say_after=0: use seconds above 0, or None."),
        ({"say_after": float("nan")}, "weather: say_after=nan"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_where_it_stands(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        tool(**settings)(weather)
    assert str(raised.value).startswith(sentence)


def test_types_are_found_where_annotations_are_text() -> None:
    """This module has `from __future__ import annotations`, as most do."""
    assert weather.__annotations__["city"] == "str"
    assert tool(weather).announcement.parameters["properties"] == {"city": {"type": "string"}}


def test_an_announcement_alone_is_enough_for_a_gateway() -> None:
    announced = Announcement("quote", "A quote.", {"type": "object", "properties": {}})
    assert announced.for_model()["name"] == "quote"
