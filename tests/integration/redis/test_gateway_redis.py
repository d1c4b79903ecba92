"""A gateway's commands to Redis have a bound, which an event loop that stood still does not use up."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

import pytest

from gateway.storage.redis_client import AT_ONCE, SECONDS, RedisClient
from tests.proxy import before_redis

pytestmark = pytest.mark.anyio
PING = [("PING",)]
EIGHT = 8


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_answer_that_came_while_the_loop_stood_still_counts(redis_db: str) -> None:
    """As on a machine that is short of CPU: each of these was a call that waited two seconds for a sweeper."""
    client = RedisClient(redis_db)
    while None in await asyncio.gather(*(client.run(PING) for _ in range(EIGHT))):
        pass  # until they are connected
    waiting = [asyncio.create_task(client.run(PING)) for _ in range(EIGHT)]
    await asyncio.sleep(0)
    Event().wait(2 * SECONDS)
    assert await asyncio.gather(*waiting) == [[True]] * EIGHT
    await client.close()


@pytest.mark.parametrize("fault", ["blackhole", "strand", "refuse"])
async def test_a_redis_that_does_not_answer_is_given_up_and_found_again(redis_db: str, fault: str) -> None:
    with before_redis(redis_db) as (proxy, url):
        client = RedisClient(url)
        assert await client.run(PING) == [True]
        getattr(proxy, fault)()
        assert None in await asyncio.gather(*(client.run(PING) for _ in range(2 * AT_ONCE)))
        proxy.heal()
        while await client.run(PING) is None:
            pass  # each attempt ends by itself
        await client.close()


class Counted(RedisClient):
    """Client that counts its pipelines."""

    pipelines = 0

    async def _pipeline(self, commands: Any) -> Any:
        self.pipelines += 1
        return await super()._pipeline(commands)


async def test_however_many_wait_for_a_redis_that_does_not_answer_none_waits_for_a_third_pipeline(
    redis_db: str,
) -> None:
    """A burst of calls would else wait in line, a second for each hundred, and the sweep and each resume behind it."""
    with before_redis(redis_db) as (proxy, url):
        client = Counted(url)
        assert await client.run(PING) == [True]
        proxy.blackhole()
        client.pipelines = 0
        assert await asyncio.gather(*(client.run(PING) for _ in range(10 * AT_ONCE))) == [None] * (10 * AT_ONCE)
        assert client.pipelines == 2
        proxy.heal()
        await client.close()


async def test_of_commands_that_go_together_each_has_its_own_answers(redis_db: str) -> None:
    client = RedisClient(redis_db)
    several = [[("ECHO", number)] * (number % 3 + 1) for number in range(2 * AT_ONCE)]
    several[5] = [("ECHO", 0), ("NO-SUCH-COMMAND", 0)]
    told = [[str(words[-1]).encode() for words in each] for each in several]
    found = await asyncio.gather(*(client.run(each) for each in several))
    assert found == [*told[:5], None, *told[6:]], "one that is refused fails no other"
    await client.close()


async def test_a_task_that_is_cancelled_takes_no_other_with_it(redis_db: str) -> None:
    client = RedisClient(redis_db)
    asked = [asyncio.create_task(client.run(PING)) for _ in range(EIGHT)]
    await asyncio.sleep(0)  # the first has begun, and the others wait for it
    for each in (asked[0], asked[3]):
        each.cancel()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(each) for each in found] == [asyncio.CancelledError, list, list, asyncio.CancelledError, *[list] * 4]
    assert await client.run(PING) == [True]
    await client.close()
