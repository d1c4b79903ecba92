"""Loader of the tools that the tool files name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ringback.errors import ConfigurationError, DeclarationError
from ringback.jobs.states import Effect
from ringback.tools.call import Call
from ringback.tools.declaration import OURS
from ringback.tools.decorator import Tool
from ringback.tools.provider_schema import SchemaRefused, check, rewrite
from workers.remote_tools.connection_holder import OPEN_SECONDS, first_of
from workers.remote_tools.declaration import as_tool, name_of, options_of, spec_of
from workers.remote_tools.environment import worker_environment
from workers.remote_tools.failures import bounded
from workers.remote_tools.openapi.api import HttpApi
from workers.remote_tools.openapi.operations import Operation, document_in, operation
from workers.remote_tools.schemas import inline_references
from workers.remote_tools.tool_files import McpTable, OneOperation, OneTool, OpenApiTable, read

if TYPE_CHECKING:
    from workers.remote_tools.mcp.reading import ListedTool
    from workers.remote_tools.mcp.server import McpServer

logger = logging.getLogger(__name__)

MAX_NAME_CHARS = 64
"""Longest function name that the Realtime API accepts."""
OF_THE_CALL = {"call:user": "user", "call:session": "session_id"}
"""Values of the call that a fixed argument may stand for."""


def load(paths: Iterable[str]) -> list[Tool]:
    """Read the files, and ask the MCP servers that they name for their tools.

    Raises:
        ConfigurationError: a file, or what it names, is wrong or missing; one sentence, which begins with the file.
        DeclarationError: a tool cannot be offered to a model.
    """
    environment = worker_environment()
    tools: list[Tool] = []
    servers: list[tuple[McpServer, McpTable]] = []
    for path in map(Path, paths):
        file = read(path)
        for name, api in file.openapi.items():
            tools += _operations(name, f"{path}: [openapi.{name}]", api, path.parent, environment)
        for name, table in file.mcp.items():
            servers.append((_server(name, f"{path}: [mcp.{name}]", table, path.parent, environment), table))
    if servers:
        offers = asyncio.run(_list_all([server for server, _ in servers]))
        for (server, table), offered in zip(servers, offers, strict=True):
            tools += _wanted_tools(server, table, offered)
    return tools


def _operations(
    name: str, where: str, table: OpenApiTable, folder: Path, environment: Mapping[str, str]
) -> Iterator[Tool]:
    api = HttpApi(name, where, table, environment)
    document = document_in(folder / table.document)
    headers = frozenset(header.lower() for header in table.headers)
    for key, own in table.operation.items():
        try:
            described = operation(document, key, headers)
            fixed = _fixed(described, own)
            announced = spec_of(
                name_of(key, table.prefix, own),
                own.description or described.description,
                _without(described.schema, fixed),
                options_of(table.defaults, own, described.effect),
            )
        except ConfigurationError as problem:
            raise _named(problem, f"{where} {key}") from None
        yield as_tool(announced, where, partial(_call_api, api, described, announced.effect, fixed))


async def _call_api(
    api: HttpApi, described: Operation, effect: Effect, fixed: dict[str, Any], arguments: dict[str, Any], call: Call
) -> Any:
    chosen = {
        name: getattr(call, OF_THE_CALL[value]) if value in OF_THE_CALL else value for name, value in fixed.items()
    }
    return await api.call(described, effect, {**arguments, **chosen}, call)


def _fixed(described: Operation, own: OneOperation) -> dict[str, Any]:
    strangers = sorted(set(own.fixed) - set(described.schema["properties"]))
    if strangers:
        known = ", ".join(described.schema["properties"]) or "none"
        raise SchemaRefused(f"fixed: there is no argument {strangers[0]}; there are {known}")
    for name, value in own.fixed.items():
        if isinstance(value, str) and value.startswith("call:") and value not in OF_THE_CALL:
            raise SchemaRefused(f"fixed: {name} = {value!r}: of the call there are {', '.join(OF_THE_CALL)}")
    return own.fixed


def _without(schema: dict[str, Any], fixed: Iterable[str]) -> dict[str, Any]:
    """Return the part of the schema that the model may choose."""
    properties = {name: part for name, part in schema["properties"].items() if name not in fixed}
    required = [name for name in schema.get("required", ()) if name not in fixed]
    rest = {key: value for key, value in schema.items() if key not in ("properties", "required")}
    return {**rest, "properties": properties, **({"required": required} if required else {})}


def _server(name: str, where: str, table: McpTable, folder: Path, environment: Mapping[str, str]) -> McpServer:
    try:
        from workers.remote_tools.mcp.server import McpServer
    except ModuleNotFoundError as problem:
        raise ConfigurationError(
            f"{where}: the package {problem.name} is not there; install the extra: pip install 'ringback[mcp]'"
        ) from problem
    return McpServer(name, where, table, folder, environment)


async def _list_all(servers: list[McpServer]) -> list[list[ListedTool]]:
    """Return what each server offers. All are asked at once, as a program takes seconds to start."""
    return list(await asyncio.gather(*map(_list_tools, servers)))


async def _list_tools(server: McpServer) -> list[ListedTool]:
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            return await server.tools()
    except Exception as problem:
        cause = first_of(problem)
        words = "" if isinstance(cause, ValidationError) else f": {cause}"  # which tells of the package's own models
        words = f": no answer within {OPEN_SECONDS:.0f} s" if isinstance(cause, TimeoutError) else words
        raise ConfigurationError(
            bounded(f"{server.where}: the server does not tell its tools ({type(cause).__name__}{words}); is it there?")
        ) from problem


def _wanted_tools(server: McpServer, table: McpTable, offered: list[ListedTool]) -> Iterator[Tool]:
    """Yield the wanted tools, without those whose schema cannot be offered to a model: the log names them."""
    from workers.remote_tools.mcp.answers import effect_of

    by_name = {one.name: one for one in offered}
    wanted = list(by_name) if table.wants_all else table.tools
    if strangers := sorted(set(table.tool) - set(wanted)):
        raise ConfigurationError(
            f"{server.where} tool.{strangers[0]}: no such tool is served; there are {', '.join(wanted) or 'none'}"
        )
    left_out: list[str] = []
    taken: dict[str, str] = {}
    for remote in wanted:
        own = table.tool.get(remote, OneTool())
        if remote not in by_name:
            known = ", ".join(by_name) or "none"
            raise ConfigurationError(f"{server.where} tools: the server has no tool {remote}; it has {known}")
        one, name = by_name[remote], name_of(remote, table.prefix, own)
        try:
            if (first := taken.get(name, remote)) != remote:
                raise SchemaRefused(f"{first} is called {name}, too; give one of them a name in this file")
            schema = _schema_of(one, name)
            taken[name] = remote
        except SchemaRefused as problem:
            left_out.append(f"{remote}: {problem}")
            continue
        try:
            options = options_of(table.defaults, own, effect_of(one))
            announced = spec_of(name, own.description or one.description, schema, options)
        except ConfigurationError as problem:
            raise _named(problem, f"{server.where} {remote}") from None
        yield as_tool(announced, server.where, partial(server.call, remote, announced.effect))
    if left_out:
        logger.error("%s: %d of %d tools left out: %s", server.where, len(left_out), len(wanted), "; ".join(left_out))


def _schema_of(one: ListedTool, name: str) -> dict[str, Any]:
    """Return the schema of its arguments. Raises SchemaRefused if the server's schema, or its name, is at fault."""
    if name in OURS:
        raise SchemaRefused(f"the gateway itself has a function {name}; give this one a name in this file, or a prefix")
    if len(name) > MAX_NAME_CHARS:
        raise SchemaRefused(f"its name has {len(name)} characters, at most {MAX_NAME_CHARS} can be offered to a model")
    schema = rewrite(inline_references(one.schema, one.schema))
    check(schema)
    return schema


def _named(problem: ConfigurationError, whose: str) -> ConfigurationError:
    kind = DeclarationError if isinstance(problem, DeclarationError) else ConfigurationError
    return kind(f"{whose}: {problem}")
