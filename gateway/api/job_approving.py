"""Approve a call over HTTP that may not start before, or deny it.

The first decision stands; to ask for it once more is no error, as its answer may have been lost. A call that is
approved is published at once; of one that is denied the model is told: see docs/how-to/approve-a-call.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends

from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import Read, Reader, Run, named, only
from gateway.api.job_cancelling import Ring
from gateway.errors import Conflict
from ringback.history import documents
from ringback.history.documents import Job
from ringback.jobs.deciding import is_decided_so, why_undecidable
from ringback.statements import history as histories
from ringback.statements.jobs import approvals

Publish = Callable[[UUID, str], Awaitable[bool]]
"""Hands a job's id to its queue; never raises, and False is only lateness."""


def approve_router(read: Read, run: Run, publish: Publish, ring: Ring, principal: Callable[..., Any]) -> APIRouter:
    """The routes under /v1.

    Args:
        read: finds the call, behind the wall between tenants: what is not seen there is not written to.
        run: writes the decision down.
        publish: how workers hear that a call may start.
        ring: how the gateway that holds the session hears that there is a decision.
        principal: as the history's.
    """
    described: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer, "description": "Refused"}}
    router = APIRouter(prefix="/v1", responses=described, tags=["control"])
    asker = Depends(principal)

    async def decide(given: str, who: Reader, approved: bool) -> Job:
        ids = named("job", given)
        asked = histories.jobs_with_steps(who.tenant, ids)
        only("job", given, await read(who.tenant, asked))
        decided = await run(approvals.decide(ids.first, who.tenant, approved))
        row = only("job", given, await read(who.tenant, asked))
        if not decided:
            if is_decided_so(row.approval, approved=approved):
                return documents.job(row)
            raise Conflict(why_undecidable(row.state, row.approval), code="nothing_to_decide", param="id")
        (now,) = decided
        if approved:
            await publish(now.id, now.queue)
        if now.gateway_id:
            await ring(now.gateway_id, now.session_id)
        return documents.job(row)

    @router.post("/jobs/{id}/approve")
    async def approve_job(id: str, who: Reader = asker) -> Job:  # noqa: A002 - the API's name of it
        """Say yes to a call that waits for it; the answer is the call as it is now."""
        return await decide(id, who, True)

    @router.post("/jobs/{id}/deny")
    async def deny_job(id: str, who: Reader = asker) -> Job:  # noqa: A002 - the API's name of it
        """Say no to a call that waits for a yes; the answer is the call as it is now."""
        return await decide(id, who, False)

    return router
