"""The feed that the console's pages follow: one look for all viewers, and each hears of its own tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import httpx
import pytest

from gateway.background import change_feed
from gateway.background.change_feed import ChangeFeed
from gateway.errors import Unavailable
from gateway.web.console import live
from gateway.web.console.visitors import COOKIE
from ringback.statements.identity import console_sign_ins, credentials
from tests.integration.console.visitor import Visitor, new_key
from tests.integration.statements.test_history import Line
from tests.integration.toolbox.small_gateway import store_on

pytestmark = pytest.mark.anyio

ADA, EVE = b"hash of ada's cookie", b"hash of eve's cookie"


def sign_in(line: Line, cookie: bytes, tenant: str = "default", key_id: UUID | None = None) -> None:
    made = {"tenant": tenant, "user": "ada", "minted_by": f"key:{key_id}" if key_id else "token:ada"}
    line.run(console_sign_ins.begin(uuid4(), cookie, **made, key_id=key_id, claims={}, seconds_valid=60))


@pytest.fixture
def feed(line: Line, database: str, monkeypatch: pytest.MonkeyPatch) -> ChangeFeed:
    monkeypatch.setattr(change_feed, "PACE_SECONDS", 0.0)
    sign_in(line, ADA)
    sign_in(line, EVE, "other")
    return ChangeFeed(store_on(database), lambda: False)


async def next_of(stream: AsyncIterator[bool]) -> bool:
    async with asyncio.timeout(10):
        return await anext(stream)


async def test_a_viewer_hears_of_its_own_tenants_calls(line: Line, feed: ChangeFeed) -> None:
    mine, theirs = feed.follow("default", ADA, 60), feed.follow("other", EVE, 0.05)
    assert (await next_of(mine), await next_of(theirs)) == (True, True)
    await feed.look()
    following = asyncio.ensure_future(next_of(mine))
    line.ask(line.open())
    await asyncio.sleep(0)
    await feed.look()
    assert await following
    assert not await next_of(theirs), "it is told by a tick that its page may be old, and of no change"


async def test_all_viewers_share_one_look(line: Line, feed: ChangeFeed) -> None:
    streams = [feed.follow("default", ADA, 60) for _ in range(3)]
    for stream in streams:
        await next_of(stream)
    await feed.look()
    waiting = [asyncio.ensure_future(next_of(stream)) for stream in streams]
    line.ask(line.open())
    await asyncio.sleep(0)
    await feed.look()
    assert await asyncio.gather(*waiting) == [True] * 3


async def test_more_viewers_than_the_bound_are_refused(feed: ChangeFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_feed, "MAX_VIEWERS", 1)
    feed.refuse_crowd()
    stream = feed.follow("default", ADA, 60)
    await next_of(stream)
    with pytest.raises(Unavailable, match="follow this gateway already"):
        feed.refuse_crowd()


async def events_of(pace: live.Pace, *changes: bool) -> list[str]:
    """What a page is sent if this is what its feed says."""

    async def follow(*_: object) -> AsyncIterator[bool]:
        for each in changes:
            yield each

    feed = SimpleNamespace(refuse_crowd=lambda: None, follow=follow, is_signed_out=lambda sign_in: False)
    visitor, gateway = SimpleNamespace(tenant="default", sign_in=ADA), SimpleNamespace(changes=feed)
    answer: Any = await live.live(cast(Any, visitor), cast(Any, gateway), pace)
    return [event.event async for event in answer.body_iterator]


async def test_a_page_asks_for_all_of_it_now_and_then_also_where_calls_change_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await events_of("calls", True, False, True) == ["changed", "tick", "changed"]
    assert await events_of("talk", True, False) == ["changed", "changed"]
    monkeypatch.setattr(live, "TICK_SECONDS", 0.0)
    assert await events_of("calls", True, True) == ["changed", "tick"] * 2


async def test_a_gateway_that_ends_lets_its_viewers_go(line: Line, database: str) -> None:
    feed = ChangeFeed(store_on(database), lambda: True)
    assert [each async for each in feed.follow("default", ADA, 60)] == []


@pytest.mark.parametrize("how", ["signed out", "key revoked", "user signed out"])
async def test_a_stream_ends_with_its_sign_in_and_no_other_does(line: Line, feed: ChangeFeed, how: str) -> None:
    mine = b"hash of my cookie"
    key_id, _ = new_key(line)
    sign_in(line, mine, key_id=key_id)
    stream, other = feed.follow("default", mine, 60), feed.follow("default", ADA, 60)
    await next_of(stream)
    await next_of(other)
    following, others = (asyncio.ensure_future(anext(each, None)) for each in (stream, other))
    await asyncio.sleep(0)
    await feed.look()
    assert not feed.is_signed_out(mine)
    if how == "signed out":
        line.run(console_sign_ins.end(mine))
    elif how == "key revoked":
        line.run(credentials.revoke_key(key_id, "default"))
    else:
        line.run(credentials.sign_out("default", "ada"))
    await feed.look()
    async with asyncio.timeout(10):
        assert await following is not True
        assert await anext(stream, None) is None
    assert others.done() == (how == "user signed out")
    others.cancel()


async def test_a_page_that_is_open_is_told_that_its_visitor_signed_out(
    line: Line, feed: ChangeFeed, database: str
) -> None:
    visitor = Visitor(database, changes=feed)
    await asyncio.to_thread(visitor.sign_in)
    cookie = f"{COOKIE}={visitor.cookies[COOKIE]}"
    transport = httpx.ASGITransport(visitor.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers={"cookie": cookie}) as client:
        stream = asyncio.ensure_future(client.get("/console/live"))
        watching = asyncio.ensure_future(feed.watch_events())
        await asyncio.to_thread(visitor.post, "/console/sign-out")
        async with asyncio.timeout(10):
            answer = await stream
        watching.cancel()
    assert answer.text.rstrip().endswith("event: signed-out\r\ndata:")
