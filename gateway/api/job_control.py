"""Cancel, approve or deny a call over HTTP.

A call that no worker has begun is cancelled at once, and the model is told. A running call's worker hears of it within
a second, and the tool decides what becomes of it: see docs/how-to/cancel-a-call.md. Of approvals, the first decision
stands; an approved call is published at once: see docs/how-to/approve-a-call.md.

Each request may be sent twice without an error, as the answer to the first may have been lost.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from gateway.api.dependencies import REFUSALS, Controller, Gateway, TheGateway
from gateway.api.history import named, only
from gateway.auth.authenticator import Principal
from gateway.errors import Conflict
from ringback.history import documents
from ringback.history.documents import Job
from ringback.jobs.deciding import is_already_decided, why_undecidable
from ringback.jobs.states import JobState
from ringback.statements import history as histories
from ringback.statements.jobs import approvals, transitions
from ringback.telemetry import metrics

router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["control"])


@router.post("/jobs/{id}/cancel", status_code=202)
async def cancel_job(id: str, who: Controller, gateway: TheGateway) -> Job:  # noqa: A002 - the API's name of it
    """Cancel one call; the answer is the call as it is now."""
    await _own_job(gateway, who, id)
    cancelled = await gateway.store.rows(transitions.cancel(named("job", id).first, who.tenant))
    row = await _own_job(gateway, who, id)
    if not cancelled and row.state == JobState.CANCELLED:
        return documents.job(row)
    if not cancelled:
        raise Conflict(f"The job is over: {row.state}.", code="job_over", param="id")
    (now,) = cancelled
    metrics.count_if_over(now)
    if now.state == JobState.CANCELLED and now.gateway_id:
        await gateway.publisher.redis.notify(now.gateway_id, now.session_id)
    return documents.job(row)


@router.post("/jobs/{id}/approve")
async def approve_job(id: str, who: Controller, gateway: TheGateway) -> Job:  # noqa: A002 - the API's name of it
    """Approve a call that waits for it; the answer is the call as it is now."""
    return await _decide(gateway, who, id, approved=True)


@router.post("/jobs/{id}/deny")
async def deny_job(id: str, who: Controller, gateway: TheGateway) -> Job:  # noqa: A002 - the API's name of it
    """Deny a call that waits for approval; the answer is the call as it is now."""
    return await _decide(gateway, who, id, approved=False)


async def _decide(gateway: Gateway, who: Principal, given: str, *, approved: bool) -> Job:
    await _own_job(gateway, who, given)
    decided = await gateway.store.rows(approvals.decide(named("job", given).first, who.tenant, approved))
    row = await _own_job(gateway, who, given)
    if not decided:
        if is_already_decided(row.approval, approved=approved):
            return documents.job(row)
        raise Conflict(why_undecidable(row.state, row.approval), code="nothing_to_decide", param="id")
    (now,) = decided
    metrics.count_if_over(now)
    if approved:
        await gateway.publisher.publish(now.id, now.queue)
    if now.gateway_id:
        await gateway.publisher.redis.notify(now.gateway_id, now.session_id)
    return documents.job(row)


async def _own_job(gateway: Gateway, who: Principal, given: str) -> Any:
    """Return the call, as the caller's tenant sees it; raise NotFound. Only what is seen here is written to."""
    asked = histories.jobs_with_steps(who.tenant, named("job", given))
    return only("job", given, await gateway.store.rows_of(who.tenant, asked))
