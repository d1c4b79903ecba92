"""Recordings over HTTP: both voices of a session as a WAV file, and as numbers to be drawn.

Both need the scope `recordings`. Who asks for the file stands in the audit log before its first byte is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from starlette.responses import StreamingResponse

from gateway.api.dependencies import REFUSALS, Gateway, Listener, TheGateway
from gateway.api.history import named, only
from gateway.api.job_control import operator
from gateway.errors import NotFound
from ringback.recordings import wav
from ringback.recordings.audio import RECORDED_MS_AT_MOST
from ringback.recordings.wav import HEADER_BYTES, Sound
from ringback.recordings.waveform import MAX_POINTS, POINTS, Waveform, waveform
from ringback.statements import history as statements
from ringback.statements import recordings
from ringback.statements.operators.audit import Operator

NO_RECORDING = "This session has no recording: its agent has none made, nothing was said, or it was deleted."
UntilMs = Annotated[int | None, Query(ge=1, le=RECORDED_MS_AT_MOST)]
"""Where it is to end: a live session's recording grows, and a player expects one length."""

router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["history"])


@router.get(
    "/sessions/{id}/recording",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"audio/wav": {}}, "description": "Left the caller, right the model"},
        206: {"content": {"audio/wav": {}}, "description": "The range that was asked for"},
        416: {"description": "The range is outside of the file"},
    },
)
async def get_recording(
    id: str,  # noqa: A002 - the API's name of it
    request: Request,
    who: Listener,
    gateway: TheGateway,
    until_ms: UntilMs = None,
) -> Response:
    """Return both voices of a session as a WAV file, as the caller heard them; one `Range` of it if that is asked for.

    The audit log says who listened.
    """
    listener = operator(who, None)
    return await file_of(gateway, listener, id, request.headers.get("range"), until_ms)


@router.get("/sessions/{id}/recording/waveform")
async def get_waveform(
    id: str,  # noqa: A002 - the API's name of it
    who: Listener,
    gateway: TheGateway,
    points: Annotated[int, Query(ge=1, le=MAX_POINTS)] = POINTS,
) -> Waveform:
    """Return how loud both voices are, in so many points from the beginning to the end of the recording."""
    session_id = await _session(gateway, who.tenant, id)
    found = await outline_of(gateway, who.tenant, session_id, points)
    if found is None:
        raise NotFound(NO_RECORDING, param="id")
    return found


async def outline_of(gateway: Gateway, tenant: str, session_id: UUID, points: int) -> Waveform | None:
    """Return the waveform of a session; None if it has no recording."""
    pieces = await gateway.store.rows_of(tenant, recordings.outline(tenant, session_id))
    length = max((piece.from_ms + piece.ms for piece in pieces), default=0)
    return waveform(str(session_id), pieces, length, points) if pieces else None


async def file_of(
    gateway: Gateway, listener: Operator, given: str, asked: str | None, until_ms: int | None
) -> Response:
    """Return a recording as a WAV file, or the range of it that `asked` names, and note who listens.

    Raises:
        NotFound: there is no such session, or it has no recording.
    """
    tenant = listener.tenant
    session_id = await _session(gateway, tenant, given)
    (whole,) = await gateway.store.rows_of(tenant, recordings.extent(tenant, session_id))
    if not whole.rate:
        raise NotFound(NO_RECORDING, param="id")
    sound = Sound(whole.rate, min(whole.ms, until_ms or whole.ms))
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "no-store",
        "content-disposition": f'inline; filename="{session_id}.wav"',
    }
    found = wav.asked_range(sound.size, asked)
    if found is None:
        return Response(status_code=416, headers={**headers, "content-range": f"bytes */{sound.size}"})
    await gateway.store.count(recordings.note_listener(listener, session_id))
    begin, end = found
    headers["content-length"] = str(end - begin)
    if (begin, end) != (0, sound.size):
        headers["content-range"] = f"bytes {begin}-{end - 1}/{sound.size}"
    status = 206 if "content-range" in headers else 200
    parts = _parts(gateway, tenant, session_id, sound, begin, end)
    return StreamingResponse(parts, status, headers, media_type="audio/wav")


async def _parts(
    gateway: Gateway, tenant: str, session_id: UUID, sound: Sound, begin: int, end: int
) -> AsyncIterator[bytes]:
    """Yield these bytes of the file. No more than a block of it is in memory, however slowly it is read."""
    if begin < HEADER_BYTES:
        yield wav.header(sound)[begin:end]
    for block in wav.blocks(sound, begin, end):
        asked = recordings.pieces_between(tenant, session_id, *block.times(sound.rate))
        yield wav.made(sound, block, await gateway.store.rows_of(tenant, asked))


async def _session(gateway: Gateway, tenant: str, given: str) -> UUID:
    asked = statements.sessions_with_counts(tenant, named("session", given))
    row: Any = only("session", given, await gateway.store.rows_of(tenant, asked))
    session_id: UUID = row.id
    return session_id
