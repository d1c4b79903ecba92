"""The page of one call: its whole life, and what the caller waited for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from gateway.api.dependencies import Gateway, TheGateway
from gateway.api.history import named, only
from gateway.web.console.pages import Page, page
from gateway.web.console.story import parts_of
from gateway.web.console.visitors import PATH, Signed, Visitor
from ringback import operator_view
from ringback.history.pagination import IdRange
from ringback.jobs.states import TERMINAL
from ringback.statements import history as statements

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
        "summary": None,
        "felt": sum(part.ms for part in parts),
    }
    return page("job", visitor, here="/jobs", live="" if job.state in TERMINAL and job.heard_at else "all", **shown)


async def job_of(gateway: Gateway, visitor: Visitor, given: str) -> operator_view.JobForOperators:
    """Return the call, with why it failed for an operator; raise NotFound."""
    asked = statements.jobs_with_steps(visitor.tenant, named("job", given))
    row = only("job", given, await gateway.store.rows_of(visitor.tenant, asked))
    failure = None
    if visitor.is_operator:
        (failed,) = await gateway.store.rows(statements.failure_of(row.id))
        failure = failed.failure
    return operator_view.job(row, failure)
