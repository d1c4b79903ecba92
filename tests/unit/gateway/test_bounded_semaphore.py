"""A semaphore lets some in, some wait, and the rest are refused at once."""

from __future__ import annotations

import asyncio

import pytest

from gateway.bounded_semaphore import BoundedSemaphore, Overloaded


def test_so_many_are_inside_so_many_wait_and_the_rest_are_turned_away() -> None:
    async def story() -> None:
        semaphore, leave = BoundedSemaphore(2, 3), asyncio.Event()
        inside: list[int] = []

        async def come(number: int) -> None:
            async with semaphore:
                inside.append(number)
                await leave.wait()

        coming = [asyncio.create_task(come(number)) for number in range(7)]
        done, _ = await asyncio.wait(coming, return_when=asyncio.FIRST_EXCEPTION)
        assert inside == [0, 1]
        assert done == set(coming[5:6]) or done == set(coming[5:])
        leave.set()
        came = await asyncio.gather(*coming, return_exceptions=True)
        assert inside == [0, 1, 2, 3, 4]
        assert [type(each) for each in came[5:]] == [Overloaded, Overloaded]

    asyncio.run(story())


@pytest.mark.parametrize("problem", [ValueError, asyncio.CancelledError])
def test_a_task_that_fails_inside_makes_room(problem: type[BaseException]) -> None:
    async def story() -> None:
        semaphore = BoundedSemaphore(1, 0)
        with pytest.raises(problem):
            async with semaphore:
                raise problem
        async with semaphore:
            with pytest.raises(Overloaded):
                async with semaphore:
                    raise AssertionError("two are inside")

    asyncio.run(story())


def test_a_task_that_gives_up_waiting_leaves_the_queue() -> None:
    async def story() -> None:
        semaphore = BoundedSemaphore(1, 1)
        async with semaphore:
            for _ in range(2):
                waiting = asyncio.create_task(semaphore.__aenter__())
                await asyncio.sleep(0)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
        async with semaphore:
            pass

    asyncio.run(story())
