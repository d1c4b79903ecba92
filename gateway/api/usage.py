"""What was used, over HTTP: `GET /v1/usage`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import Read, Reader
from gateway.errors import BadRequest
from ringback.statements import usage as statements
from ringback.usage import report
from ringback.usage.report import UsagePage, UsageQuery


def usage_router(read: Read, principal: Callable[..., Any]) -> APIRouter:
    """The route under /v1; `read` and `principal` as in `gateway.api.history`."""
    described: dict[int | str, dict[str, Any]] = {"4XX": {"model": ErrorAnswer, "description": "Refused"}}
    router = APIRouter(prefix="/v1", responses=described, tags=["usage"])

    asker = Depends(principal)

    @router.get("/usage")
    async def get_usage(query: Annotated[UsageQuery, Query()], who: Reader = asker) -> UsagePage:
        """What responses used from one day to another (UTC), in tokens and US dollars, by day, user, agent or model.

        Without `from` and `to`: today and the 29 days before.
        """
        if (problem := query.why_not()) is not None:
            param, sentence = problem
            raise BadRequest(sentence, param=param)
        total = await read(who.tenant, statements.total(who.tenant, query))
        groups = await read(who.tenant, statements.groups(who.tenant, query))
        return report.page(query, total[0], groups)

    return router
