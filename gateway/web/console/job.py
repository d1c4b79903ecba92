"""The page of one call: its whole life, what the caller waited for, and what an operator can do to it."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from gateway.api.dependencies import Gateway, TheGateway
from gateway.api.history import named, only
from gateway.errors import Conflict
from gateway.web.console import acts, visitors
from gateway.web.console.pages import Page, address, page
from gateway.web.console.story import parts_of
from gateway.web.console.visitors import PATH, Signed, Visitor
from ringback import operator_view
from ringback.history.pagination import IdRange
from ringback.jobs.deciding import why_no_rerun, why_undecidable
from ringback.jobs.states import TERMINAL
from ringback.statements import history as statements
from ringback.statements.operators import acts as statements_of_acts
from ringback.statements.operators.audit import Operator

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)


@router.get("/jobs/{id}")
async def job_page(id: str, visitor: Signed, gateway: TheGateway) -> Response:  # noqa: A002 - the address's name of it
    """Show one call."""
    job = await job_of(gateway, visitor, id)
    asked = statements.sessions_with_counts(visitor.tenant, IdRange.only(job.session_id))
    (talk,) = await gateway.store.rows_of(visitor.tenant, asked)
    parts = parts_of(job)
    shown: dict[str, Any] = {
        "job": job,
        "talk": talk,
        "parts": parts,
        "summary": job.summary,
        "felt": sum(part.ms for part in parts),
    }
    return page("job", visitor, here="/jobs", live="" if job.state in TERMINAL and job.heard_at else "calls", **shown)


async def job_of(gateway: Gateway, visitor: Visitor, given: str) -> operator_view.JobForOperators:
    """Return the call, with why it failed for an operator; raise NotFound."""
    asked = statements.jobs_with_steps(visitor.tenant, named("job", given))
    row = only("job", given, await gateway.store.rows_of(visitor.tenant, asked))
    failure = None
    if visitor.is_operator:
        (failed,) = await gateway.store.rows(statements.failure_of(row.id))
        failure = failed.failure
    return operator_view.job(row, failure)


@router.post("/jobs/{id}/{act}")
async def act_on_one(
    id: str,  # noqa: A002 - the address's name of it
    act: Literal["cancel", "retry", "approve", "deny"],
    request: Request,
    visitor: Signed,
    gateway: TheGateway,
) -> Response:
    """Act on one call, and show it; a rerun is shown in its place."""
    fields = await visitors.fields_of(request, visitors.actor(visitor))
    job_id, who = named("job", id).first, acts.operator_of(visitor, fields)
    asked = statements.jobs_with_steps(visitor.tenant, named("job", id))
    row = only("job", id, await gateway.store.rows_of(visitor.tenant, asked))
    if act == "approve" or act == "deny":
        await _decide(gateway, who, row, approved=act == "approve")
        return _show(job_id)
    if act == "retry":
        return _show(await _run_again(gateway, who, job_id, is_confirmed=fields.get("at_most_once") == "yes"))
    if not await acts.act_on(gateway, act, who, [job_id], None):
        raise Conflict(f"The call is over: {row.state}.", code="job_over")
    return _show(job_id)


async def _run_again(gateway: Gateway, who: Operator, job_id: UUID, *, is_confirmed: bool) -> UUID:
    """Run the call once more, unless its last rerun goes on; return the rerun's id."""
    made = await acts.act_on(gateway, "retry", who, [job_id], None, is_confirmed=is_confirmed)
    made = made or await gateway.store.rows(statements_of_acts.live_rerun(who.tenant, job_id))
    if made:
        return UUID(str(made[0].id))
    (facts,) = await gateway.store.rows(statements_of_acts.facts(who.tenant, job_id))
    why = why_no_rerun(**facts._asdict(), is_confirmed=is_confirmed)
    raise Conflict(why or "The session of the call is being erased.", code="no_rerun")


async def _decide(gateway: Gateway, who: Operator, row: Any, *, approved: bool) -> None:
    decided = await gateway.store.rows(statements_of_acts.decide(who, row.id, approved=approved))
    if not decided:
        raise Conflict(why_undecidable(row.state, row.approval), code="nothing_to_decide")
    if approved:
        await gateway.publisher.publish(decided[0].id, decided[0].queue)
    await acts.tell(gateway, decided)


def _show(job_id: UUID) -> Response:
    return RedirectResponse(address(f"/jobs/{job_id}"), 303)
