"""What routes depend on runs on the event loop: FastAPI runs a plain function in a thread, and each request waits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from gateway.app import ROUTERS


def in_threads(*routers: APIRouter) -> list[str]:
    """What runs in a thread, by name: handlers of routes, and all that these depend on."""
    routes = (route for router in routers for route in router.routes)
    called = (
        call for route in routes if isinstance(route, APIRoute | APIWebSocketRoute) for call in calls(route.dependant)
    )
    return sorted({call.__qualname__ for call in called if not is_async(call)})


def calls(dependant: Dependant) -> Iterator[Callable[..., Any]]:
    if dependant.call is not None:
        yield dependant.call
    for each in dependant.dependencies:
        yield from calls(each)


def is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__)


def test_no_route_and_nothing_that_it_depends_on_runs_in_a_thread() -> None:
    assert in_threads(*ROUTERS) == []


def test_a_plain_function_is_found_however_deep_it_stands() -> None:
    router = APIRouter()

    def plain() -> int:
        return 1

    async def between(_: int = Depends(plain)) -> int:
        return 2

    @router.get("/")
    async def route(_: int = Depends(between)) -> None: ...

    assert [name.rpartition(".")[2] for name in in_threads(router)] == ["plain"]
