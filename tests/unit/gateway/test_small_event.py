"""A small event and a small queue do what `asyncio`'s do, in a fraction of their memory."""

from __future__ import annotations

import asyncio
import tracemalloc
from typing import Any

import pytest

from gateway.small_event import SmallEvent, SmallQueue


def size_of(kind: type[asyncio.Event] | type[asyncio.Queue[int]]) -> float:
    """Bytes that one of them takes."""
    tracemalloc.start()
    try:
        kept = [kind() for _ in range(1_000)]
        return tracemalloc.get_traced_memory()[0] / len(kept)
    finally:
        tracemalloc.stop()


@pytest.mark.anyio
async def test_all_that_wait_are_woken_and_one_that_gives_up_is_not_missed() -> None:
    event = SmallEvent()
    waiting = [asyncio.create_task(event.wait()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    await asyncio.sleep(0)
    event.set()
    assert [*await asyncio.gather(waiting[0], waiting[2])] == [True, True]
    assert waiting[1].cancelled()
    assert event.is_set()
    event.clear()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await event.wait()


@pytest.mark.anyio
async def test_what_is_put_is_got_in_order_and_one_that_gives_up_takes_nothing() -> None:
    queue = SmallQueue()
    waiting = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    for number in range(3):
        queue.put_nowait(number)
    assert await waiting[1] == 0
    assert [queue.get_nowait(), await queue.get()] == [1, 2]
    assert queue.empty()
    for _ in range(3):
        queue.task_done()
    await queue.join()


@pytest.mark.parametrize(("small", "own"), [(SmallEvent, asyncio.Event), (SmallQueue, asyncio.Queue)])
def test_it_takes_less_than_half(small: Any, own: Any) -> None:
    assert size_of(small) < 0.5 * size_of(own)
