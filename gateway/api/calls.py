"""Calls by WebRTC: `POST /v1/realtime/calls`, as browsers place them at OpenAI's own API.

The body is the browser's SDP offer, as `application/sdp`, or as the part `sdp` of `multipart/form-data`. A part
`session` may name the agent by its `model`; the server decides all else, so every other field is left out, and the
header `Ringback-Left-Out` of the answer lists it. The answer is the provider's SDP, with our session in `Location`.
Voice then goes between the browser and the provider, and the gateway is beside the call (`gateway.calls`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Any

import psycopg
from fastapi import APIRouter, Request, Response

from gateway.api.dependencies import REFUSALS, Gateway, TheGateway
from gateway.api.error_handlers import ErrorAnswer, answer_to
from gateway.api.realtime import agent_for, beginning, identify, refuse_other_sessions
from gateway.auth.authenticator import Principal
from gateway.calls.desk import AttachLost, CallDesk, OpenedCall
from gateway.close_codes import PERMANENT
from gateway.errors import (
    ApiError,
    BadGateway,
    BadRequest,
    ContentTooLarge,
    NotFound,
    Unavailable,
    UnsupportedMedia,
)
from gateway.upstream.call_endpoints import CallRefused
from ringback.telemetry import metrics
from ringback.transport import Transport

log = logging.getLogger(__name__)

CALLS_AT = ("/v1/realtime/calls", "/openai/v1/realtime/calls")
"""As OpenAI's SDKs ask for it, and as Azure's do."""
MAX_SDP_BYTES = 32 * 1_024
"""Of an offer: a browser's with one microphone and many codecs is 6 KB."""
MAX_LEFT_OUT = 20
"""Names that the answer lists."""
MAX_PARTS = 8
MAX_HEAD_BYTES = 1_024
"""Of one part: its name, and its type."""
BOUNDARY = re.compile(r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))\s*(?:;|$)', re.IGNORECASE)
NAME = re.compile(rb'(?im)^content-disposition:[ \t]*form-data[ \t]*;[^\r\n]*?\bname="?([A-Za-z0-9_.-]{1,64})"?')
SDP, FORM = "application/sdp", "multipart/form-data"
TYPES = f"Send the offer as {SDP}, or as the part `sdp` of {FORM}."
PARTS = "Send the parts `sdp` and, if you like, `session`."
NOT_AN_OFFER = "The body is no SDP offer: send `RTCPeerConnection.localDescription.sdp` as it is."
NO_CALLS = "This gateway places no calls: its provider takes WebSockets only."
REFUSED_OFFER = "The Realtime API refused the offer. Make it with an audio track and a data channel, and send it whole."
REFUSED = "The Realtime API refused the call. The gateway's log says why."
NOT_NOW = "The Realtime API takes no call right now. Try again in a moment."
PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "authorization, content-type",
    "Access-Control-Max-Age": "600",
}

ANSWERS: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    201: {"description": "The call is placed: an SDP answer", "content": {SDP: {}}},
    502: {"model": ErrorAnswer, "description": "The Realtime API refused the call"},
}
router = APIRouter(tags=["realtime"])


@router.options(CALLS_AT[0], include_in_schema=False)
@router.options(CALLS_AT[1], include_in_schema=False)
async def preflight(request: Request) -> Response:
    """Tell a browser that a page of `RINGBACK_ORIGINS` may ask; the request filter has refused every other."""
    return Response(status_code=204, headers={**_for_page(request), **PREFLIGHT})


@router.post(CALLS_AT[1], include_in_schema=False)
@router.post(CALLS_AT[0], status_code=201, response_class=Response, responses=ANSWERS)
async def create_call(request: Request, gateway: TheGateway) -> Response:
    """Place a browser's call: the body is its SDP offer, the answer the SDP answer of the Realtime API.

    Query: `agent` (a file in agents/), or `model` (an agent's name, or ignored), as for the WebSocket.
    """
    try:
        answer = await _place(request, gateway)
    except Exception as problem:
        answer = answer_to(problem, writes=True)
        metrics.REFUSALS.inc(str(problem.code) if isinstance(problem, ApiError) else str(answer.status_code))
        if answer.status_code == 500:
            log.exception("call not placed; the client is answered with 500")
    answer.headers.update(_for_page(request))
    return answer


