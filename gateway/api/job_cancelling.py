"""Cancel a call over HTTP: it is not wanted any more.

A call that no worker has begun is over at once, and the model is told. A running one's worker hears of it within a
second; what becomes of it then is the tool's: see docs/how-to/cancel-a-call.md. To cancel a call once more is no error.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends

from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import Read, Reader, Run, named, only
from gateway.errors import Conflict
from ringback.history import documents
from ringback.history.documents import Job
from ringback.jobs.states import JobState
from ringback.statements import history as histories
from ringback.statements.jobs import transitions

Ring = Callable[[str, UUID], Awaitable[None]]
"""Tells a gateway that a session has something ready; never raises."""


def cancel_router(read: Read, run: Run, ring: Ring, principal: Callable[..., Any]) -> APIRouter:
    """The route under /v1.

    Args:
        read: finds the call, behind the wall between tenants: what is not seen there is not written to.
        run: cancels it.
        ring: how the gateway that holds the session hears that a call is over.
        principal: as the history's.
    """
    described: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer, "description": "Refused"}}
    router = APIRouter(prefix="/v1", responses=described, tags=["control"])
    asker = Depends(principal)

    @router.post("/jobs/{id}/cancel", status_code=202)
    async def cancel_job(id: str, who: Reader = asker) -> Job:  # noqa: A002 - the API's name of it
        """Ask for one call to be cancelled; the answer is the call as it is now."""
        ids = named("job", id)
        asked = histories.jobs_with_steps(who.tenant, ids)
        only("job", id, await read(who.tenant, asked))
        cancelled = await run(transitions.cancel(ids.first, who.tenant))
        row = only("job", id, await read(who.tenant, asked))
        if not cancelled and row.state == JobState.CANCELLED:
            return documents.job(row)
        if not cancelled:
            raise Conflict(f"The job is over: {row.state}.", code="job_over", param="id")
        (now,) = cancelled
        if now.state == JobState.CANCELLED and now.gateway_id:
            await ring(now.gateway_id, now.session_id)
        return documents.job(row)

    return router
