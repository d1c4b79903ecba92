"""Phone calls, as their carriers bring them.

/twilio/voice      Twilio asks what to do with a call; `/twilio/media`: the call's audio
/webhooks/openai   the Realtime API announces a call over SIP, signed as Standard Webhooks are
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Annotated
from urllib.parse import parse_qsl

import psycopg
from fastapi import APIRouter, Depends, Request, Response, WebSocket
from starlette.websockets import WebSocketDisconnect

from gateway.api import NO_UPGRADE, TWILIO_STREAM_AT, TWILIO_VOICE_AT
from gateway.api.after_route import run_after_route
from gateway.api.dependencies import TheGateway
from gateway.api.error_handlers import answer_to
from gateway.bounded_semaphore import Overloaded
from gateway.errors import (
    ApiError,
    AuthenticationError,
    BadRequest,
    NotFound,
    PermissionDenied,
    Unavailable,
    UpgradeRequired,
)
from gateway.session.context import SessionState
from gateway.telephony.sip import call_in
from gateway.telephony.twilio.admission import TwilioAdmission
from gateway.telephony.twilio.connection import TwilioConnection
from gateway.telephony.twilio.signature import HEADER
from gateway.telephony.twilio.stream import Start, StreamBroken, TwilioStream, read
from gateway.webhook_signing import refusal
from ringback.telemetry import metrics

log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

START_SECONDS = 5.0
"""Until a stream has said which call it is: Twilio says so in its first two frames."""
FIRST_FRAMES = 4
NOT_TWILIOS = "X-Twilio-Signature does not fit this request. Check TWILIO_AUTH_TOKEN and RINGBACK_PUBLIC_URL."
NO_WEBHOOKS = "This gateway takes no webhooks of OpenAI's: OPENAI_WEBHOOK_SECRET is not set."
NOT_SIGNED = "This is no webhook that was signed with OPENAI_WEBHOOK_SECRET, within the last five minutes."
NOT_HERE = "This gateway takes no calls from Twilio: TWILIO_AUTH_TOKEN and RINGBACK_PUBLIC_URL are not set."
REFUSED = 1008
"""Close code of a stream that may not begin (RFC 6455: policy)."""
TOO_MANY = "Too many streams are about to begin. Try again in a moment."
TROUBLE = (ApiError, StreamBroken, TimeoutError, WebSocketDisconnect, RuntimeError, psycopg.Error, OSError)
"""Why a stream does not begin: its token, its frames, its silence, its end, or Postgres."""


async def twilio_of(gateway: TheGateway) -> TwilioAdmission:
    """Return the admission of Twilio's calls; raise NotFound if it is not set up."""
    if gateway.twilio is None:
        raise NotFound(NOT_HERE)
    return gateway.twilio


Twilio = Annotated[TwilioAdmission, Depends(twilio_of)]


@router.get(TWILIO_VOICE_AT)
@router.post(TWILIO_VOICE_AT)
async def voice(request: Request, twilio: Twilio) -> Response:
    """Tell Twilio what to do with a call, as TwiML. 403: the request is not Twilio's."""
    query = request.url.query
    form = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
    if not twilio.account.has_signed(request.headers.get(HEADER, ""), TWILIO_VOICE_AT, query, form):
        log.warning("twilio signature wrong: a request to %s was refused with 403", TWILIO_VOICE_AT)
        raise PermissionDenied(NOT_TWILIOS, code="wrong_signature")
    asked = dict(parse_qsl(query))
    twiml = await twilio.answer({**asked, **dict(form)}, is_again="again" in asked)
    return Response(twiml, media_type="application/xml")


@router.get(TWILIO_STREAM_AT, dependencies=[Depends(twilio_of)])
async def media_without_upgrade() -> None:
    """Answer 426, as for a session's WebSocket. The log says so, too: Twilio tells its user a number alone."""
    log.warning("twilio stream refused: the request to %s asked for no WebSocket", TWILIO_STREAM_AT)
    raise UpgradeRequired(NO_UPGRADE)


@router.websocket(TWILIO_STREAM_AT)
async def media(socket: WebSocket, gateway: TheGateway) -> None:
    """Take a call's audio, from its first frame until one side hangs up."""
    twilio = gateway.twilio
    if twilio is None:
        return await socket.send_denial_response(answer_to(NotFound(NOT_HERE), writes=False))
    try:
        async with twilio.unknown:
            begun = await _begin(socket, twilio)
    except Overloaded:
        metrics.REFUSALS.inc("unavailable")
        return await socket.send_denial_response(answer_to(Unavailable(TOO_MANY), writes=False))
    if begun is not None:
        stream, state = begun
        run_after_route(socket, lambda _: gateway.admission.run(stream, state, None))
    return None


@router.post("/webhooks/openai")
async def announced(request: Request, gateway: TheGateway) -> Response:
    """Take one webhook; 200 says that it is recorded, or was before. 401: it is not signed, or too old.

    Events other than `realtime.call.incoming` are taken and ignored.
    """
    sip = gateway.sip
    if sip is None:
        raise NotFound(NO_WEBHOOKS)
    body, headers = await request.body(), {name.lower(): value for name, value in request.headers.items()}
    why = refusal(gateway.webhook_keys, headers, body, time.time())
    if why is not None:
        log.warning("webhook refused: %s; it is answered with 401", why)
        raise AuthenticationError(NOT_SIGNED, code=why)
    try:
        call = call_in(body)
    except ValueError as problem:
        raise BadRequest(f"The webhook's body is no event that announces a call: {problem}") from None
    if call is not None and not await sip.receive(headers["webhook-id"], call):
        log.info("webhook came again: %s; it is ignored", call.call_id)
    return Response(status_code=200)


async def _begin(socket: WebSocket, twilio: TwilioAdmission) -> tuple[TwilioConnection, SessionState] | None:
    """Hear which call it is, and begin its session. Return None if that cannot be, with the stream closed."""
    try:
        await socket.accept()
        async with asyncio.timeout(START_SECONDS):
            start = await _start_of(socket)
        state = await twilio.begin(start)
    except TROUBLE as problem:
        code = str(problem.code) if isinstance(problem, ApiError) else "invalid_stream"
        metrics.REFUSALS.inc(code)
        log.warning("twilio stream refused: %s (%s); it is closed", code, type(problem).__name__)
        with suppress(WebSocketDisconnect, RuntimeError, OSError):
            await socket.close(REFUSED, code)
        return None
    greets = state.agent.phone is not None and state.agent.phone.greets and not state.is_resumed
    return TwilioConnection(socket, TwilioStream(start.stream_sid, greets=greets)), state


async def _start_of(socket: WebSocket) -> Start:
    """Return which call the stream is; raise StreamBroken if its first frames do not say so."""
    for _ in range(FIRST_FRAMES):
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise StreamBroken("it ended before it began")
        frame = read(message.get("text") or message.get("bytes") or b"")
        if frame.event == "start" and frame.start is not None:
            return frame.start
    raise StreamBroken("its first frames name no call")
