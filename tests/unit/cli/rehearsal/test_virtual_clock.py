"""The virtual clock skips waiting times, and does not run ahead of sockets and threads."""

from __future__ import annotations

import asyncio
import socket
from threading import Thread
from typing import Any

from cli.rehearsal.virtual_clock import VirtualClockLoop

FAR = 3_600.0
"""Seconds that are over at once if no socket or thread is waited for."""


def passing(work: Any) -> Any:
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(work)


def test_an_hour_is_over_when_everybody_waits_for_its_end() -> None:
    async def sleeps() -> float:
        await asyncio.sleep(FAR)
        return asyncio.get_running_loop().time()

    assert passing(sleeps()) == FAR


def test_things_happen_in_the_order_of_their_moments() -> None:
    seen: list[str] = []

    async def each(seconds: float, name: str) -> None:
        await asyncio.sleep(seconds)
        seen.append(name)

    async def all_of_them() -> None:
        await asyncio.gather(each(30, "third"), each(10, "first"), each(20, "second"))

    passing(all_of_them())
    assert seen == ["first", "second", "third"]


def test_a_time_limit_is_kept() -> None:
    async def too_long() -> str:
        try:
            async with asyncio.timeout(FAR):
                await asyncio.Event().wait()
        except TimeoutError:
            return f"after {asyncio.get_running_loop().time():g} s"
        return "never"

    assert passing(too_long()) == f"after {FAR:g} s"


def test_the_clock_does_not_run_ahead_of_a_thread() -> None:
    async def asks_a_thread() -> int:
        async with asyncio.timeout(FAR):
            return await asyncio.to_thread(sum, range(100_000))

    assert passing(asks_a_thread()) == sum(range(100_000))


def test_the_clock_does_not_run_ahead_of_a_socket() -> None:
    here, there = socket.socketpair()

    async def hears() -> bytes:
        reader, writer = await asyncio.open_connection(sock=here)
        speaker = Thread(target=there.sendall, args=(b"hello\n",))
        speaker.start()
        try:
            async with asyncio.timeout(FAR):
                return await reader.readline()
        finally:
            writer.close()
            speaker.join()

    with there:
        assert passing(hears()) == b"hello\n"
