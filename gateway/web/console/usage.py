"""The usage page: tokens, money and minutes, by day, agent, user or model; the operator also sees them by tenant."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import ValidationError

from gateway.api.dependencies import TheGateway
from gateway.errors import BadRequest
from gateway.web.console.pages import Page, page
from gateway.web.console.visitors import PATH, Signed
from ringback.history.pagination import refusal
from ringback.statements import usage as statements
from ringback.usage import report
from ringback.usage.report import UsageQuery

router = APIRouter(prefix=PATH, route_class=Page, include_in_schema=False)
By = Literal["day", "agent", "user", "model", "tenant"]


@router.get("/usage")
async def usage_page(
    visitor: Signed,
    gateway: TheGateway,
    by: By = "day",
    since: str = "",
    until: str = "",
    after: str = "",
) -> Response:
    """Show what responses used, and how long sessions lasted."""
    group_by = "day" if by == "tenant" else by
    query = _query(group_by=group_by, after=after or None, **_days(since, until))
    minutes = await gateway.store.rows_of(visitor.tenant, statements.minutes(visitor.tenant, query))
    lasted = {row.key: row.seconds / 60 for row in minutes}
    shown: dict[str, Any] = {"by": by, "since": str(query.first), "until": str(query.last), "after": after}
    shown |= {"is_operator": visitor.is_operator, "minutes": lasted, "all_minutes": sum(lasted.values())}
    if by == "tenant":
        if not visitor.is_operator:
            raise BadRequest("Usage by tenant is shown to the tenant that runs the installation.", param="by")
        rows = await gateway.store.rows(statements.by_tenant(query))
    else:
        rows = await gateway.store.rows_of(visitor.tenant, statements.groups(visitor.tenant, query))
    return page("usage", visitor, told=report.page(query, rows), **shown)


def _days(since: str, until: str) -> dict[str, str]:
    given = {"from": since, "to": until}
    return {name: text for name, text in given.items() if text}


def _query(**given: Any) -> UsageQuery:
    """Return the query; raise BadRequest with its sentence."""
    try:
        query = UsageQuery(**given)
    except ValidationError as problem:
        why = refusal([dict(each) for each in problem.errors()])
        raise BadRequest(why.message, param=why.param) from None
    if (misfit := query.why_not()) is not None:
        raise BadRequest(misfit[1], param=misfit[0])
    return query
