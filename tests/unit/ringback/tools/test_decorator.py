"""A tool's declaration, and the sentence about one that no model could call."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, replace

import pytest

from ringback import Breaker, Call, Tool, tool
from ringback.jobs.states import Effect
from ringback.tools.behavior import Audience, Late, Limits, OnBargeIn, OnDuplicate, ToolBehavior
from ringback.tools.spec import ToolSpec


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
        "behavior": asdict(ToolBehavior()),
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
        scopes=["orders:write", "eu"],
        untrusted=True,
        redact=("city", "result.iban"),
    )(weather)
    announced = declared.announcement
    assert (announced.name, announced.queue, announced.timeout) == ("w-1", "slow.eu", 0.5)
    assert (announced.retries, announced.effect) == (10, Effect.IDEMPOTENT)
    assert announced.limits == Limits(4, 0.5, 3, breaker_failures=2, breaker_seconds=60, backoff=2)
    assert announced.behavior == ToolBehavior(
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
        scopes=("orders:write", "eu"),
        is_untrusted=True,
        redact=("city", "result.iban"),
    )


@pytest.mark.parametrize(
    ("effect", "on_duplicate", "cancellable"),
    [("pure", "join", True), ("idempotent", "join", True), ("at_most_once", "reject", False)],
)
def test_what_is_left_open_is_decided_by_what_running_it_twice_would_mean(
    effect: str, on_duplicate: str, cancellable: bool
) -> None:
    said = tool(effect=effect)(weather).announcement.behavior
    assert (said.on_duplicate, said.cancellable) == (on_duplicate, cancellable)


def test_what_is_said_counts_for_a_tool_that_must_not_run_twice() -> None:
    said = tool(effect="at_most_once", on_duplicate="allow", cancellable=True)(weather).announcement.behavior
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


def test_a_declaration_keeps_its_version_from_one_release_to_the_next() -> None:
    """Two releases of Ringback that run side by side serve the same version of an unchanged tool."""
    assert ToolSpec("weather", "Look it up.", {"type": "object", "properties": {}}).version == "691326c7cd30"


def test_a_version_changes_with_its_declaration_alone() -> None:
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
        replace(one, behavior=ToolBehavior(say_after=1.0)),
        replace(one, limits=Limits(concurrency=1)),
    ]
    assert len({one.version, *(announcement.version for announcement in changed)}) == len(changed) + 1


def test_a_very_long_description_is_cut() -> None:
    def long() -> None: ...

    long.__doc__ = "word " * 1_000
    assert len(tool(long).announcement.description) == 1_024


def test_types_are_found_where_annotations_are_text() -> None:
    """This module has `from __future__ import annotations`, as most do."""
    assert weather.__annotations__["city"] == "str"
    assert tool(weather).announcement.parameters["properties"] == {"city": {"type": "string"}}


def test_an_announcement_alone_is_enough_for_a_gateway() -> None:
    announced = ToolSpec("quote", "A quote.", {"type": "object", "properties": {}})
    assert announced.for_model()["name"] == "quote"
