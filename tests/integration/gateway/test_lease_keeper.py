"""The gateway's share of the sweeping, on a real Postgres and Redis, and with a Redis that is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any
from uuid import UUID

from sqlalchemy import text

from gateway.app import kept_going
from gateway.background.lease import Lease
from gateway.background.lease_keeper import LeaseKeeper
from gateway.storage.database import Store, lease_connector, open_pool
from gateway.storage.job_publisher import JobPublisher
from ringback.config.settings import postgres_url
from ringback.sweeper import MARKER
from tests.integration.toolbox.line import PATIENCE, Line
from tests.proxy import before_redis

LOOK = 0.02


@asynccontextmanager
async def sweeping(line: Line, redis_url: str) -> AsyncIterator[None]:
    """A keeper that sweeps for as long as the context lasts, steady from the first."""
    store = Store(open_pool(postgres_url(line.database), 4))
    publisher = JobPublisher(redis_url)
    lease = Lease("gateway-that-keeps", store, lease_connector(postgres_url(line.database)))
    lease_keeper = LeaseKeeper("gateway-that-keeps", store, publisher)
    await lease.register()
    line.run(text("UPDATE processes SET steady_since = clock_timestamp() - interval '1 minute'"))
    try:
        async with kept_going(lease_keeper.sweep, lease.watch_loop):
            yield
    finally:
        await lease.retire()
        await publisher.redis.close()
        await store.close()


async def until(true: Any, what: str) -> None:
    give_up = monotonic() + PATIENCE
    while not await asyncio.to_thread(true):
        assert monotonic() < give_up, f"waited in vain: {what}"
        await asyncio.sleep(LOOK)


def due(line: Line) -> UUID:
    job_id = line.admit("echo", text="x")
    line.run(text("UPDATE jobs SET publish_after = clock_timestamp() WHERE state = 'pending'"))
    return job_id


def test_a_keeper_publishes_what_is_due_and_sets_the_marker(line: Line) -> None:
    async def scene() -> None:
        async with sweeping(line, line.redis_url):
            due(line)
            await until(lambda: line.redis.llen("ringback:errands") == 1, "the message")
            await until(lambda: line.redis.ttl(MARKER) == -1, "the marker")
            line.redis.flushdb()
            await until(lambda: line.redis.llen("ringback:errands") == 1, "the message again")

    asyncio.run(scene())


def test_whoever_waits_for_what_a_keeper_finished_is_rung(line: Line) -> None:
    async def scene() -> None:
        job_id = line.admit("echo", text="x")
        line.run(text("UPDATE jobs SET deadline_at = clock_timestamp() - interval '1 minute'"))
        async with sweeping(line, line.redis_url):
            await until(lambda: line.job(job_id).state == "timed_out", "the job to be timed out")
            await until(line.rung, "the ring")
        assert line.rung() == [str(line.session)]

    asyncio.run(scene())


def test_a_redis_that_says_nothing_holds_no_loop_up_and_lets_no_pause_grow(line: Line) -> None:
    async def goes_round() -> None:
        """A loop that waits for a Redis which says nothing would never come to the end of this."""
        async with asyncio.timeout(PATIENCE):
            for _ in range(150):
                await asyncio.sleep(LOOK)

    async def scene() -> None:
        with before_redis(line.redis_url) as (proxy, through):
            async with sweeping(line, through):
                await until(lambda: line.redis.ttl(MARKER) == -1, "the marker")
                proxy.blackhole()
                job_id = due(line)
                await goes_round()
                assert line.job(job_id).publish_count <= 1
                proxy.heal()
                await until(lambda: line.redis.llen("ringback:errands") >= 1, "the message")

    asyncio.run(scene())
