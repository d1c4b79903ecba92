"""The jobs page: what fits the search line, how many over time, suggestions, and export."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from gateway.api.dependencies import Gateway, TheGateway
from gateway.errors import BadRequest
from gateway.web.console import search_line
from gateway.web.console.chart import DEFAULT_SPAN, SPANS, Chart, chart, seconds_of_a_slot
from gateway.web.console.pages import Page, page
from gateway.web.console.search_line import LineRefused, Term
from gateway.web.console.visitors import PATH, Signed, Visitor
from ringback.history.job_search import JobSearch, leaves
from ringback.history.pagination import MAX_LIMIT, Position, cursor, cut
from ringback.statements import job_search as statements

LIMIT = 50
MOST_SUGGESTIONS = 12
EXPORTED = 100_000
"""Jobs of one export: a file that a spreadsheet opens."""
AT_ONCE = 50
"""Jobs whose arguments and results are in memory at once: 16 MB, if each is as large as it may be."""
EXPORTED_COLUMNS = ("id", "session_id", "tool", "queue", "agent", "user_id", "state", "delivery", "attempt")
EXPORTED_TIMES = ("created_at", "started_at", "finished_at")
CONTENTS = ("arguments", "result", "error")
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""How a formula begins in a spreadsheet (OWASP, CSV injection)."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("")
@router.get("/jobs")
async def jobs_page(
    visitor: Signed,
    gateway: TheGateway,
    q: str = "",
    after: str = "",
    part: Literal["rows", "all"] = "all",
) -> Response:
    """Show the jobs that fit the search line. A live update asks for the rows alone."""
    try:
        terms = search_line.terms(q)
        search = search_line.search(terms, limit=LIMIT, after=after or None)
    except LineRefused as problem:
        return _refused(visitor, q, str(problem))
    search = await narrowed(gateway, visitor.tenant, search)
    drawing = _drawn(gateway, visitor.tenant, search) if part == "all" else None
    listed, drawn = await asyncio.gather(found(gateway, visitor.tenant, search), drawing or _nothing())
    rows, following, is_partial = listed
    shown: dict[str, Any] = {
        "rows": rows,
        "exported": EXPORTED,
        "following": following,
        "is_partial": is_partial,
        "chart": drawn,
        "after": after or "",
    }
    return page("jobs", visitor, q=q, problem="", live="" if after else "calls", **_line(terms), **shown)


async def _nothing() -> None:
    return None


def _refused(visitor: Visitor, q: str, problem: str) -> Response:
    nothing: dict[str, Any] = {
        "rows": (),
        "exported": EXPORTED,
        "following": None,
        "is_partial": False,
        "chart": None,
        "after": "",
    }
    return page("jobs", visitor, status=400, q=q, problem=problem, **_line([]), **nothing)


def _line(terms: list[Term]) -> dict[str, Any]:
    chosen = next((term.value for term in terms if term.name == "since"), "24h")
    spans = [(name, search_line.with_term(terms, "since", value), value == chosen) for value, name in SPANS.items()]
    return {"chips": search_line.chips(terms), "terms": terms, "spans": spans, "with_term": search_line.with_term}


async def narrowed(gateway: Gateway, tenant: str, search: JobSearch) -> JobSearch:
    """Return the search with the sessions of its user and agent, if these are few enough to look through."""
    if search.user is None and search.agent is None:
        return search
    rows = await gateway.store.rows_of(tenant, statements.sessions_that_fit(tenant, search))
    if len(rows) > statements.OF_SESSIONS:
        return search
    return search.model_copy(update={"within": tuple(row.id for row in rows)})


async def found(gateway: Gateway, tenant: str, search: JobSearch) -> tuple[Sequence[Any], str | None, bool]:
    """Return the rows, the next page, and whether older jobs were not looked through for this one."""
    rows = await gateway.store.rows_of(tenant, statements.page(tenant, search))
    shown, following = cut(rows, search.limit)
    if following is not None or not search.is_residual:
        return shown, following, False
    for last in await gateway.store.rows_of(tenant, statements.edge(tenant, search)):
        return shown, cursor(Position(last.created_at, last.id)), True
    return shown, None, False


async def _drawn(gateway: Gateway, tenant: str, search: JobSearch) -> Chart:
    now = datetime.now(UTC)
    span = search.since if isinstance(search.since, timedelta) else None
    if isinstance(search.since, datetime):
        span = now - search.since
    span = max(span or DEFAULT_SPAN, timedelta(minutes=1))
    asked = search.model_copy(update={"after": None, "since": search.since or DEFAULT_SPAN})
    rows = await gateway.store.rows_of(tenant, statements.counts(tenant, asked, seconds_of_a_slot(span)))
    most, by_state = statements.most_counted(asked)
    return chart(rows, now=now, span=span, most=most, by_state=by_state)


@router.get("/jobs/suggest")
async def suggest(visitor: Signed, gateway: TheGateway, q: str = "") -> Response:
    """Return options that complete the search line, from the newest jobs."""
    known: Counter[Term] = Counter()
    for row in await gateway.store.rows_of(visitor.tenant, statements.examples(visitor.tenant)):
        known.update([Term("tool", row.tool), Term("queue", row.queue), Term("agent", row.agent)])
        known.update([Term("user", row.user_id)] if row.user_id else [])
        known.update(Term(f"args.{'.'.join(leaf.path)}", leaf.value) for leaf in leaves(row.arguments))
    states = [Term("state", state) for state in ("failed", "running", "pending", "timed_out", "dead", "unknown")]
    given = [Term("since", span) for span in SPANS]
    ordered = [*states, *(term for term, _ in known.most_common()), *given]
    return page("suggestions", visitor, lines=search_line.suggestions(q, ordered, MOST_SUGGESTIONS))


@router.get("/jobs/export/{kind}")
async def export(kind: Literal["csv", "jsonl"], visitor: Signed, gateway: TheGateway, q: str = "") -> Response:
    """Stream all jobs that fit, newest first, as CSV or as JSON lines."""
    try:
        search = search_line.search(search_line.terms(q), limit=MAX_LIMIT)
    except LineRefused as problem:
        raise BadRequest(str(problem), param="q") from None
    search = await narrowed(gateway, visitor.tenant, search)
    write = _csv_line if kind == "csv" else _json_line
    head = _csv_text([*EXPORTED_COLUMNS, *EXPORTED_TIMES, *CONTENTS]) if kind == "csv" else ""
    media = "text/csv; charset=utf-8" if kind == "csv" else "application/x-ndjson"
    name = f"jobs-{datetime.now(UTC):%Y%m%d-%H%M%S}.{kind}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}

    async def lines() -> AsyncIterator[str]:
        yield head
        number, following = 0, search.after
        while number < EXPORTED:
            asked = search.model_copy(update={"after": following})
            rows, following, _ = await found(gateway, visitor.tenant, asked)
            number += len(rows)
            for first in range(0, len(rows), AT_ONCE):
                few = rows[first : first + AT_ONCE]
                whole = await _contents(gateway, visitor.tenant, few)
                yield "".join(write(row, whole[row.id]) for row in few if row.id in whole)
            if following is None:
                return

    return StreamingResponse(lines(), media_type=media, headers=headers)


async def _contents(gateway: Gateway, tenant: str, rows: Sequence[Any]) -> dict[UUID, Any]:
    """Return what each of these jobs was asked and answered; one that was erased meanwhile is missing."""
    told = await gateway.store.rows_of(tenant, statements.contents(tenant, [row.id for row in rows]))
    return {each.id: each for each in told}


def _exported(row: Any) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in EXPORTED_COLUMNS}
    return shown | {name: moment and moment.isoformat() for name in EXPORTED_TIMES for moment in [getattr(row, name)]}


def _json_line(row: Any, whole: Any) -> str:
    contents = {name: getattr(whole, name) for name in CONTENTS}
    return json.dumps(_exported(row) | contents, default=str, ensure_ascii=False) + "\n"


def _csv_line(row: Any, whole: Any) -> str:
    contents = [getattr(whole, name) for name in CONTENTS]
    texts = [None if value is None else json.dumps(value, ensure_ascii=False) for value in contents]
    return _csv_text([*_exported(row).values(), *texts])


def _csv_text(values: Sequence[Any]) -> str:
    """Return one line. A text that a spreadsheet would run as a formula begins with an apostrophe."""
    out = io.StringIO()
    texts = ["" if value is None else str(value) for value in values]
    csv.writer(out).writerow([f"'{text}" if text.startswith(_DANGEROUS) else text for text in texts])
    return out.getvalue()
