"""The gateway's prepared message is the one that Celery's `send_task` sends, field by field."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis import Redis

from gateway.storage.job_publisher import JobPublisher
from ringback.redis.broker import TASK, make_app
from ringback.telemetry.call_trace import TRACEPARENT, TRACESTATE, traceparent
from workers.broker.transport import Job, read

Trace = Callable[[UUID], Mapping[str, str]] | None


def published(redis_db: str, job_id: UUID, queue: str, trace: Trace = None) -> dict[str, Any]:
    """Return the message that a gateway leaves in the queue."""

    async def publish() -> None:
        publisher = JobPublisher(redis_db, trace)
        try:
            assert await publisher.publish(job_id, queue)
        finally:
            await publisher.redis.close()

    asyncio.run(publish())
    return taken(redis_db, queue)


def sent(redis_db: str, job_id: UUID, queue: str, trace: Trace = None) -> dict[str, Any]:
    """Return the message that Celery leaves in the queue."""
    celery = make_app(redis_db)
    headers = None if trace is None else trace(job_id)
    celery.send_task(TASK, args=[str(job_id)], queue=queue, headers=headers, ignore_result=True, retry=False)
    celery.close()
    return taken(redis_db, queue)


def taken(redis_db: str, queue: str) -> dict[str, Any]:
    with Redis.from_url(redis_db) as client:
        message = json.loads(client.rpop(f"ringback:{queue}"))
        assert client.llen(f"ringback:{queue}") == 0
    return {**message, "body": json.loads(b64decode(message["body"]))}


def without_numbers(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message with its random numbers named for what they are."""
    headers, properties = message["headers"], message["properties"]
    task_id = headers["id"]
    assert task_id == headers["root_id"] == properties["correlation_id"]
    for number in (task_id, properties["delivery_tag"], properties["reply_to"]):
        UUID(number)
    headers |= {"id": "task", "root_id": "task"}
    properties |= {"correlation_id": "task", "delivery_tag": "tag", "reply_to": "a thread of the sender"}
    return message


def traced(job_id: UUID) -> dict[str, str]:
    return {TRACEPARENT: traceparent(job_id, is_sampled=True), TRACESTATE: "ringback=openai"}


@pytest.mark.parametrize("trace", [None, traced])
@pytest.mark.parametrize("queue", ["orders", 'a "queue" \\ of späti'])
def test_a_gateways_message_has_each_field_of_celerys_own(redis_db: str, queue: str, trace: Trace) -> None:
    job_id = uuid4()
    ours, celerys = published(redis_db, job_id, queue, trace), sent(redis_db, job_id, queue, trace)
    assert ours["body"][0] == [str(job_id)]
    assert without_numbers(ours) == without_numbers(celerys)


def test_each_message_is_a_task_of_its_own(redis_db: str) -> None:
    first, second = (published(redis_db, uuid4(), "orders") for _ in range(2))
    assert first["headers"]["id"] != second["headers"]["id"]


def test_a_worker_reads_the_trace_of_its_own_job_and_no_other(redis_db: str) -> None:
    job_id, other = uuid4(), uuid4()
    assert said_by(published(redis_db, job_id, "orders", traced)).trace == traced(job_id)
    assert said_by(published(redis_db, job_id, "orders", lambda _: traced(other))) == Job(job_id, {})


def said_by(message: dict[str, Any]) -> Job:
    said = read({**message, "body": b64encode(json.dumps(message["body"]).encode()).decode()})
    assert isinstance(said, Job)
    return said


def test_a_worker_reads_the_job_in_it(redis_db: str) -> None:
    job_id = uuid4()
    asyncio.run(_leave(redis_db, job_id))
    with Redis.from_url(redis_db) as client:
        assert read(json.loads(client.rpop("ringback:orders"))) == Job(job_id, {})


async def _leave(redis_db: str, job_id: UUID) -> None:
    publisher = JobPublisher(redis_db)
    assert await publisher.publish(job_id, "orders")
    await publisher.redis.close()


def test_a_redis_that_is_away_leaves_the_job_to_a_sweeper(caplog: pytest.LogCaptureFixture) -> None:
    async def publish() -> bool:
        publisher = JobPublisher("redis://127.0.0.1:1/0")
        try:
            return await publisher.publish(UUID(int=7), "orders")
        finally:
            await publisher.redis.close()

    assert asyncio.run(publish()) is False
    assert f"publishing failed: job {UUID(int=7)}" in caplog.text
