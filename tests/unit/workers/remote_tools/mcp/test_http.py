"""A failed request to an MCP server is answered by an error of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from workers.remote_tools.mcp.answers import BROKE_OFF, NOT_REACHED, SESSION_GONE
from workers.remote_tools.mcp.http import MAX_ANSWER_BYTES, ErrorIsolatingTransport

JSON = {"content-type": "application/json"}
OF_THE_PROTOCOL = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32602, "message": "no"}}


def send(answer: Any, method: str = "POST", **headers: str) -> httpx2.Response:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, httpx2.Response)
        return answer

    async def sent() -> httpx2.Response:
        async with httpx2.AsyncClient(transport=ErrorIsolatingTransport(httpx2.MockTransport(handle))) as client:
            return await client.request(method, "http://x/mcp", headers=headers)

    return asyncio.run(sent())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx2.ConnectError("refused"), NOT_REACHED),
        (httpx2.ConnectTimeout("slow"), NOT_REACHED),
        (httpx2.PoolTimeout("full"), NOT_REACHED),
        (httpx2.ReadError("cut"), BROKE_OFF),
        (httpx2.RemoteProtocolError("cut"), BROKE_OFF),
        (httpx2.Response(401, json={"error": "token"}), 1_401),
        (httpx2.Response(429, json={"error": "slow"}), 1_429),
        (httpx2.Response(404, text="no page"), 1_404),
        (httpx2.Response(503, text="gone fishing"), 1_503),
        (httpx2.Response(400, json=OF_THE_PROTOCOL), -32_602),
        (httpx2.Response(200, json=OF_THE_PROTOCOL), -32_602),
    ],
)
def test_whatever_happens_is_an_answer_with_a_code(answer: Any, code: int) -> None:
    assert json.loads(send(answer).content)["error"]["code"] == code


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx2.Response(404, text="what?"), SESSION_GONE),
        (httpx2.Response(404, json=OF_THE_PROTOCOL), SESSION_GONE),
        (
            httpx2.Response(400, json={**OF_THE_PROTOCOL, "error": {"code": 1, "message": "Session not found"}}),
            SESSION_GONE,
        ),
        (httpx2.Response(400, json=OF_THE_PROTOCOL), -32_602),
    ],
)
def test_a_session_that_the_server_forgot_is_told_from_a_wrong_call(answer: Any, code: int) -> None:
    assert json.loads(send(answer, **{"mcp-session-id": "7"}).content)["error"]["code"] == code


@pytest.mark.parametrize("size", [MAX_ANSWER_BYTES, MAX_ANSWER_BYTES + 1])
def test_an_answer_without_end_is_not_read(size: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * (size - 1)
        yield b"x"

    answer = httpx2.Response(200, headers=JSON, content=pieces())
    if size > MAX_ANSWER_BYTES:
        with pytest.raises(httpx2.StreamError, match="more than 1048576 bytes"):
            send(answer)
    else:
        assert len(send(answer).content) == size


def test_a_stream_that_is_not_to_be_had_is_left_as_it_is() -> None:
    assert send(httpx2.Response(405), "GET").status_code == 405
