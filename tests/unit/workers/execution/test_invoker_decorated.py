"""A decorator below `@tool` may make a plain function of an async one: the worker still awaits its result."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Iterator
from threading import Event, Thread, current_thread
from typing import Any

import pytest

from ringback import Call, tool
from workers.execution.invoker import ToolInvoker
from workers.execution.retry_policy import CallCancelled, DeadlineExceeded
from workers.execution.waiting import run_to_end
from workers.leases.in_flight import Cancellation

AGES = 3_000.0
SOON = 0.05
PATIENCE = 10.0


def traced(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Wrap it as most decorators do."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def traced_later(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Wrap it, and forget to await it."""

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.fixture
def caller() -> Iterator[ToolInvoker]:
    caller = ToolInvoker()
    yield caller
    caller.loop.stop()


@pytest.mark.parametrize("decorator", [traced, traced_later, lambda function: traced(traced_later(function))])
def test_what_an_async_function_returns_is_the_result_and_not_its_coroutine(
    caller: ToolInvoker, decorator: Callable[[Any], Callable[..., Any]]
) -> None:
    @tool
    @decorator
    async def where(city: str) -> tuple[str, str]:
        """Say which thread runs this."""
        await asyncio.sleep(0)
        return current_thread().name, city

    told = run_to_end(caller.call(where, {"city": "Oslo"}, Call(), PATIENCE, Cancellation()))
    assert told == ("tool-loop", "Oslo")


@pytest.mark.parametrize("decorator", [traced, traced_later])
def test_it_is_cancelled_when_its_time_is_up(
    caller: ToolInvoker, decorator: Callable[[Any], Callable[..., Any]]
) -> None:
    cleaned = Event()

    @tool
    @decorator
    async def tidy() -> None:
        """Tidy up when cancelled."""
        try:
            await asyncio.sleep(AGES)
        finally:
            cleaned.set()

    with pytest.raises(DeadlineExceeded):
        run_to_end(caller.call(tidy, {}, Call(), SOON, Cancellation()))
    assert cleaned.wait(PATIENCE)


def test_it_is_cancelled_when_that_is_asked_for(caller: ToolInvoker) -> None:
    began, ended, cancellation = Event(), Event(), Cancellation()

    @tool
    @traced
    async def wait() -> None:
        """Wait."""
        began.set()
        try:
            await asyncio.sleep(AGES)
        finally:
            ended.set()

    def cancel() -> None:
        began.wait(PATIENCE)
        cancellation.ask()

    thread = Thread(target=cancel)
    thread.start()
    with pytest.raises(CallCancelled):
        run_to_end(caller.call(wait, {}, Call(), AGES, cancellation))
    thread.join()
    assert ended.wait(PATIENCE)
