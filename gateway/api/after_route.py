"""Runs a session after its route has returned, and outside of all that stands around the route.

A request goes through some twenty coroutines of uvicorn, Starlette, FastAPI and the gateway's own middleware, each with
its frame and its closures. A session that ran inside of them would keep 15 KB for as long as it lasts. So the route
decides who may begin, and leaves the session to this middleware, the outermost one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

LEFT = "ringback.left"

Run: TypeAlias = Callable[[WebSocket], Awaitable[object]]
"""Runs a session; given its WebSocket as the server gives it, without what middleware has put around it."""


def run_after_route(socket: WebSocket, run: Run) -> None:
    """Leave a session to be run as soon as the route has returned."""
    socket.scope[LEFT] = run


class AfterRoute:
    """ASGI middleware: runs what the route of a WebSocket has left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return await self._app(scope, receive, send)
        run = await self._routed(scope, receive, send)
        if run is not None:
            await run(WebSocket(scope, receive, send))
        return None

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> Run | None:
        """Have the request routed, in a scope of its own: routers keep in it what they made for the request."""
        routed = {**scope}
        await self._app(routed, receive, send)
        run: Run | None = routed.get(LEFT)
        return run
