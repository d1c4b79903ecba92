"""Declaring a tool: what it announces, and what is said about a declaration that no model could call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from ringback import Breaker, Call, Tool, tool
from ringback.errors import ConfigurationError, DeclarationError
from ringback.jobs import Effect
from ringback.manners import Audience, Late, Limits, Manners, OnBargeIn, OnDuplicate
from ringback.tools import Announcement


class Desk:
    def opens(self) -> None:
        """Do."""


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
    declared = tool(
        name="w-1",
        queue="slow.eu",
        timeout=0.5,
        retries=10,
        backoff=2,
        effect="idempotent",
        concurrency=4,
        rate="30/m",
        burst=3,
        breaker=Breaker(failures=2, seconds=60),
        say_after=3,
        say="One moment.",
        say_every=8,
        on_barge_in="cancel",
        late="speak",
        drop_after=90,
        on_duplicate="replace",
        cancellable=False,
        requires_approval=True,
        approval_seconds=20,
        audience="both",
    )(weather)
    announced = declared.announcement
    assert (announced.name, announced.queue, announced.timeout) == ("w-1", "slow.eu", 0.5)
    assert (announced.retries, announced.effect) == (10, Effect.IDEMPOTENT)
    assert announced.limits == Limits(4, 0.5, 3, breaker_failures=2, breaker_seconds=60, backoff=2)
    assert announced.manners == Manners(
        say_after=3,
        say="One moment.",
        say_every=8,
        on_barge_in=OnBargeIn.CANCEL,
        late=Late.SPEAK,
        drop_after=90,
        on_duplicate=OnDuplicate.REPLACE,
        cancellable=False,
        requires_approval=True,
        approval_seconds=20,
        audience=Audience.BOTH,
    )


@pytest.mark.parametrize(
    ("effect", "on_duplicate", "cancellable"),
    [("pure", "join", True), ("idempotent", "join", True), ("at_most_once", "reject", False)],
)
def test_what_is_left_open_is_decided_by_what_running_it_twice_would_mean(
    effect: str, on_duplicate: str, cancellable: bool
) -> None:
    said = tool(effect=effect)(weather).announcement.manners
    assert (said.on_duplicate, said.cancellable) == (on_duplicate, cancellable)


def test_what_is_said_counts_for_a_tool_that_must_not_run_twice() -> None:
    said = tool(effect="at_most_once", on_duplicate="allow", cancellable=True)(weather).announcement.manners
    assert (said.on_duplicate, said.cancellable) == ("allow", True)


def test_a_breaker_has_figures_of_its_own() -> None:
    limits = tool(breaker=Breaker())(weather).announcement.limits
    assert (limits.breaker_failures, limits.breaker_seconds) == (5, 30.0)


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
    (a_function, "a_function: a parameter's type cannot be told to a model"),
    (no_data, "no_data: a parameter's type cannot be told to a model: Default value"),
    (field_as_default, "field_as_default: write number: Annotated[…, Field(…)], and the default after it."),
    (endless, "the type Node contains itself; a model needs a schema that ends."),
    (other_regex, "the pattern '^\\\\p{L}+$' is not one that Python's re reads"),
    (looking_ahead, "looking_ahead: a parameter's type cannot be told to a model"),
    (piecemeal, "piecemeal: it yields; a tool returns one result, and tells how far it is by call.progress(…)."),
    (piecemeal_later, "piecemeal_later: it yields"),
    (Desk.opens, "opens: a tool belongs to no class; move the function out of it."),
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
    assert isinstance(raised.value, ConfigurationError)


def test_types_are_found_where_annotations_are_text() -> None:
    """This module has `from __future__ import annotations`, as most do."""
    assert weather.__annotations__["city"] == "str"
    assert tool(weather).announcement.parameters["properties"] == {"city": {"type": "string"}}


def test_an_announcement_alone_is_enough_for_a_gateway() -> None:
    announced = Announcement("quote", "A quote.", {"type": "object", "properties": {}})
    assert announced.for_model()["name"] == "quote"
