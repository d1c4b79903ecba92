"""A gateway hears its doorbell, whatever else is in the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from gateway.background.result_listener import ResultListener
from gateway.live_sessions import SessionHandle, SessionRegistry
from ringback.leases.lease import LeaseClock
from ringback.redis.notifications import FIELD, stream_of
from ringback.redis.notifications import RESULT as SEALED
from ringback.redis.sealed_results import CarriedResult, SealedResults

pytestmark = pytest.mark.anyio
GATEWAY = "gateway-here"
NONE = cast(Any, None)
SESSION, KEY = uuid4(), bytes(range(32))
RESULT = CarriedResult(uuid4(), 1, "call", "work", {"text": "done"}, 1.0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    "entry",
    [{FIELD: b"\xff\xfe"}, {b"\xff": b"\xfe"}, {FIELD: b"none"}, {"other": str(uuid4())}],
    ids=["no UTF-8", "no UTF-8 in a name", "no id", "another field"],
)
async def test_an_entry_that_is_none_of_ours_is_passed_over(redis_db: str, entry: dict[Any, Any]) -> None:
    handle = await woken_by(redis_db, entry, {FIELD: str(SESSION)})
    assert (handle.must_read, handle.brought) == (True, {})


async def test_a_sealed_result_is_brought_to_its_session(redis_db: str) -> None:
    handle = await woken_by(redis_db, carrying(KEY))
    assert (handle.must_read, handle.brought) == (False, {RESULT.job_id: RESULT})


@pytest.mark.parametrize(
    ("entry", "silent_for"),
    [
        (lambda: carrying(KEY), 3.5),
        (lambda: carrying(KEY), 2.5),
        (lambda: carrying(bytes(32)), 0.0),
        (lambda: {**carrying(KEY, uuid4()), FIELD: str(SESSION)}, 0.0),
        (lambda: {FIELD: str(SESSION), SEALED: "none"}, 0.0),
    ],
    ids=[
        *("its lease may be over", "others may have its calls", "sealed with another key", "of another session"),
        "no seal",
    ],
)
async def test_a_result_that_may_not_count_is_read_from_its_row(
    redis_db: str, entry: Callable[[], dict[Any, Any]], silent_for: float
) -> None:
    handle = await woken_by(redis_db, entry(), silent_for=silent_for)
    assert (handle.must_read, handle.brought) == (True, {})


def carrying(key: bytes, session_id: UUID = SESSION) -> dict[Any, Any]:
    """An entry with the result, sealed with this key for this session."""
    return {FIELD: str(session_id), SEALED: str(SealedResults(key).seal(session_id, RESULT))}


async def woken_by(redis_db: str, *entries: dict[Any, Any], silent_for: float = 0.0) -> SessionHandle:
    """The handle of a session once these entries have woken it.

    Args:
        silent_for: for how many seconds the gateway has not renewed its lease.
    """
    live_sessions, awake = SessionRegistry(1), asyncio.Event()
    handle = live_sessions.enter(SESSION)
    handle.on_wake = awake.set
    clock = LeaseClock(-silent_for)
    lease: Any = SimpleNamespace(
        is_current=not clock.must_stop(0.0), is_silent=partial(clock.is_silent, 0.0), doorbell_key=KEY
    )
    listener = ResultListener(redis_db, NONE, live_sessions, lease, GATEWAY)
    ringing = Redis.from_url(redis_db)
    for entry in entries:
        await ringing.xadd(stream_of(GATEWAY), entry)
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
    return handle
