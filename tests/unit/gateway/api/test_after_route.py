"""A session runs once its route has returned, outside of what stands around routes."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from gateway.api.after_route import AfterRoute, run_after_route


def app_of(seen: list[Any]) -> AfterRoute:
    app = FastAPI()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        async def run(its_own: WebSocket) -> None:
            seen.append("run")
            seen.append(sorted(name for name in its_own.scope if "fastapi" in name or name == "endpoint"))
            await its_own.accept("this")
            await its_own.send_text(await its_own.receive_text())
            await its_own.close()

        run_after_route(socket, run)
        seen.append("route over")

    @app.websocket("/refused")
    async def refused(socket: WebSocket) -> None:
        await socket.close()

    @app.get("/page")
    async def page() -> str:
        return "page"

    return AfterRoute(app)


def test_a_session_runs_behind_its_route_with_a_socket_that_nothing_is_around() -> None:
    seen: list[Any] = []
    with TestClient(app_of(seen)).websocket_connect("/talk") as socket:
        assert str(socket.accepted_subprotocol) == "this"
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
    assert seen[:3] == ["route over", "run", []], "what routers keep in the scope is gone"


def test_a_route_that_leaves_nothing_ends_as_ever() -> None:
    client = TestClient(app_of([]))
    assert client.get("/page").json() == "page"
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/refused"):
        pass
