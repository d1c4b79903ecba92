"""Acts of the console on calls: cancel or run again all that match a search; `job` has those on one call.

Each act needs the scope `control` and a form of the visitor's own page, and the statement that acts writes the audit
log. An act on many calls is asked for twice: the first answer says how many there are. Where a search has no index,
that takes several answers: each looks through one page of calls, tells what was found so far, and is followed by the
next (docs/decisions/0087). The forms bear the ids that were found; those that do not match are not acted on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Request, Response

from gateway.api.dependencies import Gateway, TheGateway
from gateway.errors import BadRequest
from gateway.web.console import jobs, search_line, visitors
from gateway.web.console.pages import Page, page
from gateway.web.console.search_line import LineRefused
from gateway.web.console.visitors import PATH, Signed, Visitor
from ringback.history.job_search import JobSearch
from ringback.history.operators import MAX_REASON
from ringback.history.pagination import MAX_LIMIT, Position, cursor, position
from ringback.jobs.states import LIVE, TERMINAL, JobState
from ringback.statements import job_search
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator

AT_ONCE = 1_000
"""Calls of one act on all that match: its statements take a second together. A larger number is asked for again."""
LOOKS = 50
"""Pages of a search without an index that the console looks through by itself, one request each; more when asked."""
Many = Literal["cancel", "retry"]
ASK_AGAIN = "Go back, and ask for the number of calls again."
STATES = {"cancel": LIVE, "retry": TERMINAL}
"""States in which a call can be acted on."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


class Looked(NamedTuple):
    """How far an act has looked for the calls that match.

    Args:
        ids: the calls that it would act on.
        has_more: whether there are more than one act takes.
        older: the cursor behind which it has not looked yet; None: it has looked everywhere.
        at: how many calls it has looked at.
    """

    ids: list[UUID]
    has_more: bool = False
    older: str | None = None
    at: int = 0


@router.post("/jobs/act/{act}")
async def act_on_all(act: Many, request: Request, visitor: Signed, gateway: TheGateway) -> Response:
    """Look for the calls that match, page by page; ask for a confirmation with their number; then act on them."""
    fields = await visitors.fields_of(request, visitors.actor(visitor))
    q = fields.get("q", "")
    try:
        search = search_line.search(search_line.terms(q), limit=MAX_LIMIT)
    except LineRefused as problem:
        raise BadRequest(str(problem), param="q") from None
    asked_at = _asked_at(fields)
    until = asked_at or datetime.now(UTC)
    search = _as_of(until, search)
    so_far = _looked(fields)
    is_look = asked_at is None or fields.get("look") == "on"
    if is_look:
        so_far = await _look(gateway, visitor.tenant, act, _that_may_be_acted_on(act, search), so_far)
    most = LOOKS * job_search.window_of(_that_may_be_acted_on(act, search))
    is_looking = is_look and so_far.older is not None and so_far.at < most
    shown: dict[str, Any] = {"act": act, "q": q, "most": AT_ONCE, "until": until.isoformat(), "looked": so_far}
    shown |= {"is_looking": is_looking, "number": len(so_far.ids), "done": None}
    if fields.get("act") == "yes" and so_far.ids:
        shown["done"] = await _act_on_those(gateway, act, visitor, fields, search, so_far.ids)
    return page("act", visitor, here="/jobs", **shown)


async def _act_on_those(
    gateway: Gateway, act: Many, visitor: Visitor, fields: dict[str, str], search: JobSearch, ids: list[UUID]
) -> int:
    """Act on those of these calls that match; return how many were acted on."""
    who, is_confirmed = operator_of(visitor, fields), fields.get("at_most_once") == "yes"
    done = 0
    for first in range(0, len(ids), MAX_LIMIT):
        asked = job_search.among(visitor.tenant, search, ids[first : first + MAX_LIMIT])
        if those := [row.id for row in await gateway.store.rows_of(visitor.tenant, asked)]:
            done += len(await act_on(gateway, act, who, those, search, is_confirmed=is_confirmed))
    return done


