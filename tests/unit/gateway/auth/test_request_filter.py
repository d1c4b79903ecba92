"""What is refused before any route is asked, and that nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.types import Message

from gateway.auth.request_filter import RequestFilter

PAGE = "https://app.example.com"


async def inside(scope: Any, receive: Any, send: Any) -> None:
    """A route that lets everybody in."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def asked(method: str, url: str, *origins: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = RequestFilter(inside, origins=[PAGE], loopback=False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            return await client.request(method, url, headers=[("Origin", origin) for origin in origins])

    return asyncio.run(ask())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_foreign_page_may_change_nothing_and_reads_no_permission(method: str) -> None:
    answer = asked(method, "/v1/realtime/client_secrets", "https://evil.com")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "origin_not_allowed")
    assert [name for name in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("origins", [(), (PAGE,)])
def test_a_page_of_ours_and_what_is_no_page_may_ask(origins: tuple[str, ...]) -> None:
    assert asked("POST", "/v1/jobs/x/cancel", *origins).status_code == 204


def test_whoever_says_two_origins_may_not() -> None:
    assert asked("POST", "/v1/jobs/x/cancel", PAGE, PAGE).status_code == 403


def test_reading_is_left_to_the_browser_which_shows_a_foreign_page_nothing() -> None:
    assert asked("GET", "/v1/jobs", "https://evil.com").status_code == 204


def test_who_is_asking_is_read_in_one_way_only() -> None:
    async def ask() -> httpx.Response:
        app = RequestFilter(inside, origins=[PAGE], loopback=False)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            return await client.get("/v1/jobs", headers=[("Authorization", f"Bearer {who}") for who in ("ada", "eve")])

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "two_tokens")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_in_the_url_is_refused_with_where_it_belongs_and_not_repeated(method: str) -> None:
    answer = asked(method, "/v1/jobs?access_token=ek_the-token-itself")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "access_token")
    assert "Authorization: Bearer" in answer.json()["error"]["message"]
    assert "the-token-itself" not in answer.text


@pytest.mark.parametrize(
    ("query", "origin", "status"),
    [(b"", b"https://evil.com", 403), (b"", b"null", 403), (b"token=x", b"https://app.example.com", 400)],
)
def test_a_websocket_is_refused_as_http_before_the_upgrade(query: bytes, origin: bytes, status: int) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "query_string": query, "headers": [(b"origin", origin)]}
    asyncio.run(RequestFilter(inside, origins=[PAGE], loopback=False)(scope, receive, send))
    assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", status)
