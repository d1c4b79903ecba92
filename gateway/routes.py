"""The ways in: `WebSocket /v1/realtime`, and the two questions that orchestrators ask. No logic."""

from __future__ import annotations

import logging

from fastapi import APIRouter, HTTPException, Request, Response, WebSocket
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from gateway import resuming
from gateway.callers import SUBPROTOCOL, Caller, Callers
from gateway.client import Client
from gateway.line import Beginning
from gateway.reception import Reception

log = logging.getLogger(__name__)

router = APIRouter()

EXTRAS = frozenset({"", "approvals", "jobs", "results", "resume"})
"""What a client may ask for beyond the Realtime API."""
NOTHING_TO_RESUME = (
    "There is no session to resume with this token: it is unknown, was used, has expired, or is another user's. "
    "Connect without it to begin a new session."
)

HOW_TO_AUTHENTICATE = (
    "Send `Authorization: Bearer <token>`, or from a browser the subprotocols "
    '["realtime", "openai-insecure-api-key.<token>"].'
)


def authenticated(request: Request) -> Caller:
    """The caller of an HTTP request, or 401."""
    callers: Callers = request.app.state.callers
    caller = callers.by_headers(request.headers.get("authorization"))
    if caller is None:
        raise HTTPException(401, "This token is not known here. Send `Authorization: Bearer <token>`.")
    return caller


@router.get("/healthz", tags=["operation"])
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operation"], responses={503: {"description": "Not now; the body says why."}})
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """This process can take a session: Postgres is heard of, and there is room."""
    reception: Reception = request.app.state.reception
    reason = reception.why_not()
    if reason is not None:
        response.status_code = 503
    return {"status": reason or "ready"}


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    """The Realtime API, minus the key, plus your tools.

    Query: `agent` (a file in agents/), `model` (as the SDKs send it; an agent's name, or ignored),
    `ringback` (`jobs` adds `ringback.job` events, `resume` makes the session resumable; with a comma, both).
    Header `Ringback-Resume`, or a subprotocol `ringback-resume.<token>`: the session to come back to.
    400, 401, 404 and 503 come before the upgrade, as HTTP.
    """
    reception: Reception = socket.app.state.reception
    callers: Callers = socket.app.state.callers
    offered = socket.scope.get("subprotocols", [])
    caller = callers.by_headers(socket.headers.get("authorization"), offered)
    if caller is None:
        return await _refuse(socket, 401, "invalid_api_key", HOW_TO_AUTHENTICATE)
    reason = reception.why_not()
    if reason is not None:
        return await _refuse(socket, 503, "unavailable", f"No session can begin right now: {reason}.")
    wants = frozenset(socket.query_params.get("ringback", "").split(","))
    unknown = sorted(wants - EXTRAS)
    if unknown:
        known = ", ".join(sorted(EXTRAS - {""}))
        return await _refuse(socket, 400, "invalid_value", f"ringback={unknown[0]}: there are {known}.")
    token = resuming.presented(socket.headers.get(resuming.HEADER), offered)
    begin = _new(socket, reception, caller, wants) if token is None else _resumed(reception, caller, token, wants)
    try:
        beginning = await begin
    except Refused as refused:
        return await _refuse(socket, refused.status, refused.code, str(refused))
    return await reception.converse(Client(socket), beginning, SUBPROTOCOL if SUBPROTOCOL in offered else None)


class Refused(Exception):
    """No session begins; told before the upgrade, as HTTP."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


async def _new(socket: WebSocket, reception: Reception, caller: Caller, wants: frozenset[str]) -> Beginning:
    agent = reception.agent_for(socket.query_params.get("agent"), socket.query_params.get("model"))
    if agent is None:
        known = ", ".join(sorted(reception.agents))
        raise Refused(404, "agent_not_found", f"There is no such agent. The agents are: {known}.")
    return reception.begin(caller, agent, wants)


async def _resumed(reception: Reception, caller: Caller, token: str, wants: frozenset[str]) -> Beginning:
    try:
        beginning = await reception.resume(caller, token, wants)
    except (SQLAlchemyError, OSError):
        raise Refused(503, "unavailable", "The session cannot be looked up right now. Try again.") from None
    if beginning is None:
        log.warning("a resume token of user %s is good for nothing: unknown, used or expired", caller.user)
        raise Refused(404, "session_not_found", NOTHING_TO_RESUME)
    return beginning


async def _refuse(socket: WebSocket, status: int, code: str, message: str) -> None:
    """Before the upgrade, as HTTP."""
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {"Retry-After": "5"} if status == 503 else None
    await socket.send_denial_response(JSONResponse({"error": error}, status, headers))
