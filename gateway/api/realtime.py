"""The WebSocket `/v1/realtime`, and the description of the HTTP API."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import psycopg
from fastapi import APIRouter, Depends, Request, WebSocket
from starlette.requests import HTTPConnection

from gateway.api import NO_UPGRADE, SOCKETS_AT
from gateway.api.after_route import run_after_route
from gateway.api.dependencies import Gateway, TheGateway, authenticated
from gateway.api.error_handlers import answer_to
from gateway.auth import resume_tokens, tokens
from gateway.auth.authenticator import REALTIME, SUBPROTOCOL, Principal
from gateway.errors import ApiError, BadRequest, NotFound, PermissionDenied, Unavailable, UpgradeRequired
from gateway.session.admission import SessionAdmission
from gateway.session.client_connection import ClientConnection
from gateway.session.context import SessionState
from ringback.agents.agent import Agent
from ringback.agents.client_policy import EXTENSIONS
from ringback.telemetry import metrics
from ringback.transport import Transport

log = logging.getLogger(__name__)

Begun = TypeVar("Begun")

router = APIRouter()

NOTHING_TO_RESUME = (
    "There is no session to resume with this token: it is unknown, was used, has expired, or is another user's. "
    "Connect without it to begin a new session."
)
CONVERSATION = "conversation"
"""The only `intent` served here, and the default."""
NOT_FOR_TALKING = "This token lacks the scope 'realtime': it cannot open a session."


@router.get("/openapi.json", include_in_schema=False, dependencies=[Depends(authenticated)])
async def openapi(request: Request) -> dict[str, Any]:
    """Describe the HTTP API, for callers with any valid token."""
    described: dict[str, Any] = request.app.openapi()
    return described


@router.get(SOCKETS_AT[0], include_in_schema=False)
@router.get(SOCKETS_AT[1], include_in_schema=False)
@router.get(SOCKETS_AT[2], include_in_schema=False)
async def realtime_without_upgrade(request: Request, gateway: TheGateway) -> None:
    """Answer 426 to a request that asks for no WebSocket, as one does whose proxy has dropped the header `Upgrade`.

    If the request has a token with which no session could begin, the answer is why. A browser does not tell a page why
    an upgrade was refused: the page asks here.
    """
    if "authorization" in request.headers:
        principal, resume_token = await identify(request, gateway)
        if resume_token is None:
            agent = agent_for(request.query_params, gateway.admission, principal)
            await gateway.admission.check_quota(principal, agent)
            raise UpgradeRequired(NO_UPGRADE)
    raise UpgradeRequired(NO_UPGRADE)


@router.get(f"{SOCKETS_AT[0]}/notice")
async def notice(request: Request, gateway: TheGateway) -> dict[str, bool | None]:
    """Say what a person must be told before a talk with this token: `recorded`, whether both voices will be.

    Query: `agent`; `transport=webrtc` for a call, which is never recorded. `recorded` is null if no talk can begin
    with the token now: `/v1/realtime` says why.
    """
    try:
        principal, _ = await identify(request, gateway)
        agent = agent_for(request.query_params, gateway.admission, principal)
        is_call = request.query_params.get("transport") == Transport.WEBRTC
        return {"recorded": (agent.for_pages() if is_call else agent).recording}
    except ApiError:
        return {"recorded": None}


@router.websocket(SOCKETS_AT[0])
@router.websocket(SOCKETS_AT[1])
@router.websocket(SOCKETS_AT[2])
async def realtime(socket: WebSocket, gateway: TheGateway) -> None:
    """The Realtime API, minus the key, plus your tools.

    Query: `agent` (a file in agents/), `model` (as the SDKs send it, or `deployment`, as Azure's do; an agent's name,
    or ignored), `ringback` (`jobs` adds `ringback.job` events, `resume` makes the session resumable; with a comma,
    both).
    Header `Ringback-Resume`, or a subprotocol `ringback-resume.<token>`: the session to come back to.
    400, 401, 403, 404 and 503 come before the upgrade, as HTTP.
    """
    offered = socket.scope.get("subprotocols", [])
    try:
        principal, start = await _admit(socket, gateway)
    except Exception as problem:
        answer = answer_to(problem, writes=True)
        metrics.REFUSALS.inc(_code_of(problem, answer.status_code))
        if answer.status_code == 500:
            log.exception("upgrade failed; the client is answered with 500")
        return await socket.send_denial_response(answer)
    if not await gateway.authenticator.is_still_good(principal):
        start.handle.terminate("revoked")
        await gateway.authenticator.forget(start.session_id)
    subprotocol, run = SUBPROTOCOL if SUBPROTOCOL in offered else None, gateway.admission.run
    run_after_route(socket, lambda its_own: run(ClientConnection(its_own), start, subprotocol))
    return None


def _code_of(problem: Exception, status: int) -> str:
    return str(problem.code) if isinstance(problem, ApiError) else str(status)


async def _admit(socket: WebSocket, gateway: Gateway) -> tuple[Principal, SessionState]:
    """Return who calls, and the session that begins or goes on; raise ApiError."""
    principal, token = await identify(socket, gateway)
    refuse_other_sessions(socket.query_params)
    wants = _extensions(socket.query_params)
    if token is None:
        return principal, await _begin(gateway, socket.query_params, principal, wants)
    return principal, await _resume(gateway, principal, token, wants)


async def identify(asking: HTTPConnection, gateway: Gateway) -> tuple[Principal, str | None]:
    """Return who calls, and the resume token if there is one; raise ApiError if no session could begin or go on."""
    offered = asking.scope.get("subprotocols", [])
    token = resume_tokens.presented(asking.headers.get(resume_tokens.HEADER), offered)
    resume_hash = None if token is None else tokens.digest(token)
    api_key = asking.headers.get("api-key")
    principal = await gateway.authenticator.identify(asking.headers.get("authorization"), offered, resume_hash, api_key)
    if REALTIME not in principal.scopes:
        raise PermissionDenied(NOT_FOR_TALKING)
    if (reason := gateway.admission.why_not()) is not None:
        raise Unavailable(f"No session can begin right now: {reason}.")
    return principal, token


def refuse_other_sessions(query: Mapping[str, str]) -> None:
    """Raise BadRequest if the client asks for another kind of session than a new conversation."""
    if query.get("intent", CONVERSATION) != CONVERSATION:
        raise BadRequest(
            f"intent={query['intent'][:32]}: this gateway holds conversations and no other sessions; leave intent out."
        )
    if "call_id" in query:
        raise BadRequest("call_id: a call is joined at the Realtime API itself, and not here; leave call_id out.")


def _extensions(query: Mapping[str, str]) -> frozenset[str]:
    """Return what the client asks for with `?ringback=`; raise BadRequest for an unknown extension."""
    wants = frozenset(query.get("ringback", "").split(","))
    unknown = sorted(wants - EXTENSIONS - {""})
    if unknown:
        raise BadRequest(f"ringback={unknown[0]}: there are {', '.join(sorted(EXTENSIONS))}.")
    return wants


async def _begin(
    gateway: Gateway, query: Mapping[str, str], principal: Principal, wants: frozenset[str]
) -> SessionState:
    """Begin a session with the agent that the query names."""
    agent = agent_for(query, gateway.admission, principal)
    return await beginning(gateway.admission.begin(principal, agent, wants))


async def beginning(begin: Awaitable[Begun]) -> Begun:
    """Await what begins a session; raise ApiError if it cannot begin."""
    try:
        return await begin
    except (psycopg.Error, OSError):
        raise Unavailable("The session cannot be recorded right now. Try again.") from None


async def _resume(gateway: Gateway, principal: Principal, token: str, wants: frozenset[str]) -> SessionState:
    """Take over the session that the token names."""
    await gateway.authenticator.spend(principal)
    try:
        start = await gateway.admission.resume(principal, token, wants)
    except (psycopg.Error, OSError):
        raise Unavailable("The session cannot be looked up right now. Try again.") from None
    if start is None:
        await gateway.authenticator.give_back(principal)
        log.warning("resume token not valid (user %s): unknown, used or expired; answered with 404", principal.user)
        raise NotFound(NOTHING_TO_RESUME, code="session_not_found")
    return start


def agent_for(query: Mapping[str, str], admission: SessionAdmission, principal: Principal) -> Agent:
    """Return the agent that the query names; raise NotFound if the caller may not have it."""
    model = query.get("model", query.get("deployment"))
    agent = admission.agent_for(query.get("agent", principal.agent), model)
    if agent is None or not agent.serves(principal.tenant) or principal.agent not in (None, agent.name):
        known = sorted(each.name for each in admission.agents.values() if each.serves(principal.tenant))
        theirs = ", ".join(known) if principal.agent is None else principal.agent
        raise NotFound(f"There is no such agent. The agents are: {theirs}.", code="agent_not_found")
    return agent
