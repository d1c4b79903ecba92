"""A shared connection is opened once, reopened after it broke, and closed by the task that opened it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from workers.remote_tools.connection_holder import ConnectionHolder, first_of


class Door:
    """Connection that records what was done with it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fails = 0
        self.broken: set[int] = set()
        self.may_open = asyncio.Event()
        self.may_open.set()
        self.held = ConnectionHolder("door", self.opened, lambda number: number not in self.broken)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        await self.may_open.wait()
        task = asyncio.current_task()
        if self.fails:
            self.fails -= 1
            raise ExceptionGroup("wrapped", [OSError("stuck")])
        number = 1 + sum(word.startswith("open") for word in self.seen)
        self.seen.append(f"open {number}")
        try:
            yield number
        finally:
            assert asyncio.current_task() is task
            self.seen.append(f"close {number}")


def run(story: Callable[[Door], Awaitable[None]]) -> list[str]:
    async def told() -> Door:
        door = Door()
        await story(door)
        return door

    return asyncio.run(told()).seen  # the end of the loop closes what is open


def test_calls_at_once_share_one_and_the_end_of_the_loop_closes_it() -> None:
    async def story(door: Door) -> None:
        assert list(await asyncio.gather(door.held.get(), door.held.get())) == [1, 1]
        assert await door.held.get() == 1

    assert run(story) == ["open 1", "close 1"]


def test_one_that_broke_is_closed_and_replaced() -> None:
    async def story(door: Door) -> None:
        await door.held.get()
        door.broken.add(1)
        assert await door.held.get() == 2

    assert sorted(run(story)) == ["close 1", "close 2", "open 1", "open 2"]


def test_one_that_is_dropped_is_replaced_and_dropping_an_old_one_does_nothing() -> None:
    async def story(door: Door) -> None:
        first = await door.held.get()
        door.held.drop(first)
        assert await door.held.get() == 2
        door.held.drop(first)
        assert await door.held.get() == 2

    assert sorted(run(story)) == ["close 1", "close 2", "open 1", "open 2"]


def test_one_that_cannot_be_opened_says_why_and_the_next_call_tries_again() -> None:
    async def story(door: Door) -> None:
        door.fails = 1
        with pytest.raises(OSError, match="stuck"):
            await door.held.get()
        assert await door.held.get() == 1

    assert run(story) == ["open 1", "close 1"]


def test_a_call_that_is_cancelled_while_it_opens_leaves_it_to_the_next() -> None:
    async def story(door: Door) -> None:
        door.may_open.clear()
        waiting = asyncio.create_task(door.held.get())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        door.may_open.set()
        assert await door.held.get() == 1

    assert run(story) == ["open 1", "close 1"]


def test_another_loop_opens_its_own() -> None:
    numbers = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[object]:
        yield object()

    held = ConnectionHolder("door", opened)

    async def get() -> None:
        numbers.append(await held.get())

    asyncio.run(get())
    asyncio.run(get())
    assert numbers[0] is not numbers[1]


def test_the_problem_is_found_in_what_a_task_group_makes_of_it() -> None:
    assert str(first_of(ExceptionGroup("a", [ExceptionGroup("b", [OSError("c")])]))) == "c"
    assert str(first_of(BaseExceptionGroup("a", [KeyboardInterrupt()]))) == "KeyboardInterrupt"
