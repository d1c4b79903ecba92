"""MCP servers of before 2026, which know their clients by a session, over real HTTP: they forget one, and refuse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from ringback.errors import ToolError
from ringback.tools.call import Call
from ringback.tools.decorator import Tool
from tests.integration.toolbox.shop import serving
from workers.remote_tools.declaration import CALL
from workers.remote_tools.failures import ConnectionLost
from workers.remote_tools.loader import load

TOOLS = [{"name": "count", "description": "Count the calls.", "inputSchema": {"type": "object"}}]


class Desk:
    """Server, as far as a client can notice it."""

    def __init__(self) -> None:
        self.sessions: set[str] = set()
        self.opened = self.counted = 0
        self.refuses: int | None = None
        self.holds = False
        """Whether calls that are let in wait for it to be False again."""
        self.held = 0
        self.token: str | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.token = headers.get("authorization")
        asked = json.loads((await receive())["body"] or b"{}") if scope["method"] == "POST" else {}
        if asked.get("method") == "tools/call" and self.holds and not self.refuses:
            self.held += 1
            while self.holds:  # noqa: ASYNC110 — said from another thread
                await asyncio.sleep(0.01)
        status, more, answer = self._answer(asked, headers.get("mcp-session-id"))
        body = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **answer}).encode() if answer else b""
        head = [(b"content-type", b"application/json"), *more]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, asked: dict[str, Any], session: str | None) -> tuple[int, list[Any], dict[str, Any]]:
        method = asked.get("method")
        if method == "initialize":
            return self._open(asked)
        if session not in self.sessions:
            return (404 if session else 400), [], {"error": {"code": -32600, "message": "Session not found"}}
        if method == "tools/list":
            return 200, [], {"result": {"tools": TOOLS}}
        if method == "tools/call" and self.refuses:
            return self.refuses, [], {}
        if method == "tools/call":
            self.counted += 1
            return 200, [], {"result": {"content": [{"type": "text", "text": str(self.counted)}]}}
        return (405 if method is None else 202), [], {}

    def _open(self, asked: dict[str, Any]) -> tuple[int, list[Any], dict[str, Any]]:
        session = uuid4().hex
        self.sessions.add(session)
        self.opened += 1
        result = {
            "protocolVersion": asked["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "desk", "version": "1"},
        }
        return 200, [(b"mcp-session-id", session.encode())], {"result": result}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def tool(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tool]:
    file = tmp_path / "tools.toml"
    with serving(desk) as address:
        monkeypatch.setenv("DESK_URL", f"{address}/mcp")
        monkeypatch.setenv("DESK_TOKEN", "open sesame")
        text = '[mcp.desk]\nurl = "env:DESK_URL"\nheaders = { Authorization = "Bearer env:DESK_TOKEN" }\ntools = "*"'
        file.write_text(text, encoding="utf-8")
        (tool,) = load([str(file)])
        yield tool


def test_a_session_that_the_server_forgot_is_opened_anew_within_the_same_call(desk: Desk, tool: Tool) -> None:
    async def story() -> None:
        assert await tool.function(**{CALL: Call()}) == "1"
        opened = desk.opened
        desk.sessions.clear()
        assert await tool.function(**{CALL: Call()}) == "2"
        assert desk.opened == opened + 1
        assert await tool.function(**{CALL: Call()}) == "3"
        assert desk.opened == opened + 1, "and it is kept"

    asyncio.run(story())
    assert desk.token == "Bearer open sesame"


@pytest.mark.parametrize(("status", "code", "retryable"), [(401, "denied", False), (429, "busy", True)])
def test_a_call_that_is_not_let_in_was_not_made_and_the_session_goes_on(
    desk: Desk, tool: Tool, status: int, code: str, retryable: bool
) -> None:
    async def story() -> None:
        assert await tool.function(**{CALL: Call()}) == "1"
        desk.refuses, opened = status, desk.opened
        with pytest.raises(ToolError) as refused:
            await tool.function(**{CALL: Call()})
        assert (refused.value.code, refused.value.retryable) == (code, retryable)
        desk.refuses = None
        assert await tool.function(**{CALL: Call()}) == "2"
        assert desk.opened == opened

    asyncio.run(story())


def test_one_call_that_fails_takes_no_other_call_with_it(desk: Desk, tool: Tool) -> None:
    """They share a session, and each ends by itself."""

    async def story() -> None:
        await tool.function(**{CALL: Call()})
        desk.holds = True
        held = asyncio.create_task(tool.function(**{CALL: Call()}))
        while desk.held == 0:  # noqa: ASYNC110 — counted in another thread
            await asyncio.sleep(0.01)
        desk.refuses = 503
        with pytest.raises(ConnectionLost):
            await tool.function(**{CALL: Call()})
        assert not held.done()
        desk.refuses, desk.holds = None, False
        assert await held == "2"

    asyncio.run(story())
