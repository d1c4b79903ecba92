"""The history over HTTP: sessions, calls, and who serves them.

Every answer is about the tenant of whoever asks. An id that nobody has, one of somebody else and one that is no id at
all get the same 404. Errors have the shape of OpenAI's, so that its SDKs raise what their users expect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Executable, Row

from gateway.api.error_handlers import ErrorAnswer
from gateway.errors import NotFound
from ringback.history import documents
from ringback.history.documents import Job, ListedJob, ListedSession, Process, ServedTool, Session
from ringback.history.pagination import IdRange, JobQuery, Listing, Page, SessionQuery
from ringback.statements import history as statements

Read = Callable[[str, Executable], Awaitable[Sequence[Row[Any]]]]
"""Runs one statement for this tenant, behind the wall that hides every other tenant's rows (`Store.rows_of`)."""
Run = Callable[[Executable], Awaitable[Sequence[Row[Any]]]]
"""Runs one statement as the gateway itself, in a transaction of its own."""
MayHave = Callable[[str, str], bool]
"""True where clients of this tenant may have this tool: some agent of theirs allows it."""


class Reader(Protocol):
    """Who asks. The tenant decides what there is to see."""

    @property
    def tenant(self) -> str: ...
    @property
    def user(self) -> str: ...


MAX_ECHO = 64
"""Characters of an unknown id that the answer repeats."""


def history_router(read: Read, run: Run, may_have: MayHave, principal: Callable[..., Any]) -> APIRouter:
    """The routes under /v1.

    Args:
        read: for what belongs to a tenant.
        run: for what belongs to the operator: processes, and what they serve.
        may_have: which of it a tenant is told of.
        principal: a FastAPI dependency; returns a Principal, or refuses (401) by itself.
    """
    described: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer, "description": "Refused"}}
    router = APIRouter(prefix="/v1", responses=described, tags=["history"])
    asker = Depends(principal)
    _add_jobs(router, read, asker)
    _add_sessions(router, read, asker)
    _add_processes(router, run, may_have, asker)
    return router


def _add_jobs(router: APIRouter, read: Read, asker: Any) -> None:
    @router.get("/jobs")
    async def list_jobs(query: Annotated[JobQuery, Query()], who: Reader = asker) -> Page[ListedJob]:
        """Calls, newest first, that fit every filter."""
        rows = await read(who.tenant, statements.page_of_jobs(who.tenant, query))
        return documents.page_of_jobs(rows, query.limit)

    @router.get("/jobs/{id}")
    async def get_job(id: str, who: Reader = asker) -> Job:  # noqa: A002 - the API's name of it
        """One call with its whole life."""
        rows = await read(who.tenant, statements.jobs_with_steps(who.tenant, named("job", id)))
        return documents.job(only("job", id, rows))


def _add_sessions(router: APIRouter, read: Read, asker: Any) -> None:
    @router.get("/sessions")
    async def list_sessions(query: Annotated[SessionQuery, Query()], who: Reader = asker) -> Page[ListedSession]:
        """Conversations, newest first, that fit every filter."""
        rows = await read(who.tenant, statements.page_of_sessions(who.tenant, query))
        return documents.page_of_sessions(rows, query.limit)

    @router.get("/sessions/{id}")
    async def get_session(id: str, who: Reader = asker) -> Session:  # noqa: A002 - the API's name of it
        """One conversation with its newest calls."""
        rows = await read(who.tenant, statements.sessions_with_counts(who.tenant, named("session", id)))
        row = only("session", id, rows)
        query = JobQuery(session=row.id)
        jobs = await read(who.tenant, statements.page_of_jobs(who.tenant, query))
        return documents.session(row, documents.page_of_jobs(jobs, query.limit))


def _add_processes(router: APIRouter, run: Run, may_have: MayHave, asker: Any) -> None:
    @router.get("/tools")
    async def list_tools(who: Reader = asker) -> Listing[ServedTool]:
        """What live workers serve now, and an agent of the asker's tenant may call."""
        rows = await run(statements.served_tools())
        return documents.tools(row for row in rows if may_have(who.tenant, row.name))

    @router.get("/workers")
    async def list_workers(who: Reader = asker) -> Listing[Process]:
        """Gateways and workers, the living first; the dead are forgotten after an hour.

        They are the operator's, who is the tenant `default`: for any other the list is empty.
        """
        return documents.processes(await run(statements.all_processes(who.tenant)))


def not_found(what: str, given: str) -> NotFound:
    """Return the 404 for an id: the same for an unknown one, another tenant's, and a text that is no id."""
    return NotFound(f"There is no {what} {given[:MAX_ECHO]!r}.", param="id")


def named(what: str, given: str) -> IdRange:
    """The id that a path names; what is no id is nobody's."""
    try:
        return IdRange.only(UUID(given))
    except ValueError:
        raise not_found(what, given) from None


def only(what: str, given: str, rows: Sequence[Row[Any]]) -> Row[Any]:
    """The one row that was found, if any was."""
    if not rows:
        raise not_found(what, given)
    return rows[0]
