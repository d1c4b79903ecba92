"""Pause, resume and limit queues and tools over HTTP, for all workers. Each act is in the audit log.

Workers serve all tenants, so only the operator may: a token of the tenant `default` with the scope `control`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, Field
from sqlalchemy import Select

from gateway.api.dependencies import REFUSALS, Controller, Gateway, TheGateway
from gateway.api.history import not_found
from gateway.api.job_control import Why, operator
from gateway.auth.authenticator import Principal
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


class Named(NamedTuple):
    """The queue or tool of a request, which its caller may act on."""

    who: Principal
    kind: controls.Kind
    name: str


async def kind_of(gateway: Gateway, tenant: str, kinds: Kinds, name: str) -> controls.Kind:
    """Return the kind, if this tenant may act on it, and it is known; else raise PermissionDenied, or NotFound."""
    if tenant != DEFAULT_TENANT:
        raise PermissionDenied(
            f"Queues and tools are for all tenants: only {DEFAULT_TENANT!r}, which runs the installation, may set them."
        )
    if not await gateway.store.rows(controls.is_known(KIND[kinds], name)):
        raise not_found(KIND[kinds], name)
    return KIND[kinds]


async def _named(kinds: Kinds, name: Name, who: Controller, gateway: TheGateway) -> Named:
    return Named(who, await kind_of(gateway, who.tenant, kinds, name), name)


It = Annotated[Named, Depends(_named)]


@router.post("/{kinds}/{name}/pause")
async def pause(it: It, gateway: TheGateway, why: Why | None = None) -> ControlledRow:
    """Pause a queue or a tool: no call of it begins any more. Those that run end as usual."""
    return await _set(gateway, controls.pause(operator(it.who, why), it.kind, it.name))


@router.post("/{kinds}/{name}/resume")
async def resume(it: It, gateway: TheGateway, why: Why | None = None) -> ControlledRow:
    """Let a queue or a tool go on; what waited is due at once, and a limit stays."""
    return await _set(gateway, controls.resume(operator(it.who, why), it.kind, it.name))


@router.post("/{kinds}/{name}/limit")
async def limit(it: It, gateway: TheGateway, asked: Limit) -> ControlledRow:
    """Limit how many calls of a queue or a tool run at once, over all workers."""
    return await _set(gateway, controls.limit(operator(it.who, asked), it.kind, it.name, asked.concurrency))


async def _set(gateway: Gateway, statement: Select[Any]) -> ControlledRow:
    (row,) = await gateway.store.rows(statement)
    return operators.controlled(row)
