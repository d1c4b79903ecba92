"""A gateway hears its doorbell, whatever else is in the stream."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from gateway.background.result_listener import ResultListener
from gateway.live_sessions import SessionRegistry
from ringback.redis.notifications import FIELD, stream_of

pytestmark = pytest.mark.anyio
GATEWAY = "gateway-here"
NONE = cast(Any, None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "entry",
    [{FIELD: b"\xff\xfe"}, {b"\xff": b"\xfe"}, {FIELD: b"none"}, {"other": str(uuid4())}],
    ids=["no UTF-8", "no UTF-8 in a name", "no id", "another field"],
)
async def test_an_entry_that_is_none_of_ours_is_passed_over(redis_db: str, entry: dict[Any, Any]) -> None:
    live_sessions, session_id, awake = SessionRegistry(1), uuid4(), asyncio.Event()
    live_sessions.enter(session_id).on_wake = awake.set
    listener = ResultListener(redis_db, NONE, live_sessions, NONE, GATEWAY)
    ringing = Redis.from_url(redis_db)
    await ringing.xadd(stream_of(GATEWAY), entry)
    await ringing.xadd(stream_of(GATEWAY), {FIELD: str(session_id)})
    listening = asyncio.create_task(listener.listen())
    waiting = asyncio.create_task(awake.wait())
    await asyncio.wait([listening, waiting], return_when=asyncio.FIRST_COMPLETED)
    while not (listening.done() and waiting.done()):  # redis-py may lose a cancellation
        for task in (listening, waiting):
            task.cancel()
        await asyncio.wait([listening, waiting], timeout=0.1)
    await ringing.aclose()
    await listener.close()
    assert awake.is_set()
