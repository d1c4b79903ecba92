"""MCP server: its tools, and a session that the calls of one process share."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import Implementation
from pydantic import ValidationError

from ringback.errors import ConfigurationError
from ringback.jobs.states import Effect
from ringback.tools.call import Call
from workers.remote_tools.connection_holder import OPEN_SECONDS, ConnectionHolder
from workers.remote_tools.environment import substitute, substitute_address
from workers.remote_tools.failures import not_reached, refused
from workers.remote_tools.mcp import child_process
from workers.remote_tools.mcp.answers import SESSION_GONE, problem_of, progress_of, result_of
from workers.remote_tools.mcp.http import http_client
from workers.remote_tools.mcp.reading import ListedTool, parse_tool, readable_list, readable_result
from workers.remote_tools.tool_files import McpTable

logger = logging.getLogger(__name__)

MAX_PAGES = 20
"""Most pages of a list of tools; further pages are not read."""
META = "ringback/"
"""Prefix of the names under `_meta` that tell a server of a call beside its arguments."""


class Incoming:
    """Stream of a server's messages; it knows when it has ended, which the session does not tell.

    Malformed parts of a message are corrected, or described, before the `mcp` package refuses all of it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.ended = False
        self.listed: list[Any] | None = None
        """Tools of each list that came, unchanged; None: not recorded."""

    @property
    def last_context(self) -> Any:
        """Return the attribute that the `mcp` package reads of its streams."""
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return self._readable(await self._stream.receive())

    async def aclose(self) -> None:
        self.ended = True
        await self._stream.aclose()

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> Any:
        return self._readable(await self._stream.__anext__())

    def _readable(self, received: Any) -> Any:
        message = getattr(received, "message", None)
        result = getattr(message, "result", None)
        if message is None or not isinstance(result, dict):
            return received
        if isinstance(result.get("tools"), list):
            if self.listed is not None:
                self.listed += result["tools"]
            message.result = readable_list(result)
        elif "content" in result or "structuredContent" in result:
            message.result = readable_result(result)
        return received

    async def __aenter__(self) -> Incoming:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *problem: Any) -> Any:
        self.ended = True
        return await self._stream.__aexit__(*problem)


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """Connection to the server."""

    client: Client
    incoming: Incoming

    def is_alive(self) -> bool:
        """Return False once the server has closed the connection, or has exited."""
        return not self.incoming.ended


