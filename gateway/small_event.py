"""An event, a queue and errands, for what there is ten of in each of thousands of sessions.

An errand is done when it is asked for, by a task that lives only while there is something to do. A task that waits for
an event takes 1.4 KiB for as long as its session lasts; an errand that is not asked for takes 0.2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any, TypeAlias

Act: TypeAlias = Callable[[], Awaitable[object]]


class SmallEvent(asyncio.Event):
    """Event whose waiters are a list: one task waits for it, and the deque of an `asyncio.Event` takes 0.6 KB."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters = []  # type: ignore[assignment]


class _Few(list[Any]):
    """List in the place of a deque, for what is nearly always empty."""

    __slots__ = ()

    def popleft(self) -> Any:
        return self.pop(0)


class SmallQueue(asyncio.Queue[Any]):
    """Queue that is nearly always empty. An `asyncio.Queue` has four deques."""

    def __init__(self) -> None:
        super().__init__()
        self._getters, self._putters, self._finished = _Few(), _Few(), SmallEvent()
        self._finished.set()

    def _init(self, maxsize: int) -> None:
        self._queue = self.held = _Few()
        """What waits in it: empty for nearly every frame, each of which asks."""


async def at_once() -> None:
    """Begin without waiting."""


class Errands:
    """The errands of one session. They run in its task group, and in the context of the task that has begun them."""

    __slots__ = ("_all", "context", "tasks")

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks
        self.context: Context | None = None
        """None while none may begin."""
        self._all: list[Errand] = []

    def add(self, errand: Errand) -> None:
        self._all.append(errand)

    def begin(self) -> None:
        """Begin what has been asked for so far, and from now on each errand as it is asked for."""
        self.context = copy_context()
        for errand in self._all:
            errand.begin()

    def stop(self) -> None:
        """Begin none any more: the session ends. Its group cancels those that run.

        Twice would be too often: psycopg closes a connection whose task is cancelled as it cancels a query.
        """
        self.context = None


class Errand:
    """One of them.

    Args:
        work: does what has been asked for so far. What it raises ends the session.
        errands: of the session.
        when: waits, once it was asked for, until it may begin. What asks meanwhile is served by the same work.
    """

    __slots__ = ("_errands", "_task", "_when", "_work", "is_asked_for")

    def __init__(self, work: Act, errands: Errands, when: Act = at_once) -> None:
        self._work, self._when = work, when
        self._errands = errands
        self._task: asyncio.Task[None] | None = None
        self.is_asked_for = False
        """From `ask` until the work begins."""
        errands.add(self)

    def ask(self) -> None:
        """Have it done soon; returns at once. What is asked for while the work runs is done by another."""
        self.is_asked_for = True
        if self._task is None:
            self.begin()

    def begin(self) -> None:
        """Begin, if it is asked for and may."""
        errands = self._errands
        if errands.context is None or not self.is_asked_for:
            return
        running = self._be_done()
        try:
            self._task = errands.tasks.create_task(running, context=errands.context)
        except RuntimeError:  # another task has failed: the group takes no more
            running.close()

    async def _be_done(self) -> None:
        while self.is_asked_for:
            await self._when()
            self.is_asked_for = False
            await self._work()
        self._task = None
