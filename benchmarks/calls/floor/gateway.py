"""The gateway of each floor: it holds Realtime connections, and answers each function call in one of three ways.

    celery      one durable INSERT, Celery's `send_task`, the result from a Redis stream
    bare        the same with LPUSH in the place of Celery
    in-process  the function in the loop that reads the connection: no row, no queue, no other process

gateway.py WAY URL CONNECTIONS
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import uvloop
from psycopg_pool import AsyncConnectionPool
from redis.asyncio import Redis
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.calls.floor.ledger import ADMIT, AT_ONCE, QUEUE, RESULTS, database_url, redis_url, work

BLOCK_MS = 10_000
Answer = Callable[[str, dict[str, Any]], Awaitable[str]]


class Durable:
    """Commits a row, hands the job over, and waits for its result in the stream."""

    def __init__(self, publish: Callable[[str, dict[str, Any]], Awaitable[object]]) -> None:
        self._publish = publish
        self._postgres = AsyncConnectionPool(
            database_url(), min_size=1, max_size=AT_ONCE, kwargs={"autocommit": True}, open=False
        )
        self._waiting: dict[str, asyncio.Future[str]] = {}

    async def open(self, redis: Redis) -> None:
        await self._postgres.open()
        self._listening = asyncio.create_task(self._listen(redis))

    async def answer(self, call_id: str, arguments: dict[str, Any]) -> str:
        job_id = str(uuid.uuid4())
        result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[job_id] = result
        async with self._postgres.connection() as connection:
            await connection.execute(ADMIT, (job_id, call_id, json.dumps(arguments)))
        await self._publish(job_id, arguments)
        return await result

    async def _listen(self, redis: Redis) -> None:
        last: str | bytes = "$"
        while True:
            streams: Any = await redis.xread({RESULTS: last}, block=BLOCK_MS)
            for _, entries in streams:
                for entry_id, fields in entries:
                    last = entry_id
                    self._waiting.pop(fields[b"id"].decode()).set_result(fields[b"result"].decode())


async def way(name: str) -> Answer:
    if name == "in-process":
        return _in_process
    redis = Redis.from_url(redis_url())
    durable = Durable(_through_celery() if name == "celery" else partial(_through_a_list, redis))
    await durable.open(redis)
    return durable.answer


async def _in_process(_: str, arguments: dict[str, Any]) -> str:
    return work(arguments)


def _through_celery() -> Callable[[str, dict[str, Any]], Awaitable[object]]:
    from benchmarks.calls.floor.celery_worker import TASK, app

    thread = ThreadPoolExecutor(1)  # the loop must not wait for a broker

    def send(job_id: str, arguments: dict[str, Any]) -> None:
        app.send_task(TASK, args=[job_id, arguments], queue=QUEUE, ignore_result=True, retry=False)

    async def publish(job_id: str, arguments: dict[str, Any]) -> None:
        await asyncio.get_running_loop().run_in_executor(thread, send, job_id, arguments)

    return publish


async def _through_a_list(redis: Redis, job_id: str, arguments: dict[str, Any]) -> None:
    await redis.lpush(QUEUE, json.dumps([job_id, arguments]))


async def converse(url: str, answer: Answer) -> None:
    """One session: it asks for the first response, and answers each call."""
    async with connect(url, compression=None, max_size=None, proxy=None) as model:
        await _send(model, "session.update", session={"type": "realtime"})
        await _send(model, "response.create")
        async for frame in model:
            event = json.loads(frame)
            if event["type"] == "response.output_item.done" and event["item"]["type"] == "function_call":
                call_id = event["item"]["call_id"]
                output = await answer(call_id, json.loads(event["item"]["arguments"]))
                item = {"type": "function_call_output", "call_id": call_id, "output": output}
                await _send(model, "conversation.item.create", item=item)
                await _send(model, "response.create")


async def _send(model: ClientConnection, kind: str, **rest: Any) -> None:
    await model.send(json.dumps({"type": kind, **rest}))


async def main() -> None:
    answer = await way(sys.argv[1])
    sessions = [converse(sys.argv[2], answer) for _ in range(int(sys.argv[3]))]
    for ended in await asyncio.gather(*sessions, return_exceptions=True):
        if isinstance(ended, BaseException) and not isinstance(ended, ConnectionClosed):
            raise ended


if __name__ == "__main__":
    uvloop.run(main())
