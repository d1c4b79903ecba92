"""Pages of tools, queues and workers: who serves what, how it goes, and what operators have set for all workers."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway.api.controls import Kinds, Name, kind_of
from gateway.api.dependencies import TheGateway
from gateway.errors import BadRequest
from gateway.web.console import acts, visitors
from gateway.web.console.pages import Page, address, page
from gateway.web.console.visitors import PATH, Signed
from ringback.history import operators, serving
from ringback.history.operators import MAX_CONCURRENCY, AuditQuery, FiguresQuery
from ringback.statements import history
from ringback.statements.operators import audit, controls, figures

WINDOWS = {"15m": "15 min", "2h": "2 h", "1d": "1 d"}
"""Times that the figures reach back."""
Window = Literal["15m", "2h", "1d"]

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("/tools")
async def tools_page(visitor: Signed, gateway: TheGateway, window: Window = "15m") -> Response:
    """Show the tools that live workers serve."""
    query = FiguresQuery.model_validate({"window": window})
    rows = await gateway.store.rows(figures.live_tools_of(visitor.tenant, query.length))
    listed = operators.live_tools(row for row in rows if gateway.may_have(visitor.tenant, row.name))
    return page("tools", visitor, live="calls", listed=listed.data, windows=WINDOWS, window=window)


@router.get("/queues")
async def queues_page(visitor: Signed, gateway: TheGateway, window: Window = "15m") -> Response:
    """Show the queues, with what waits and runs in each."""
    query = FiguresQuery.model_validate({"window": window})
    rows = await gateway.store.rows(figures.live_queues(query.length)) if visitor.is_operator else []
    listed = operators.live_queues(rows)
    return page("queues", visitor, live="calls", listed=listed.data, windows=WINDOWS, window=window)


@router.get("/workers")
async def workers_page(visitor: Signed, gateway: TheGateway) -> Response:
    """Show gateways and workers, live ones first."""
    listed = serving.processes(await gateway.store.rows(history.all_processes(visitor.tenant)))
    return page("workers", visitor, live="calls", listed=listed.data)


@router.get("/audit")
async def audit_page(visitor: Signed, gateway: TheGateway, after: int | None = None) -> Response:
    """Show what operators did, newest first."""
    query = AuditQuery(after=after)
    rows = await gateway.store.rows_of(visitor.tenant, audit.page_of_acts(visitor.tenant, query))
    return page("audit", visitor, listed=operators.page_of_acts(rows, query.limit), after=after)


@router.post("/{kinds}/{name}/{act}")
async def control(
    kinds: Kinds,
    name: Name,
    act: Literal["pause", "resume", "limit"],
    request: Request,
    visitor: Signed,
    gateway: TheGateway,
) -> Response:
    """Pause, resume or limit a queue or a tool for all workers."""
    fields = await visitors.fields_of(request, visitors.actor(visitor))
    kind = await kind_of(gateway, visitor.tenant, kinds, name)
    who = acts.operator_of(visitor, fields)
    statement: Any = {"pause": controls.pause, "resume": controls.resume}.get(act)
    changed = controls.limit(who, kind, name, _number(fields)) if statement is None else statement(who, kind, name)
    await gateway.store.rows(changed)
    return RedirectResponse(address(f"/{kinds}"), 303)


def _number(fields: dict[str, str]) -> int | None:
    """Return the limit that a form gives; None if it is empty, which removes the limit."""
    text = fields.get("concurrency", "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_CONCURRENCY):
        raise BadRequest(f"A limit is a whole number from 1 to {MAX_CONCURRENCY}, or empty.", param="concurrency")
    return int(text)
