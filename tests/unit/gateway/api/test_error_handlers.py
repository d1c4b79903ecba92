"""Every error is answered in one shape, and none shows what is inside."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from gateway.api.error_handlers import FAILED, NOT_NOW, UNKNOWN_IF_DONE, add_error_handlers
from gateway.errors import Conflict, LimitReached
from gateway.storage.database import NotSent
from ringback.postgres.connections import NoFreeConnection

SECRET = "the-key-of-the-realtime-api"
LOST = psycopg.OperationalError(SECRET)


class Body(BaseModel):
    seconds: int


def app_that_raises(problem: Exception) -> FastAPI:
    app = FastAPI()
    add_error_handlers(app)

    @app.get("/read")
    async def read() -> None:
        raise problem

    @app.post("/write")
    async def write(_body: Body) -> None:
        raise problem

    return app


def answer(problem: Exception, method: str = "GET", path: str = "/read", **more: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app_that_raises(problem), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, **more)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("problem", "status", "type_", "code", "message"),
    [
        (Conflict("The job is over.", code="job_over"), 409, "invalid_request_error", "job_over", "The job is over."),
        (LimitReached("Wait.", code="too_many_secrets"), 429, "rate_limit_error", "too_many_secrets", "Wait."),
        (HTTPException(403, "Not you."), 403, "invalid_request_error", None, "Not you."),
        (RuntimeError(SECRET), 500, "server_error", "internal_error", FAILED),
        (KeyError(SECRET), 500, "server_error", "internal_error", FAILED),
        (LOST, 503, "server_error", "unavailable", NOT_NOW),
        (NoFreeConnection(), 503, "server_error", "unavailable", NOT_NOW),
        (TimeoutError(), 503, "server_error", "unavailable", NOT_NOW),
        (NotSent(SECRET), 503, "server_error", "unavailable", NOT_NOW),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_route_raises_is_answered_in_one_shape(
    problem: Exception, status: int, type_: str, code: str | None, message: str
) -> None:
    told = answer(problem)
    assert told.status_code == status
    assert told.json() == {"error": {"message": message, "type": type_, "code": code, "param": None}}
    assert SECRET not in told.text
    assert "Traceback" not in told.text
    assert ("Retry-After" in told.headers) == (status in {429, 503})


@pytest.mark.parametrize(("problem", "message"), [(LOST, UNKNOWN_IF_DONE), (NotSent("x"), NOT_NOW)])
def test_who_writes_is_told_whether_it_may_be_done(problem: Exception, message: str) -> None:
    told = answer(problem, "POST", "/write", json={"seconds": 1})
    assert (told.status_code, told.json()["error"]["message"]) == (503, message)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "param"),
    [
        ("GET", "/nowhere", None, 404, None, None),
        ("DELETE", "/read", None, 405, None, None),
        ("POST", "/write", b'{"seconds": "x"}', 400, "invalid_value", "seconds"),
        ("POST", "/write", b"{", 400, "invalid_value", "body"),
    ],
)
def test_what_fastapi_refuses_is_answered_in_the_same_shape(
    method: str, path: str, body: bytes | None, status: int, code: str | None, param: str | None
) -> None:
    told = answer(RuntimeError(), method, path, content=body, headers={"Content-Type": "application/json"})
    assert told.status_code == status
    error = told.json()["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert error["message"]