async def _place(request: Request, gateway: Gateway) -> Response:
    principal, resume_token = await identify(request, gateway)
    if gateway.desk is None:
        raise NotFound(NO_CALLS)
    if resume_token is not None:
        raise BadRequest("A call cannot be resumed: it outlives gateways by itself. Leave the resume token out.")
    refuse_other_sessions(request.query_params)
    offer, wishes = _read(request.headers.get("content-type", ""), await request.body())
    opened = await _open(request, gateway, gateway.desk, principal, wishes)
    checking = asyncio.create_task(gateway.authenticator.is_still_good(principal))  # meanwhile: the row exists by now
    try:
        answer = await gateway.desk.place(opened, offer)
    except CallRefused as problem:
        await gateway.authenticator.give_back(principal)
        log.warning("call refused by the Realtime API: session %s (%s)", opened.state.session_id, problem)
        raise _told(problem) from None
    except (AttachLost, psycopg.Error, OSError):
        raise Unavailable("The call cannot be recorded right now. Try again.") from None
    finally:
        is_still_good = await checking
    if not is_still_good:
        opened.state.handle.terminate("revoked")
        await gateway.authenticator.forget(opened.state.session_id)
    headers = {"Location": f"{CALLS_AT[0]}/{opened.state.session_id}"}
    if left_out := _left_out(wishes):
        headers["Ringback-Left-Out"] = ", ".join(left_out)
    return Response(answer, 201, headers, SDP)


async def _open(
    request: Request, gateway: Gateway, desk: CallDesk, principal: Principal, wishes: dict[str, Any]
) -> OpenedCall:
    named = {"model": wishes["model"]} if isinstance(wishes.get("model"), str) else {}
    agent = agent_for({**named, **request.query_params}, gateway.admission, principal)
    return await beginning(desk.open(principal, agent, Transport.WEBRTC))


def _read(content_type: str, body: bytes) -> tuple[str, dict[str, Any]]:
    """Return the offer, and the fields of the part `session`; raise ApiError."""
    kind = content_type.partition(";")[0].strip().lower()
    wishes: dict[str, Any] = {}
    if kind == FORM:
        try:
            parts = read_form(content_type, body)
        except ValueError as problem:
            raise BadRequest(f"The form cannot be read: {problem}. {PARTS}") from None
        body = parts.get("sdp", b"")
        wishes = _session(parts.get("session", b"{}"))
    elif kind != SDP:
        raise UnsupportedMedia(TYPES)
    if len(body) > MAX_SDP_BYTES:
        raise ContentTooLarge(f"Send an offer of at most {MAX_SDP_BYTES} bytes.", param="sdp")
    try:
        offer = body.decode()
    except UnicodeDecodeError:
        raise BadRequest(NOT_AN_OFFER, param="sdp") from None
    if not offer.startswith("v=") or "\0" in offer or "m=audio" not in offer:
        raise BadRequest(NOT_AN_OFFER, param="sdp")
    return offer, wishes


def read_form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the parts of a form by their names; of two that are alike the last.

    What a part's own type says is not followed, so the time grows with the length alone. Python's `email` follows parts
    within parts: a form of 36 KB that nests them holds the event loop for seconds.

    Args:
        content_type: the request's, which names the boundary.

    Raises:
        ValueError: it is no form, or has too many parts; one clause says why.
    """
    boundary = BOUNDARY.search(content_type)
    if boundary is None:
        raise ValueError("its type names no boundary")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode("latin-1", "replace")
    before, *parts = (b"\r\n" + body).split(delimiter, MAX_PARTS + 1)
    if not parts or before.strip():
        raise ValueError("it does not begin with its boundary")
    named: dict[str, bytes] = {}
    for part in parts:
        if part.startswith(b"--"):
            return named
        head, separator, content = part.partition(b"\r\n\r\n")
        name = NAME.search(head) if separator and len(head) <= MAX_HEAD_BYTES else None
        if name is None:
            raise ValueError("a part has no name")
        named[name[1].decode()] = content
    raise ValueError(f"it has more than {MAX_PARTS} parts, or no end")


def _left_out(wishes: dict[str, Any]) -> list[str]:
    """Return the names of fields that decide nothing here, as far as a header can hold them."""
    names = sorted(f"session.{name}"[:100] for name in wishes if name not in ("type", "model"))
    return [name for name in names if name.isascii() and name.isprintable()][:MAX_LEFT_OUT]


def _session(text: bytes) -> dict[str, Any]:
    try:
        session = json.loads(text)
    except (ValueError, RecursionError):
        session = None
    if not isinstance(session, dict):
        raise BadRequest("The part `session` must be a JSON object.", param="session")
    if session.get("type", "realtime") != "realtime":
        raise BadRequest("session.type must be realtime: this gateway holds no other sessions.", param="session.type")
    return session


def _told(problem: CallRefused) -> ApiError:
    """Return what the caller hears of a refusal: nothing of the provider's words, which may repeat ours."""
    if problem.status in (400, 406, 415, 422):
        return BadRequest(REFUSED_OFFER, code="offer_refused", param="sdp")
    if problem.status in PERMANENT:
        return BadGateway(REFUSED)
    return Unavailable(NOT_NOW, code="upstream_unavailable")


def _for_page(request: Request) -> dict[str, str]:
    """Return the headers that let a page read the answer. Its origin is one of `RINGBACK_ORIGINS`, or the filter's."""
    origin = request.headers.get("origin")
    if origin is None:
        return {}
    exposed = {"Access-Control-Expose-Headers": "Location, Ringback-Left-Out, Retry-After"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin", **exposed}
