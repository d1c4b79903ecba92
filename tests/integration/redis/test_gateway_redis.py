"""A gateway's commands to Redis have a bound, which an event loop that stood still does not use up."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest

from gateway.storage.redis_client import CONNECTIONS, SECONDS, RedisClient
from tests.proxy import before_redis

pytestmark = pytest.mark.anyio
PING = [("PING",)]
AT_ONCE = 8


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_answer_that_came_while_the_loop_stood_still_counts(redis_db: str) -> None:
    """As on a machine that is short of CPU: each of these was a call that waited two seconds for a sweeper."""
    client = RedisClient(redis_db)
    while None in await asyncio.gather(*(client.run(PING) for _ in range(AT_ONCE))):
        pass  # until they are connected
    waiting = [asyncio.create_task(client.run(PING)) for _ in range(AT_ONCE)]
    await asyncio.sleep(0)
    Event().wait(2 * SECONDS)
    assert await asyncio.gather(*waiting) == [[True]] * AT_ONCE
    await client.close()


@pytest.mark.parametrize("fault", ["blackhole", "strand", "refuse"])
async def test_a_redis_that_does_not_answer_is_given_up_and_found_again(redis_db: str, fault: str) -> None:
    with before_redis(redis_db) as (proxy, url):
        client = RedisClient(url)
        assert await client.run(PING) == [True]
        getattr(proxy, fault)()
        assert None in await asyncio.gather(*(client.run(PING) for _ in range(2 * CONNECTIONS)))
        proxy.heal()
        while await client.run(PING) is None:
            pass  # each attempt ends by itself
        await client.close()
