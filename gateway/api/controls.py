"""Pause, resume and limit queues and tools over HTTP, for all workers. Each act is in the audit log.

Workers serve all tenants, so only the operator may: a token of the tenant `default` with the scope `control`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import AfterValidator, Field
from sqlalchemy import Select

from gateway.api.dependencies import REFUSALS, Controller, TheGateway
from gateway.api.history import not_found
from gateway.api.job_control import Why, operator
from gateway.errors import PermissionDenied
from ringback.history import operators
from ringback.history.operators import MAX_CONCURRENCY, ControlledRow
from ringback.history.pagination import MAX_NAME, printable
from ringback.statements.operators import controls
from ringback.tables import DEFAULT_TENANT

router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["control"])

Kinds = Literal["queues", "tools"]
Name = Annotated[str, Path(min_length=1, max_length=MAX_NAME), AfterValidator(printable)]
KIND: dict[Kinds, controls.Kind] = {"queues": "queue", "tools": "tool"}


class Limit(Why):
    """How many calls of a queue or a tool may run at once."""

    concurrency: int | None = Field(ge=1, le=MAX_CONCURRENCY, description="null removes the limit")


@router.post("/{kinds}/{name}/pause")
async def pause(
    kinds: Kinds, name: Name, who: Controller, gateway: TheGateway, why: Why | None = None
) -> ControlledRow:
    """Pause a queue or a tool: no call of it begins any more. Those that run end as usual."""
    kind = await _own(kinds, name, who, gateway)
    return await _set(gateway, controls.pause(operator(who, why), kind, name))


@router.post("/{kinds}/{name}/resume")
async def resume(
    kinds: Kinds, name: Name, who: Controller, gateway: TheGateway, why: Why | None = None
) -> ControlledRow:
    """Let a queue or a tool go on; what waited is due at once, and a limit stays."""
    kind = await _own(kinds, name, who, gateway)
    return await _set(gateway, controls.resume(operator(who, why), kind, name))


@router.post("/{kinds}/{name}/limit")
async def limit(kinds: Kinds, name: Name, who: Controller, gateway: TheGateway, asked: Limit) -> ControlledRow:
    """Limit how many calls of a queue or a tool run at once, over all workers."""
    kind = await _own(kinds, name, who, gateway)
    return await _set(gateway, controls.limit(operator(who, asked), kind, name, asked.concurrency))


async def _own(kinds: Kinds, name: str, who: Controller, gateway: TheGateway) -> controls.Kind:
    """Return the kind, if the caller may act on it, and it is known; else PermissionDenied, or NotFound."""
    if who.tenant != DEFAULT_TENANT:
        raise PermissionDenied(f"Queues and tools are for all tenants: only the tenant {DEFAULT_TENANT!r} may.")
    if not await gateway.store.rows(controls.is_known(KIND[kinds], name)):
        raise not_found(KIND[kinds], name)
    return KIND[kinds]


async def _set(gateway: TheGateway, statement: Select[Any]) -> ControlledRow:
    (row,) = await gateway.store.rows(statement)
    return operators.controlled(row)
