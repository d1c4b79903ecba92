"""The ways in: `WebSocket /v1/realtime`, and the two questions that orchestrators ask. No logic."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request, Response, WebSocket
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from gateway.api.scopes import RETRY_SECONDS, authenticated
from gateway.auth import resume_tokens
from gateway.auth.authenticator import REALTIME, SUBPROTOCOL, AuthenticationError, Authenticator, Principal
from gateway.auth.request_filter import refusal
from gateway.budgets.budgets import QuotaExceeded
from gateway.server.uvicorn_protocols import SOCKETS_AT
from gateway.session.admission import SessionAdmission
from gateway.session.client_connection import ClientConnection
from gateway.session.context import SessionState
from ringback.agents.client_policy import EXTRAS

log = logging.getLogger(__name__)

router = APIRouter()

NOTHING_TO_RESUME = (
    "There is no session to resume with this token: it is unknown, was used, has expired, or is another user's. "
    "Connect without it to begin a new session."
)
NO_UPGRADE = (
    "This address takes WebSockets, and the request asked for none (no header `Upgrade: websocket`). If the client did "
    "ask, a proxy in between dropped it: let it pass `Upgrade` and `Connection` on, with HTTP/1.1 (in nginx: "
    "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade)."
)
CONVERSATION = "conversation"
"""The one `intent` that there is here; who names none means it."""
NOT_FOR_TALKING = "This token lacks the scope 'realtime': it is for no conversation."


@router.get("/healthz", tags=["operation"])
async def healthz() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", tags=["operation"], responses={503: {"description": "Not now; the body says why."}})
async def readyz(request: Request, response: Response) -> dict[str, str]:
    """This process can take a session: Postgres is heard of, and there is room."""
    admission: SessionAdmission = request.app.state.admission
    reason = admission.why_not()
    if reason is not None:
        response.status_code = 503
    return {"status": reason or "ready"}


@router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
async def openapi(request: Request) -> dict[str, Any]:
    """What there is to ask over HTTP; for whoever may ask anything at all."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get(SOCKETS_AT[0], include_in_schema=False)
@router.get(SOCKETS_AT[1], include_in_schema=False)
@router.get(SOCKETS_AT[2], include_in_schema=False)
async def realtime_without_upgrade() -> JSONResponse:
    """Answer 426 to a request that asks for no WebSocket, as one does whose proxy has dropped the header `Upgrade`."""
    return refusal(426, "upgrade_required", NO_UPGRADE, headers={"Upgrade": "websocket", "Connection": "Upgrade"})


@router.websocket(SOCKETS_AT[0])
@router.websocket(SOCKETS_AT[1])
@router.websocket(SOCKETS_AT[2])
async def realtime(socket: WebSocket) -> None:
    """The Realtime API, minus the key, plus your tools.

    Query: `agent` (a file in agents/), `model` (as the SDKs send it, or `deployment`, as Azure's do; an agent's name,
    or ignored), `ringback` (`jobs` adds `ringback.job` events, `resume` makes the session resumable; with a comma,
    both).
    Header `Ringback-Resume`, or a subprotocol `ringback-resume.<token>`: the session to come back to.
    400, 401, 403, 404 and 503 come before the upgrade, as HTTP.
    """
    admission: SessionAdmission = socket.app.state.admission
    authenticator: Authenticator = socket.app.state.authenticator
    offered = socket.scope.get("subprotocols", [])
    token = resume_tokens.presented(socket.headers.get(resume_tokens.HEADER), offered)
    resume_hash = None if token is None else resume_tokens.digest(token)
    try:
        api_key = socket.headers.get("api-key")
        principal = await authenticator.identify(socket.headers.get("authorization"), offered, resume_hash, api_key)
    except AuthenticationError as nobody:
        return await _refuse(socket, nobody.status, nobody.code, str(nobody))
    if REALTIME not in principal.scopes:
        return await _refuse(socket, 403, "insufficient_scope", NOT_FOR_TALKING)
    reason = admission.why_not()
    if reason is not None:
        return await _refuse(socket, 503, "unavailable", f"No session can begin right now: {reason}.")
    not_here = _asks_for_what_is_not_here(socket.query_params)
    if not_here is not None:
        return await _refuse(socket, 400, "invalid_value", not_here)
    wants = frozenset(socket.query_params.get("ringback", "").split(","))
    unknown = sorted(wants - EXTRAS - {""})
    if unknown:
        known = ", ".join(sorted(EXTRAS))
        return await _refuse(socket, 400, "invalid_value", f"ringback={unknown[0]}: there are {known}.")
    begin = _new(socket, admission, principal, wants) if token is None else _resumed(socket, principal, token, wants)
    try:
        start = await begin
    except UpgradeRefused as refused:
        return await _refuse(socket, refused.status, refused.code, str(refused), refused.retry_after)
    if not await authenticator.is_still_good(principal):
        start.handle.terminate("revoked")
        await authenticator.forget(start.session_id)
    return await admission.run(ClientConnection(socket), start, SUBPROTOCOL if SUBPROTOCOL in offered else None)


