"""Cancel, approve, deny or retry calls over HTTP. Each act is in the audit log (`GET /v1/audit`).

A call that no worker has begun is cancelled at once, and the model is told. A running call's worker hears of it within
a second, and the tool decides what becomes of it: see docs/how-to/cancel-a-call.md. Of approvals, the first decision
stands; an approved call is published at once: see docs/how-to/approve-a-call.md. A retry runs a finished call once
more, as a job whose result reaches no conversation: see docs/how-to/operate.md.

Each request may be sent twice without an error, as the answer to the first may have been lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from gateway.api.dependencies import REFUSALS, Controller, Gateway, TheGateway
from gateway.api.history import named, only
from gateway.auth.authenticator import Principal
from gateway.errors import BadRequest, Conflict
from ringback.history import documents
from ringback.history.documents import Job
from ringback.history.operators import Acted, ActName, Reason
from ringback.history.pagination import JobQuery, cut
from ringback.jobs.deciding import is_already_decided, why_no_rerun, why_undecidable
from ringback.jobs.states import LIVE, TERMINAL, JobState
from ringback.statements import history as histories
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator
from ringback.telemetry import metrics

router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["control"])


class Why(BaseModel):
    """Why the operator acts; the audit log keeps it."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason | None = None


class Retry(Why):
    """How a call is to run once more."""

    confirm_at_most_once: bool = Field(
        default=False, description="true: the effect of an at_most_once tool may happen a second time"
    )


class CancelMatching(Why):
    """Which calls are to be cancelled."""

    filter: JobQuery = Field(description="as the parameters of `GET /v1/jobs`, one at least; `limit` at a time")


class RetryMatching(Retry):
    """Which calls are to run once more, and how."""

    filter: JobQuery = Field(description="as the parameters of `GET /v1/jobs`, one at least; `limit` at a time")


@router.post("/jobs/{id}/cancel", status_code=202)
async def cancel_job(id: str, who: Controller, gateway: TheGateway, why: Why | None = None) -> Job:  # noqa: A002 - the API's name of it
    """Cancel one call; the answer is the call as it is now."""
    await _own_job(gateway, who, id)
    cancelled = await gateway.store.rows(acts.cancel(operator(who, why), [named("job", id).first]))
    row = await _own_job(gateway, who, id)
    if not cancelled and row.state != JobState.CANCELLED:
        raise Conflict(f"The job is over: {row.state}.", code="job_over", param="id")
    await _tell(gateway, cancelled)
    return documents.job(row)


@router.post("/jobs/cancel", status_code=202)
async def cancel_jobs(asked: CancelMatching, who: Controller, gateway: TheGateway) -> Acted:
    """Cancel the newest calls that match the filter and are not over, at most its `limit` at once."""
    ids, following = await _matching(gateway, who, asked.filter, LIVE)
    cancelled = await gateway.store.rows(acts.cancel(operator(who, asked), ids, asked.filter)) if ids else []
    await _tell(gateway, cancelled)
    return Acted(act=ActName.CANCEL, ids=[row.id for row in cancelled], has_more=bool(following), next=following)


@router.post("/jobs/{id}/retry", status_code=202)
async def retry_job(id: str, who: Controller, gateway: TheGateway, how: Retry | None = None) -> Job:  # noqa: A002 - the API's name of it
    """Run a finished call once more; the answer is the new job, whose result reaches no conversation.

    If its last rerun is not over, that one is the answer.
    """
    how, job_id = how or Retry(), named("job", id).first
    await _own_job(gateway, who, id)
    is_confirmed = how.confirm_at_most_once
    made = await gateway.store.rows(acts.rerun(operator(who, how), [job_id], is_confirmed=is_confirmed))
    if not made:
        made = await gateway.store.rows(acts.live_rerun(who.tenant, job_id))
    if not made:
        (facts,) = await gateway.store.rows(acts.facts(who.tenant, job_id))
        raise _no_rerun(facts, is_confirmed=is_confirmed)
    await _publish(gateway, made)
    return documents.job(await _own_job(gateway, who, str(made[0].id)))


