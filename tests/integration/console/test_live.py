"""The feed that the console's pages follow: one look for all viewers, and each hears of its own tenant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.background import change_feed
from gateway.background.change_feed import ChangeFeed
from gateway.errors import Unavailable
from tests.integration.statements.test_history import Line
from tests.integration.toolbox.small_gateway import store_on

pytestmark = pytest.mark.anyio


@pytest.fixture
def feed(line: Line, database: str, monkeypatch: pytest.MonkeyPatch) -> ChangeFeed:
    monkeypatch.setattr(change_feed, "PACE_SECONDS", 0.0)
    return ChangeFeed(store_on(database), lambda: False)


async def next_of(stream: AsyncIterator[bool]) -> bool:
    async with asyncio.timeout(10):
        return await anext(stream)


async def test_a_viewer_hears_of_its_own_tenants_calls(line: Line, feed: ChangeFeed) -> None:
    mine, theirs = feed.follow("default", 60), feed.follow("other", 0.05)
    assert (await next_of(mine), await next_of(theirs)) == (True, True)
    await feed.look()
    following = asyncio.ensure_future(next_of(mine))
    line.ask(line.open())
    await asyncio.sleep(0)
    await feed.look()
    assert await following
    assert not await next_of(theirs), "it is told by a tick that its page may be old, and of no change"


async def test_all_viewers_share_one_look(line: Line, feed: ChangeFeed) -> None:
    streams = [feed.follow("default", 60) for _ in range(3)]
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
    stream = feed.follow("default", 60)
    await next_of(stream)
    with pytest.raises(Unavailable, match="follow this gateway already"):
        feed.refuse_crowd()


async def test_a_gateway_that_ends_lets_its_viewers_go(line: Line, database: str) -> None:
    feed = ChangeFeed(store_on(database), lambda: True)
    assert [each async for each in feed.follow("default", 60)] == []
