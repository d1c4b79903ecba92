"""Acts of the console on calls: cancel or run again all that match a search; `job` has those on one call.

Each act needs the scope `control` and a form of the visitor's own page, and the statement that acts writes the audit
log. An act on many calls is asked for twice: the first answer says how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal
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
from ringback.history.pagination import MAX_LIMIT
from ringback.jobs.states import LIVE, TERMINAL, JobState
from ringback.statements import job_search
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator

AT_ONCE = 1_000
"""Calls of one act on all that match: its statements take a second together. A larger number is asked for again."""
LOOKS = 5
"""Pages of a search without an index that one act looks through (`job_search.window_of`): a third of a second."""
Many = Literal["cancel", "retry"]
STATES = {"cancel": LIVE, "retry": TERMINAL}
"""States in which a call can be acted on."""

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.post("/jobs/act/{act}")
async def act_on_all(act: Many, request: Request, visitor: Signed, gateway: TheGateway) -> Response:
    """Ask for a confirmation, with the number of calls; then act on them."""
    fields = await visitors.fields_of(request, visitors.actor(visitor))
    q = fields.get("q", "")
    try:
        search = search_line.search(search_line.terms(q), limit=MAX_LIMIT)
    except LineRefused as problem:
        raise BadRequest(str(problem), param="q") from None
    asked_at = _confirmed(fields)
    until = asked_at or datetime.now(UTC)
    search = search if search.until is not None else search.model_copy(update={"until": until})
    ids, has_more, looked_at = await _matching(gateway, visitor.tenant, act, search)
    shown: dict[str, Any] = {"act": act, "q": q, "has_more": has_more, "most": AT_ONCE, "until": until.isoformat()}
    shown |= {"looked_at": looked_at}
    if asked_at is None or not ids:
        return page("act", visitor, here="/jobs", number=len(ids), done=None, **shown)
    is_confirmed = fields.get("at_most_once") == "yes"
    done = 0
    for first in range(0, len(ids), MAX_LIMIT):
        batch = ids[first : first + MAX_LIMIT]
        done += len(await act_on(gateway, act, operator_of(visitor, fields), batch, search, is_confirmed=is_confirmed))
    return page("act", visitor, here="/jobs", number=len(ids), done=done, **shown)


def _confirmed(fields: dict[str, str]) -> datetime | None:
    """Return when the number of calls was shown: calls that came after that are not acted on. None: it was not yet."""
    try:
        return datetime.fromisoformat(fields["confirmed"]).astimezone(UTC) if fields.get("confirmed") else None
    except ValueError:
        raise BadRequest("Go back, and ask for the number of calls again.", param="confirmed") from None


async def _matching(gateway: Gateway, tenant: str, act: Many, search: JobSearch) -> tuple[list[UUID], bool, int | None]:
    """Return the calls that match and can be acted on, at most AT_ONCE; whether there are more; and how many calls

    were looked through, if older ones were not.
    """
    states = tuple(state for state in sorted(STATES[act]) if not search.state or state in search.state)
    if not states:
        return [], False, None
    asked = await jobs.narrowed(gateway, tenant, search.model_copy(update={"state": states}))
    found: list[UUID] = []
    looks = 0
    while len(found) <= AT_ONCE:
        rows, following, is_partial = await jobs.found(gateway, tenant, asked)
        found += [row.id for row in rows if act == "cancel" or row.rerun_of is None]
        looks += is_partial
        if following is None:
            break
        if looks == LOOKS and len(found) <= AT_ONCE:
            return found, False, LOOKS * job_search.window_of(asked)
        asked = asked.model_copy(update={"after": following})
    return found[:AT_ONCE], len(found) > AT_ONCE, None


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
