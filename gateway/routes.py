"""The ways in: `WebSocket /v1/realtime`, and the two questions that orchestrators ask. No logic."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response, WebSocket
from starlette.responses import JSONResponse

from gateway.callers import SUBPROTOCOL, Caller, Callers
from gateway.client import Client
from gateway.reception import Reception

router = APIRouter()

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
    `ringback=jobs` (adds `ringback.job` events). 401, 404 and 503 come before the upgrade, as HTTP.
    """
    reception: Reception = socket.app.state.reception
    callers: Callers = socket.app.state.callers
    offered = socket.scope.get("subprotocols", [])
    caller = callers.by_headers(socket.headers.get("authorization"), offered)
    if caller is None:
        return await _refuse(socket, 401, "invalid_api_key", HOW_TO_AUTHENTICATE)
    agent = reception.agent_for(socket.query_params.get("agent"), socket.query_params.get("model"))
    if agent is None:
        known = ", ".join(sorted(reception.agents))
        return await _refuse(socket, 404, "agent_not_found", f"There is no such agent. The agents are: {known}.")
    reason = reception.why_not()
    if reason is not None:
        return await _refuse(socket, 503, "unavailable", f"No session can begin right now: {reason}.")
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in offered else None)
    job_events = socket.query_params.get("ringback") == "jobs"
    return await reception.converse(Client(socket), caller, agent, job_events=job_events)


async def _refuse(socket: WebSocket, status: int, code: str, message: str) -> None:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    headers = {"Retry-After": "5"} if status == 503 else None
    await socket.send_denial_response(JSONResponse({"error": error}, status, headers))
