"""A remote tool is declared by the same rules as a function."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback.errors import DeclarationError
from ringback.jobs.states import Effect
from ringback.tools.behavior import OnDuplicate
from ringback.tools.call import Call
from workers.remote_tools.declaration import CALL, as_tool, name_of, options_of, spec_of
from workers.remote_tools.tool_files import OneTool, Options

ONCE, PURE = Effect.AT_MOST_ONCE, Effect.PURE
NOTHING = {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("remote", "prefix", "own", "name"),
    [
        ("search", "", OneTool(), "search"),
        ("search", "docs_", OneTool(), "docs_search"),
        ("issues/get.one", "", OneTool(), "issues_get_one"),
        ("GET /orders/{id}", "", OneTool(), "GET__orders__id_"),
        ("issues/get.one", "docs_", OneTool(name="issue"), "issue"),
    ],
)
def test_a_name_is_one_that_a_model_can_write(remote: str, prefix: str, own: OneTool, name: str) -> None:
    assert name_of(remote, prefix, own) == name


@pytest.mark.parametrize(
    ("defaults", "own", "effect", "options"),
    [
        (Options(), OneTool(), PURE, {"effect": "pure"}),
        (Options(timeout=9, retries=2), OneTool(timeout=3), PURE, {"timeout": 3, "retries": 2, "effect": "pure"}),
        # Retries of the defaults are for tools that may be run again; those of one tool stay, and are refused.
        (Options(retries=2), OneTool(), ONCE, {"effect": "at_most_once"}),
        (Options(retries=2), OneTool(effect="at_most_once"), PURE, {"effect": "at_most_once"}),
        (Options(retries=2), OneTool(effect="idempotent"), ONCE, {"effect": "idempotent", "retries": 2}),
        (Options(), OneTool(retries=1), ONCE, {"effect": "at_most_once", "retries": 1}),
    ],
)
def test_what_is_said_of_one_tool_comes_before_the_defaults(
    defaults: Options, own: OneTool, effect: Effect, options: dict[str, Any]
) -> None:
    assert options_of(defaults, own, effect) == options


def test_an_announcement_is_that_of_a_function_with_the_same_options() -> None:
    told = spec_of("pay", "  Pay.\n\n    At once. ", NOTHING, {"effect": "at_most_once", "timeout": 5})
    assert (told.name, told.description, told.parameters) == ("pay", "Pay.\n\nAt once.", NOTHING)
    assert (told.timeout, told.effect, told.behavior.on_duplicate) == (5, ONCE, OnDuplicate.REJECT)
    assert len(spec_of("a", "x" * 5_000, NOTHING, {}).description) == 1_024


@pytest.mark.parametrize(
    ("name", "description", "options", "sentence"),
    [
        ("a" * 65, "A.", {}, "its name may have 1 to 64"),
        ("cancel_call", "A.", {}, "function of the gateway itself"),
        ("a", " ", {}, "docstring"),
        ("a", "A.", {"timeout": 0}, "timeout=0"),
        ("a", "A.", {"effect": "at_most_once", "retries": 1}, "never run again"),
        ("a", "A.", {"effect": "twice"}, "is none of"),
        ("a", "A.", {"rate": "often"}, 'such as "30/m"'),
    ],
)
def test_what_a_function_may_not_say_a_file_may_not_say(
    name: str, description: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(DeclarationError, match=sentence):
        spec_of(name, description, NOTHING, options)


def test_a_tool_gets_its_arguments_and_its_call_apart() -> None:
    async def ask(arguments: dict[str, Any], call: Call) -> Any:
        return arguments, call.user

    tool = as_tool(spec_of("a", "A.", NOTHING, {}), "tools.toml: [mcp.x]", ask)
    assert tool.is_async
    given = {"call": 1, "self": 2, "arguments": 3, "with-dash": 4}
    assert asyncio.run(tool.function(**given, **{CALL: Call(user="ada")})) == (given, "ada")
    assert asyncio.run(tool.function(**given)) == (given, "somebody")
