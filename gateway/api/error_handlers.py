"""Answers every error in one shape: what routes raise, what FastAPI refuses, and what fails."""

from __future__ import annotations

import logging

import psycopg
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from gateway.errors import ApiError, Unavailable, error_body
from gateway.storage.database import may_be_written
from ringback.history.pagination import refusal

log = logging.getLogger(__name__)

AWAY = (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError)
"""What a statement raises if Postgres does not answer, or the pool has no connection to spare."""
NOT_NOW = "That cannot be looked up right now. Try again in a moment."
UNKNOWN_IF_DONE = (
    "Postgres took it and did not answer: it may be done. Look in a moment, or ask for the same once more."
)
FAILED = "The gateway failed on this request. Its log says why."


class ErrorBody(BaseModel):
    """What was wrong: `message` for people, `code` and `param` for programs."""

    message: str
    type: str
    code: str | None
    param: str | None


class ErrorAnswer(BaseModel):
    """Every answer from 400 on."""

    error: ErrorBody


def add_error_handlers(app: FastAPI) -> None:
    """Answer each error of the app's routes in the shape of `gateway.errors.error_body`."""
    for kind in (ApiError, RequestValidationError, HTTPException, *AWAY):
        app.add_exception_handler(kind, _expected)
    app.add_exception_handler(Exception, _failed)


async def _expected(request: Request, problem: Exception) -> JSONResponse:
    return answer_to(problem, writes=request.method not in ("GET", "HEAD"))


async def _failed(_request: Request, problem: Exception) -> JSONResponse:
    """Answer a bug. Starlette raises it again behind the answer, so that uvicorn logs it with its traceback."""
    return answer_to(problem, writes=False)


def answer_to(problem: Exception, *, writes: bool) -> JSONResponse:
    """Return the answer to an error.

    Args:
        writes: the request changes rows. If Postgres may have done so without an answer, the client is told.
    """
    if isinstance(problem, AWAY):
        log.warning("request not answered: Postgres is away (%s); the client is told to retry", type(problem).__name__)
        problem = Unavailable(UNKNOWN_IF_DONE if writes and may_be_written(problem) else NOT_NOW)
    if isinstance(problem, ApiError):
        return JSONResponse(problem.body, problem.status, problem.headers)
    if isinstance(problem, RequestValidationError):
        why = refusal(problem.errors())
        return JSONResponse(error_body(400, why.code, why.message, why.param), 400)
    if isinstance(problem, HTTPException):  # Starlette's own: an unknown path, another method, a body that is too large
        code = "invalid_api_key" if problem.status_code == 401 else None
        return JSONResponse(error_body(problem.status_code, code, problem.detail), problem.status_code, problem.headers)
    return JSONResponse(error_body(500, "internal_error", FAILED), 500)