class McpServer:
    """MCP server of one table.

    Args:
        name: the table's.
        where: the file and the table, for sentences.
        table: what the file says.
        folder: where the file lies; a program is started there unless the table says otherwise.
        environment: where `env:NAME` is looked up.

    Raises:
        ConfigurationError: a variable is not set, or the program is not there.
    """

    def __init__(self, name: str, where: str, table: McpTable, folder: Path, environment: Mapping[str, str]) -> None:
        self.name, self.where = name, where
        self._table = table
        self._url = table.url and substitute_address(f"{where} url", table.url, environment)
        self._headers = substitute(f"{where} headers", table.headers, environment)
        # A server that is installed beside the worker is found without its path.
        beside = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
        self._env = {"PATH": beside, **substitute(f"{where} env", table.env, environment)}
        self._folder = folder / (table.cwd or ".")
        self._holder = ConnectionHolder(where, self._session, Session.is_alive)
        self._check_program()

    async def tools(self) -> list[ListedTool]:
        """Return what the server offers now, over a connection of its own.

        Raises:
            Exception: it cannot be reached, or speaks another protocol.
        """
        async with self._session() as session:
            return await _listed(session, self.where)

    async def call(self, tool: str, effect: Effect, arguments: dict[str, Any], call: Call) -> Any:
        """Call the tool and return its result.

        Raises:
            ToolError: it refused, or could not be reached.
            ConnectionLost: the connection broke, and the tool must not run twice.
            DeadlineExceeded: the call's deadline passed.
        """
        for may_try_again in (True, False):
            session = await self._open()
            try:
                return await self._ask(session.client, tool, arguments, call)
            except MCPError as error:
                if error.code == SESSION_GONE:
                    self._holder.drop(session)
                # A restarted server does not know this session: the call is sent again over a new one.
                if error.code != SESSION_GONE or not may_try_again:
                    raise problem_of(error.code, error.message, self.name, effect) from error
        raise AssertionError("unreachable")

    async def _open(self) -> Session:
        try:
            return await self._holder.get()
        except Exception as problem:
            raise not_reached(self.name) from problem

    async def _ask(self, client: Client, tool: str, arguments: dict[str, Any], call: Call) -> Any:
        async def heard(progress: float, total: float | None, message: str | None) -> None:
            call.progress(progress_of(progress, total, message))

        try:
            answer = await client.call_tool(
                tool,
                arguments,
                read_timeout_seconds=_seconds_left(call),
                progress_callback=heard,
                meta=self._about(call),
            )
        except (ValidationError, RuntimeError) as problem:
            sentence = f"The function finished, but {self.name} answered what its own description does not allow."
            raise refused(f"{sentence} Do not repeat it.", "bad_result") from problem
        return result_of(answer)

    def _about(self, call: Call) -> Any:
        """Return the `_meta` of a call. Only a server with `identify` is told the user."""
        about = {"idempotency_key": call.idempotency_key, "attempt": call.attempt}
        if self._table.identify:
            about |= {"session": call.session_id, "user": call.user}
        return {f"{META}{name}": value for name, value in about.items()}

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        arriving: list[Incoming] = []
        ourselves = Implementation(name="ringback", version=version("ringback"))
        transport = self._transport(arriving)
        async with Client(transport, read_timeout_seconds=OPEN_SECONDS, client_info=ourselves, cache=None) as client:
            yield Session(client, arriving[0])

    @asynccontextmanager
    async def _transport(self, arriving: list[Incoming]) -> AsyncIterator[Any]:
        """Open the streams of a connection; the one on which messages arrive is recorded."""
        async with AsyncExitStack() as stack:
            if self._url is not None:
                http = await stack.enter_async_context(http_client(self._headers))
                opened = streamable_http_client(self._url, http_client=http)
            else:
                opened = stdio_client(self._program(), errlog=sys.__stderr__ or sys.stderr)
            read, write = await stack.enter_async_context(opened)
            arriving.append(Incoming(read))
            yield arriving[0], write

    def _program(self) -> StdioServerParameters:
        """Return the wrapped command, so that it ends with this process."""
        args = ["-I", "-S", child_process.__file__, str(os.getpid()), *(self._table.command or ())]
        return StdioServerParameters(command=sys.executable, args=args, env=self._env, cwd=self._folder)

    def _check_program(self) -> None:
        if self._table.command is None:
            return
        name = self._table.command[0]
        if not ((self._folder / name).exists() if "/" in name else shutil.which(name, path=self._env["PATH"])):
            raise ConfigurationError(f"{self.where} command: there is no program {name}")
        if not self._folder.is_dir():
            raise ConfigurationError(f"{self.where} cwd: there is no folder {self._folder}")


def _seconds_left(call: Call) -> float | None:
    if call.deadline is None:
        return None
    return max((call.deadline - datetime.now(UTC)).total_seconds(), 0.001)


async def _listed(session: Session, where: str) -> list[ListedTool]:
    """Return every tool that has a name, and that the `mcp` package would call."""
    raw = session.incoming.listed = []
    known: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await session.client.list_tools(cursor=cursor)
        known |= {tool.name for tool in page.tools}
        cursor = page.next_cursor
        if not cursor:
            break
    named = [tool for tool in map(parse_tool, raw) if tool is not None]
    if len(named) < len(raw):
        logger.error("%s: %d listed tools have no name and are left out", where, len(raw) - len(named))
    return [tool for tool in named if tool.name in known]
