"""The history over HTTP: sessions, calls, usage, what operators did; and the live queues, tools and processes.

Every answer is about the caller's tenant. An unknown id, another tenant's and a text that is no id get the same 404.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from gateway.api.dependencies import REFUSALS, Reader, TheGateway
from gateway.errors import BadRequest, NotFound
from ringback.history import documents, operators, serving
from ringback.history.documents import Job, ListedJob, ListedSession, Session, SessionTimeline
from ringback.history.operators import AuditPage, AuditQuery, FiguresQuery, LiveQueue, LiveTool
from ringback.history.pagination import MAX_LIMIT, IdRange, JobQuery, Listing, Page, SessionQuery
from ringback.history.serving import Process
from ringback.statements import history as statements
from ringback.statements import usage as usage_statements
from ringback.statements.operators import audit, figures
from ringback.tables import DEFAULT_TENANT
from ringback.usage import report
from ringback.usage.report import UsagePage, UsageQuery

MAX_ECHO = 64
"""Characters of an unknown id that the answer repeats."""

router = APIRouter(prefix="/v1", responses=REFUSALS)


@router.get("/jobs", tags=["history"])
async def list_jobs(query: Annotated[JobQuery, Query()], who: Reader, gateway: TheGateway) -> Page[ListedJob]:
    """List the calls that fit every filter, newest first."""
    rows = await gateway.store.rows_of(who.tenant, statements.page_of_jobs(who.tenant, query))
    return documents.page_of_jobs(rows, query.limit)


@router.get("/jobs/{id}", tags=["history"])
async def get_job(id: str, who: Reader, gateway: TheGateway) -> Job:  # noqa: A002 - the API's name of it
    """Return one call with its whole life."""
    asked = statements.jobs_with_steps(who.tenant, named("job", id))
    return documents.job(only("job", id, await gateway.store.rows_of(who.tenant, asked)))


@router.get("/sessions", tags=["history"])
async def list_sessions(
    query: Annotated[SessionQuery, Query()], who: Reader, gateway: TheGateway
) -> Page[ListedSession]:
    """List the conversations that fit every filter, newest first."""
    rows = await gateway.store.rows_of(who.tenant, statements.page_of_sessions(who.tenant, query))
    return documents.page_of_sessions(rows, query.limit)


@router.get("/sessions/{id}", tags=["history"])
async def get_session(id: str, who: Reader, gateway: TheGateway) -> Session:  # noqa: A002 - the API's name of it
    """Return one conversation with its newest calls."""
    asked = statements.sessions_with_counts(who.tenant, named("session", id))
    row = only("session", id, await gateway.store.rows_of(who.tenant, asked))
    query = JobQuery(session=row.id)
    jobs = await gateway.store.rows_of(who.tenant, statements.page_of_jobs(who.tenant, query))
    return documents.session(row, documents.page_of_jobs(jobs, query.limit))


@router.get("/sessions/{id}/timeline", tags=["history"])
async def get_timeline(id: str, who: Reader, gateway: TheGateway) -> SessionTimeline:  # noqa: A002 - the API's name
    """Return when the user and the model spoke in a conversation, and when its newest calls ran and were heard."""
    asked = statements.sessions_with_counts(who.tenant, named("session", id))
    row = only("session", id, await gateway.store.rows_of(who.tenant, asked))
    query = JobQuery(session=row.id, limit=MAX_LIMIT)
    jobs = await gateway.store.rows_of(who.tenant, statements.page_of_jobs(who.tenant, query))
    moments = await gateway.store.rows_of(who.tenant, statements.moments_of(who.tenant, row.id))
    return documents.session_timeline(row, moments, documents.page_of_jobs(jobs, query.limit))


@router.get("/tools", tags=["history"])
async def list_tools(query: Annotated[FiguresQuery, Query()], who: Reader, gateway: TheGateway) -> Listing[LiveTool]:
    """List the tools that live workers serve now, and that an agent of the caller's tenant may call.

    The figures are of the caller's tenant; those that the tenant `default` gets are of all tenants.
    """
    rows = await gateway.store.rows(figures.live_tools_of(who.tenant, query.length))
    return operators.live_tools(row for row in rows if gateway.may_have(who.tenant, row.name))


@router.get("/queues", tags=["history"])
async def list_queues(query: Annotated[FiguresQuery, Query()], who: Reader, gateway: TheGateway) -> Listing[LiveQueue]:
    """List the queues, with what waits and runs in each.

    They belong to the operator, the tenant `default`: for any other tenant the list is empty.
    """
    if who.tenant != DEFAULT_TENANT:
        return Listing(data=[])
    return operators.live_queues(await gateway.store.rows(figures.live_queues(query.length)))


@router.get("/audit", tags=["history"])
async def list_acts(query: Annotated[AuditQuery, Query()], who: Reader, gateway: TheGateway) -> AuditPage:
    """List what operators of the caller's tenant did, newest first. An act is kept for 400 days."""
    rows = await gateway.store.rows_of(who.tenant, audit.page_of_acts(who.tenant, query))
    return operators.page_of_acts(rows, query.limit)


@router.get("/workers", tags=["history"])
async def list_workers(who: Reader, gateway: TheGateway) -> Listing[Process]:
    """List gateways and workers, live ones first; dead ones are forgotten after an hour.

    They belong to the operator, the tenant `default`: for any other tenant the list is empty.
    """
    return serving.processes(await gateway.store.rows(statements.all_processes(who.tenant)))


@router.get("/usage", tags=["usage"])
async def get_usage(query: Annotated[UsageQuery, Query()], who: Reader, gateway: TheGateway) -> UsagePage:
    """Return what responses used from one day to another (UTC), in tokens and US dollars, by day, user, agent or model.

    Without `from` and `to`: today and the 29 days before.
    """
    if (problem := query.why_not()) is not None:
        param, sentence = problem
        raise BadRequest(sentence, param=param)
    return report.page(query, await gateway.store.rows_of(who.tenant, usage_statements.groups(who.tenant, query)))


def not_found(what: str, given: str) -> NotFound:
    """Return the 404 for an id: the same for an unknown one, another tenant's, and a text that is no id."""
    return NotFound(f"There is no {what} {given[:MAX_ECHO]!r}.", param="id")


def named(what: str, given: str) -> IdRange:
    """Return the id that a path names; raise NotFound if the text is no id."""
    try:
        return IdRange.only(UUID(given))
    except ValueError:
        raise not_found(what, given) from None


def only(what: str, given: str, rows: Sequence[Any]) -> Any:
    """Return the one row that was found; raise NotFound if there is none."""
    if not rows:
        raise not_found(what, given)
    return rows[0]