def _asks_for_what_is_not_here(query: Mapping[str, str]) -> str | None:
    """The sentence for a client that asks for another kind of session than a conversation of its own."""
    if query.get("intent", CONVERSATION) != CONVERSATION:
        return (
            f"intent={query['intent'][:32]}: this gateway holds conversations and no other sessions; leave intent out."
        )
    if "call_id" in query:
        return "call_id: a call is joined at the Realtime API itself, and not here; leave call_id out."
    return None


class UpgradeRefused(Exception):
    """No session begins; told before the upgrade, as HTTP."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


async def _new(
    socket: WebSocket, admission: SessionAdmission, principal: Principal, wants: frozenset[str]
) -> SessionState:
    authenticator: Authenticator = socket.app.state.authenticator
    named = socket.query_params.get("agent", principal.agent)
    model = socket.query_params.get("model", socket.query_params.get("deployment"))
    agent = admission.agent_for(named, model)
    if agent is None or not agent.serves(principal.tenant) or principal.agent not in (None, agent.name):
        known = sorted(each.name for each in admission.agents.values() if each.serves(principal.tenant))
        theirs = ", ".join(known) if principal.agent is None else principal.agent
        raise UpgradeRefused(404, "agent_not_found", f"There is no such agent. The agents are: {theirs}.")
    await _spend(socket, principal)
    try:
        start = await admission.begin(principal, agent, wants)
    except (SQLAlchemyError, OSError):
        raise UpgradeRefused(503, "unavailable", "The session cannot be recorded right now. Try again.") from None
    if isinstance(start, QuotaExceeded):
        await authenticator.give_back(principal)
        raise UpgradeRefused(start.status, start.code, start.message, start.retry_after)
    return start


async def _spend(socket: WebSocket, principal: Principal) -> None:
    """The last thing before a session begins, or is taken over: whoever is refused before keeps their secret."""
    authenticator: Authenticator = socket.app.state.authenticator
    try:
        await authenticator.spend(principal)
    except AuthenticationError as nobody:
        raise UpgradeRefused(nobody.status, nobody.code, str(nobody)) from None


async def _resumed(socket: WebSocket, principal: Principal, token: str, wants: frozenset[str]) -> SessionState:
    admission: SessionAdmission = socket.app.state.admission
    await _spend(socket, principal)
    try:
        start = await admission.resume(principal, token, wants)
    except (SQLAlchemyError, OSError):
        raise UpgradeRefused(503, "unavailable", "The session cannot be looked up right now. Try again.") from None
    if start is None:
        authenticator: Authenticator = socket.app.state.authenticator
        await authenticator.give_back(principal)
        log.warning("a resume token of user %s is good for nothing: unknown, used or expired", principal.user)
        raise UpgradeRefused(404, "session_not_found", NOTHING_TO_RESUME)
    return start


async def _refuse(socket: WebSocket, status: int, code: str, message: str, retry_after: int | None = None) -> None:
    """Before the upgrade, as HTTP."""
    if status == 503:
        retry_after = RETRY_SECONDS
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    await socket.send_denial_response(refusal(status, code, message, headers=headers))
