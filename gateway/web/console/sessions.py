"""Pages of talks: the list, and one talk with its timeline, its transcript and its waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from gateway.api.dependencies import Gateway, TheGateway
from gateway.api.history import named, only
from gateway.api.recordings import UntilMs, file_of, outline_of
from gateway.auth.authenticator import RECORDINGS
from gateway.errors import BadRequest, PermissionDenied
from gateway.web.console.acts import operator_of
from gateway.web.console.pages import Page, page
from gateway.web.console.story import LANES, story
from gateway.web.console.timeline import VOICE, layout, outlines
from gateway.web.console.visitors import PATH, Signed, Visitor
from ringback import operator_view
from ringback.history import documents
from ringback.history.documents import ListedJob
from ringback.history.pagination import MAX_LIMIT, JobQuery, SessionQuery, refusal
from ringback.recordings.waveform import POINTS
from ringback.statements import history as statements
from ringback.statements import recordings, usage
from ringback.usage.budgets import MICROS

CLOSEST = 4
"""A waveform has no more points from this zoom on: it is drawn with each page."""
ZOOMS = (1, 2, 4, 8, 16, 32)
"""How many times wider than the page a timeline may be."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("/sessions")
async def sessions_page(
    visitor: Signed, gateway: TheGateway, state: str = "", agent: str = "", user: str = "", after: str = ""
) -> Response:
    """Show the talks that fit, newest first."""
    given = {name: text for name, text in {"agent": agent, "user": user, "after": after}.items() if text}
    query = _query(state=[state] if state else [], **given)
    rows = await gateway.store.rows_of(visitor.tenant, statements.page_of_sessions(visitor.tenant, query))
    listed = documents.page_of_sessions(rows, query.limit)
    filters = {"state": state, "agent": agent, "user": user}
    return page("sessions", visitor, live="" if after else "calls", listed=listed, after=after, filters=filters)


def _query(**given: Any) -> SessionQuery:
    """Return the query; raise BadRequest with its sentence."""
    try:
        return SessionQuery(**given)
    except ValidationError as problem:
        why = refusal([dict(each) for each in problem.errors()])
        raise BadRequest(why.message, param=why.param) from None


@router.get("/sessions/{id}")
async def session_page(
    id: str,  # noqa: A002 - the address's name of it
    visitor: Signed,
    gateway: TheGateway,
    zoom: Annotated[int, Query(ge=1, le=ZOOMS[-1])] = 1,
) -> Response:
    """Show one talk."""
    asked = statements.sessions_with_counts(visitor.tenant, named("session", id))
    row = only("session", id, await gateway.store.rows_of(visitor.tenant, asked))
    moments = await gateway.store.rows_of(visitor.tenant, statements.moments_of(visitor.tenant, row.id))
    query = JobQuery(session=row.id, limit=MAX_LIMIT)
    jobs = documents.page_of_jobs(
        await gateway.store.rows_of(visitor.tenant, statements.page_of_jobs(visitor.tenant, query)), query.limit
    )
    told = documents.session_timeline(row, moments, jobs)
    talk, lines = await _transcript(gateway, visitor, row, jobs)
    shown = _drawn(told, jobs.data, lines, zoom)
    (cost,) = await gateway.store.rows(usage.of_session(visitor.tenant, row.id))
    live = "" if talk.state == "ended" else "talk"
    shown |= await _voices(gateway, visitor, row.id, shown["length_ms"], zoom)
    spent = {"tokens": cost.tokens, "cost": cost.micros / MICROS}
    return page(
        "session",
        visitor,
        here="/sessions",
        live=live,
        talk=talk,
        lines=lines,
        jobs=jobs,
        VOICE=VOICE,
        **spent,
        **shown,
    )


@router.get("/sessions/{id}/recording.wav")
async def recording_file(
    id: str,  # noqa: A002 - the address's name of it
    request: Request,
    visitor: Signed,
    gateway: TheGateway,
    until_ms: UntilMs = None,
) -> Response:
    """Return both voices of a talk, for the page's player; the audit log says who listened."""
    if not visitor.may_listen:
        raise PermissionDenied(f"Listening needs the scope {RECORDINGS!r}, which the token of your sign-in lacks.")
    return await file_of(gateway, operator_of(visitor, {}), id, request.headers.get("range"), until_ms)


async def _voices(gateway: Gateway, visitor: Visitor, session_id: UUID, length_ms: float, zoom: int) -> dict[str, Any]:
    """Return what is shown of a talk's recording: None where there is none, and no outline without the scope."""
    (whole,) = await gateway.store.rows_of(visitor.tenant, recordings.extent(visitor.tenant, session_id))
    if not whole.rate or not visitor.may_listen:
        return {"recorded_ms": whole.ms, "voices": None}
    points = POINTS * min(zoom, CLOSEST)
    found = await outline_of(gateway, visitor.tenant, session_id, points)
    return {"recorded_ms": whole.ms, "voices": found and outlines(found, length_ms)}


async def _transcript(gateway: Gateway, visitor: Visitor, row: Any, jobs: Any) -> tuple[Any, list[Any]]:
    """Return the talk, and the lines of its transcript; none for a visitor who may not read them."""
    if not visitor.may_read_words:
        return documents.session(row, jobs), []
    said = await gateway.store.rows(statements.messages_of(row.id))
    called = await gateway.store.rows(statements.calls_of(row.id))
    talk = operator_view.session(row, jobs, said, called)
    return talk, talk.transcript


def _drawn(told: documents.SessionTimeline, jobs: list[ListedJob], lines: list[Any], zoom: int) -> dict[str, Any]:
    is_live = told.ended_at is None
    what = story(told.created_at, told.moments, jobs, lines)
    until = datetime.now(UTC) if is_live else told.ended_at
    length = ((until or told.created_at) - told.created_at).total_seconds() * 1_000
    after = [span.end or span.start for span in what.spans] + [mark.at for mark in what.marks]
    length = max([length, *after])
    picture = layout(LANES, what.spans, what.marks, length, zoom=zoom, is_live=is_live)
    return {"picture": picture, "waits": what.waits, "length_ms": length, "zoom": zoom, "zooms": ZOOMS}
