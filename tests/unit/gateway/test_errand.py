"""An errand is done once for all that have asked before it began, and again for those that ask meanwhile."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from gateway.small_event import Errand, Errands

pytestmark = pytest.mark.anyio

WHOSE: ContextVar[str] = ContextVar("whose", default="no one's")


class Work:
    """Work that goes on when the test lets it."""

    def __init__(self) -> None:
        self.begun = 0
        self.whose = ""
        self.may_begin, self.may_end = asyncio.Event(), asyncio.Event()
        self.may_begin.set()
        self.may_end.set()

    async def wait(self) -> None:
        await self.may_begin.wait()

    async def do(self) -> None:
        self.begun += 1
        self.whose = WHOSE.get()
        await self.may_end.wait()


async def turns() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_it_is_done_once_for_all_that_ask_before_it_begins() -> None:
    work = Work()
    async with asyncio.TaskGroup() as tasks:
        errands = Errands(tasks)
        errand = Errand(work.do, errands, work.wait)
        errand.ask()
        await turns()
        assert (work.begun, errand.is_asked_for) == (0, True), "the session has not begun"
        work.may_begin.clear()
        errands.begin()
        errand.ask()
        await turns()
        errand.ask()
        work.may_begin.set()
        await turns()
        assert (work.begun, errand.is_asked_for) == (1, False)
        errand.ask()
        await turns()
        assert work.begun == 2


async def test_it_is_done_again_for_those_that_ask_while_it_is_done() -> None:
    work = Work()
    async with asyncio.TaskGroup() as tasks:
        errands = Errands(tasks)
        errand = Errand(work.do, errands)
        errands.begin()
        work.may_end.clear()
        errand.ask()
        await turns()
        errand.ask()
        errand.ask()
        await turns()
        assert (work.begun, errand.is_asked_for) == (1, True), "one at a time"
        work.may_end.set()
        await turns()
        assert (work.begun, errand.is_asked_for) == (2, False)


async def test_it_runs_as_the_one_who_has_begun_the_session() -> None:
    work = Work()
    async with asyncio.TaskGroup() as tasks:
        errands = Errands(tasks)
        errand = Errand(work.do, errands)
        WHOSE.set("the session's")
        errands.begin()
        WHOSE.set("another's")
        errand.ask()
    assert work.whose == "the session's"


async def test_none_begins_and_one_that_runs_is_cancelled_once_as_the_session_ends() -> None:
    """As a client hangs up: another task fails, which cancels the session's own, which stops the errands."""
    cancelled: list[bool] = []
    later, hangs_up = Work(), asyncio.Event()

    async def write() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait() if not cancelled else await turns()
            except asyncio.CancelledError:
                cancelled.append(True)
        raise asyncio.CancelledError

    async def client() -> None:
        await hangs_up.wait()
        raise ConnectionError("it has hung up")

    async def session() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(client())
            errands = Errands(tasks)
            errand, another = Errand(write, errands), Errand(later.do, errands)
            errands.begin()
            errand.ask()
            await turns()
            hangs_up.set()
            try:
                await asyncio.Event().wait()
            finally:
                errands.stop()
                another.ask()

    with pytest.raises(ExceptionGroup):
        await session()
    assert (cancelled, later.begun) == ([True], 0)


async def test_what_it_raises_ends_the_session_and_who_asks_then_is_not_harmed() -> None:
    async def fail() -> None:
        raise ValueError("a fault")

    later = Work()
    later.may_end.clear()
    tasks = asyncio.TaskGroup()
    errands = Errands(tasks)
    errand, another = Errand(fail, errands), Errand(later.do, errands)

    async def session() -> None:
        async with tasks:
            errands.begin()
            errand.ask()
            try:
                await asyncio.Event().wait()
            finally:
                another.ask()
                errands.stop()

    with pytest.raises(ExceptionGroup) as raised:
        await session()
    another.ask()
    assert [str(each) for each in raised.value.exceptions] == ["a fault"]
    assert later.begun == 0
