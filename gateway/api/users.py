"""Erase a user over HTTP, so that no table names them any more (docs/how-to/erase-a-user.md)."""

from __future__ import annotations

import logging
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.api.dependencies import REFUSALS, Admin, TheGateway
from gateway.api.history import not_found
from gateway.api.job_control import operator
from gateway.api.revocation import User

log = logging.getLogger(__name__)


class ErasedUser(BaseModel):
    """How many rows were deleted. With a session goes what was said and called in it."""

    object: Literal["user.erased"] = "user.erased"
    user: str
    sessions: int
    secrets: int
    keys: int
    is_complete: bool = Field(
        description="false: a session of the user has still to end; its rows are deleted within seconds"
    )


router = APIRouter(
    prefix="/v1",
    responses={**REFUSALS, 202: {"model": ErasedUser, "description": "Nearly all; the rest follows within seconds"}},
    tags=["erasure"],
)


@router.delete("/users/{user:path}")  # a name may hold a slash
async def erase_user(user: User, who: Admin, gateway: TheGateway, response: Response) -> ErasedUser:
    """Erase a user of the caller's tenant: sessions, what was said and called in them, keys and secrets.

    What the user's responses used stays in the sums of the day, without the name.
    """
    went = await gateway.retention.erase(operator(who, None), user)
    if went.is_nobody:
        raise not_found("user", user)
    log.info("user erased in tenant %s: %d sessions, %d left", who.tenant, went.sessions, went.left)
    response.status_code = 202 if went.left else 200
    counted = {"sessions": went.sessions, "secrets": went.secrets, "keys": went.keys}
    return ErasedUser(user=user, is_complete=not went.left, **counted)