@router.post("/jobs/retry", status_code=202)
async def retry_jobs(asked: RetryMatching, who: Controller, gateway: TheGateway) -> Acted:
    """Run the newest finished calls that match the filter once more, at most its `limit` at once.

    Left out are reruns, and calls that may not be run: of at_most_once tools without a confirmation, for one.
    """
    ids, following = await _matching(gateway, who, asked.filter, TERMINAL)
    made: list[Any] = []
    if ids:
        again = acts.rerun(operator(who, asked), ids, asked.filter, is_confirmed=asked.confirm_at_most_once)
        made = await gateway.store.rows(again)
    await _publish(gateway, made)
    return Acted(act=ActName.RETRY, ids=[row.id for row in made], has_more=bool(following), next=following)


@router.post("/jobs/{id}/approve")
async def approve_job(id: str, who: Controller, gateway: TheGateway, why: Why | None = None) -> Job:  # noqa: A002 - the API's name of it
    """Approve a call that waits for it; the answer is the call as it is now."""
    return await _decide(gateway, operator(who, why), who, id, approved=True)


@router.post("/jobs/{id}/deny")
async def deny_job(id: str, who: Controller, gateway: TheGateway, why: Why | None = None) -> Job:  # noqa: A002 - the API's name of it
    """Deny a call that waits for approval; the answer is the call as it is now."""
    return await _decide(gateway, operator(who, why), who, id, approved=False)


def operator(who: Principal, why: Why | None) -> Operator:
    """Return the caller as the audit log names them."""
    return Operator(who.tenant, who.user, who.credential, why.reason if why else None)


async def _decide(gateway: Gateway, acting: Operator, who: Principal, given: str, *, approved: bool) -> Job:
    await _own_job(gateway, who, given)
    decided = await gateway.store.rows(acts.decide(acting, named("job", given).first, approved=approved))
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


def _no_rerun(facts: Any, *, is_confirmed: bool) -> Conflict:
    """Return why the job is not run once more; `param` says which field of the body would change that."""
    unconfirmed = why_no_rerun(**facts._asdict(), is_confirmed=is_confirmed)
    if unconfirmed is not None and why_no_rerun(**facts._asdict(), is_confirmed=True) is None:
        return Conflict(unconfirmed, code="not_confirmed", param="confirm_at_most_once")
    return Conflict(unconfirmed or "The session of the job is being erased.", code="no_rerun", param="id")


async def _matching(
    gateway: Gateway, who: Principal, query: JobQuery, states: Collection[JobState]
) -> tuple[list[UUID], str | None]:
    """Return the newest calls in these states that match, as the caller's tenant sees them, and the next page."""
    if not query.model_dump(exclude_defaults=True, exclude={"limit", "after"}):
        raise BadRequest(
            "filter must name at least one of session, tool, state, queue, approval, since, until.", param="filter"
        )
    wanted = tuple(state for state in sorted(states) if not query.state or state in query.state)
    if not wanted:
        return [], None
    narrowed = query.model_copy(update={"state": wanted})
    rows = await gateway.store.rows_of(who.tenant, histories.page_of_jobs(who.tenant, narrowed))
    shown, following = cut(rows, query.limit)
    return [row.id for row in shown if row.rerun_of is None or states == LIVE], following


async def _tell(gateway: Gateway, cancelled: Iterable[Any]) -> None:
    """Notify the gateways whose sessions have a result now; workers learn of running calls by themselves."""
    cancelled = list(cancelled)
    for row in cancelled:
        metrics.count_if_over(row)
    for gateway_id, session_id in {
        (row.gateway_id, row.session_id) for row in cancelled if row.state == JobState.CANCELLED and row.gateway_id
    }:
        await gateway.publisher.redis.notify(gateway_id, session_id)


async def _publish(gateway: Gateway, made: Iterable[Any]) -> None:
    for job in made:
        await gateway.publisher.publish(job.id, job.queue)


async def _own_job(gateway: Gateway, who: Principal, given: str) -> Any:
    """Return the call, as the caller's tenant sees it; raise NotFound. Only what is seen here is written to."""
    asked = histories.jobs_with_steps(who.tenant, named("job", given))
    return only("job", given, await gateway.store.rows_of(who.tenant, asked))
