"""Declaration of a remote tool, from an MCP server or an OpenAPI document and what the file adds."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from inspect import cleandoc
from typing import Any

from ringback.jobs.states import Effect
from ringback.tools.call import Call
from ringback.tools.declaration import check
from ringback.tools.decorator import Tool, tool
from ringback.tools.schema import MAX_DESCRIPTION_CHARS
from ringback.tools.spec import ToolSpec
from workers.remote_tools.tool_files import OneTool, Options

CALL = "ringback.call"
"""Name under which the function gets its Call beside the arguments; no schema has this name."""

_NOT_IN_A_NAME = re.compile(r"[^a-zA-Z0-9_-]")

Ask = Callable[[dict[str, Any], Call], Awaitable[Any]]


def name_of(remote: str, prefix: str, own: OneTool) -> str:
    """Return the name for the model: the file's, or the server's with the characters replaced that a model cannot
    write.
    """
    return own.name or prefix + _NOT_IN_A_NAME.sub("_", remote)


def options_of(defaults: Options, own: Options, effect: Effect) -> dict[str, Any]:
    """Return the arguments of `@tool`; `effect` holds unless the file says otherwise.

    Retries of the defaults apply only to tools that may be run again.
    """
    said = {**defaults.given(), **own.given()}
    said.setdefault("effect", effect.value)
    if said["effect"] == Effect.AT_MOST_ONCE and own.retries is None:
        said.pop("retries", None)
    return said


def spec_of(name: str, description: str, parameters: dict[str, Any], options: dict[str, Any]) -> ToolSpec:
    """Return the specification, checked by the same rules as that of a function.

    Raises:
        DeclarationError: it cannot be offered to a model; the text says what to change.
    """
    redact = tuple(options.get("redact") or ())  # names of `parameters`, which the stand-in does not have
    rest = {key: value for key, value in options.items() if key != "redact"}
    taken = tool(name=name, **rest)(_stand_in).announcement
    told = replace(
        taken,
        description=cleandoc(description).strip()[:MAX_DESCRIPTION_CHARS],
        parameters=parameters,
        behavior=replace(taken.behavior, redact=redact),
    )
    check(told)
    return told


def as_tool(announced: ToolSpec, where: str, ask: Ask) -> Tool:
    """Return the tool; `where` is the file and the table that declare it."""

    async def function(**given: Any) -> Any:
        call = given.pop(CALL, None) or Call(arguments=given)
        return await ask(given, call)

    function.__name__ = function.__qualname__ = announced.name
    function.__module__ = where
    return Tool(announced, function, None, CALL)


async def _stand_in() -> None:
    """Stand in for a remote function."""
