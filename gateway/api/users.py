"""Erase a user over HTTP: nothing in any table names them any more (docs/how-to/erase-a-user.md)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import not_found
from gateway.api.revocation import User
from gateway.api.scopes import needs
from gateway.auth.authenticator import ADMIN, Principal
from gateway.background.retention import ErasedCounts

log = logging.getLogger(__name__)

Erase = Callable[[str, str], Awaitable[ErasedCounts]]
"""Takes a tenant and a user (`Retention.erase`)."""


class ErasedUser(BaseModel):
    """What went, in numbers of rows: with a session goes all that was said and called in it."""

    object: Literal["user.erased"] = "user.erased"
    user: str
    sessions: int
    secrets: int
    keys: int
    is_complete: bool = Field(description="false: something of theirs has still to end, and goes within seconds then")


def erase_router(erase: Erase) -> APIRouter:
    """The route."""
    described: dict[int | str, dict[str, Any]] = {
        202: {"model": ErasedUser, "description": "Nearly all; the rest follows within seconds"},
        "4XX": {"model": ErrorAnswer, "description": "Refused"},
    }
    router = APIRouter(prefix="/v1", responses=described, tags=["erasure"])

    @router.delete("/users/{user:path}")  # a name may hold a slash
    async def erase_user(
        user: User,
        who: Annotated[Principal, Depends(needs(ADMIN))],
        response: Response,
    ) -> ErasedUser:
        """Erase a user of the asker's tenant: sessions, what was said and called in them, keys and secrets.

        What they used stays in the sums of the day, under no name.
        """
        went = await erase(who.tenant, user)
        if went.is_nobody:
            raise not_found("user", user)
        log.info("a user of tenant %s is erased: %d sessions, %d left", who.tenant, went.sessions, went.left)
        response.status_code = 202 if went.left else 200
        counted = {"sessions": went.sessions, "secrets": went.secrets, "keys": went.keys}
        return ErasedUser(user=user, is_complete=not went.left, **counted)

    return router