def _asked_at(fields: dict[str, str]) -> datetime | None:
    """Return when the search began: calls that came after that are not acted on. None: it begins now."""
    try:
        return datetime.fromisoformat(fields["until"]).astimezone(UTC) if fields.get("until") else None
    except ValueError:
        raise BadRequest(ASK_AGAIN, param="until") from None


def _as_of(moment: datetime, search: JobSearch) -> JobSearch:
    """Return the search with its times as they were at this moment: `15m` ago is another time at each look."""
    ago = {name: getattr(search, name) for name in ("since", "until")}
    times = {name: moment - value for name, value in ago.items() if isinstance(value, timedelta)}
    return search.model_copy(update={"until": search.until or moment, **times})


def _looked(fields: dict[str, str]) -> Looked:
    """Return what the forms before this one have found."""
    try:
        ids = [UUID(text) for text in fields.get("ids", "").split()]
        at = int(fields.get("looked") or 0)
        if older := fields.get("older"):
            position(older)
    except ValueError:
        raise BadRequest(ASK_AGAIN, param="ids") from None
    if len(ids) > AT_ONCE:
        raise BadRequest(ASK_AGAIN, param="ids")
    return Looked(ids, fields.get("more") == "yes", older or None, at)


def _that_may_be_acted_on(act: Many, search: JobSearch) -> JobSearch:
    """Return the search in those of its states that the act is for; none: no call can be acted on."""
    states = tuple(state for state in sorted(STATES[act]) if not search.state or state in search.state)
    return search.model_copy(update={"state": states})


async def _look(gateway: Gateway, tenant: str, act: Many, search: JobSearch, so_far: Looked) -> Looked:
    """Look through one page more: at most as many calls as one search reads (`job_search.window_of`)."""
    if not search.state:
        return so_far._replace(older=None)
    asked = await jobs.narrowed(gateway, tenant, search.model_copy(update={"after": so_far.older}))
    most = AT_ONCE + 1 - len(so_far.ids)
    rows = await gateway.store.rows_of(tenant, job_search.matching(tenant, asked, most, with_reruns=act == "cancel"))
    ids = so_far.ids + [row.id for row in rows]
    if len(ids) > AT_ONCE:
        return Looked(ids[:AT_ONCE], True, None, so_far.at)
    last = await gateway.store.rows_of(tenant, job_search.edge(tenant, asked))
    older = cursor(Position(last[0].created_at, last[0].id)) if last else None
    return Looked(ids, False, older, so_far.at + job_search.window_of(asked))


async def act_on(
    gateway: Gateway, act: Many, who: Operator, ids: list[UUID], search: JobSearch | None, *, is_confirmed: bool = False
) -> list[Any]:
    """Cancel these calls, or run them again; return the row of each that was acted on."""
    if act == "cancel":
        rows = await gateway.store.rows(acts.cancel(who, ids, search))
        await tell(gateway, (row for row in rows if row.state == JobState.CANCELLED))
        return rows
    rows = await gateway.store.rows(acts.rerun(who, ids, search, is_confirmed=is_confirmed))
    for row in rows:
        await gateway.publisher.publish(row.id, row.queue)
    return rows


async def tell(gateway: Gateway, rows: Iterable[Any]) -> None:
    """Notify the gateways whose sessions have a result now."""
    for gateway_id, session_id in {(row.gateway_id, row.session_id) for row in rows if row.gateway_id}:
        await gateway.publisher.redis.notify(gateway_id, session_id)


def operator_of(visitor: Visitor, fields: dict[str, str]) -> Operator:
    """Return the visitor as the audit log names them, with the reason that the form gives."""
    reason = fields.get("reason", "").strip()[:MAX_REASON] or None
    if reason is not None and not reason.isprintable():
        raise BadRequest("A reason is one line of text.", param="reason")
    return Operator(visitor.tenant, visitor.who.user, visitor.who.credential, reason)
