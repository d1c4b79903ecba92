"""G2: no recorded job is lost, whatever is killed or flushed under it. The answer is heard in the conversation."""

from __future__ import annotations

import asyncio

import pytest
import redis

from tests.guarantees.conftest import Bakery
from tests.line import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]


async def test_a_worker_that_is_killed_mid_call_is_replaced_and_the_caller_hears_the_answer(bakery: Bakery) -> None:
    async with bakery.line.call(ringback="jobs") as caller:
        await caller.ask("Where is my order A-1042?")
        await asyncio.to_thread(bakery.begun)
        bakery.line.processes.kill("worker")
        await asyncio.to_thread(bakery.line.processes.restart, "worker")
        await asyncio.to_thread(bakery.begun, 2)
        bakery.let_go()
        await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
        assert "baked" in await caller.hear_answer()
        (job,) = bakery.line.jobs(caller.session_id)
    attempts = bakery.line.get(f"/v1/jobs/{job['id']}")["attempts"]
    assert [attempt["ended"] for attempt in attempts] == ["lost", "succeeded"]


async def test_redis_that_forgets_everything_costs_a_little_time_and_no_call(bakery: Bakery, redis_db: str) -> None:
    bakery.line.processes.kill("worker")
    async with bakery.line.call(ringback="jobs") as caller:
        await caller.ask("Where is my order A-1042?")
        await caller.hear_kind("ringback.job")
        with redis.Redis.from_url(redis_db) as client:
            eventually(lambda: client.llen("slow"), "the message is in its queue")
            client.flushdb()
        bakery.let_go()
        await asyncio.to_thread(bakery.line.processes.restart, "worker")
        await caller.hear_until(lambda event: event.get("job", {}).get("state") == "acked")
        assert "baked" in await caller.hear_answer()
    assert bakery.attempts() == 1
