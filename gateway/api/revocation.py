"""Keys, users and sessions that are to have an end, over HTTP.

Whatever a gateway holds is over within about a second, wherever it is held, and its calls are cancelled; what waited
for its client cannot be come back to.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import AfterValidator, BaseModel
from sqlalchemy import ColumnElement, Row

from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import Read, Run, named, only
from gateway.api.scopes import needs
from gateway.auth.authenticator import ADMIN, CONTROL, Principal
from gateway.errors import Conflict
from ringback.history.pagination import Listing, printable
from ringback.statements import history as histories
from ringback.statements.identity import credentials
from ringback.statements.sessions import session_end

log = logging.getLogger(__name__)

Admin = Annotated[Principal, Depends(needs(ADMIN))]
Controller = Annotated[Principal, Depends(needs(CONTROL))]
User = Annotated[str, Path(min_length=1, max_length=200), AfterValidator(printable)]
"""A user's name in a path."""


class EndedCounts(BaseModel):
    """How much has been ended: sessions, live or waiting for their client, and calls that were cancelled."""

    sessions: int
    calls: int


class Key(BaseModel):
    """An API key, without what it is."""

    object: Literal["key"] = "key"
    id: UUID
    user: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class RevokedKey(Key, EndedCounts):
    """And what ended with it."""


class SignedOut(EndedCounts):
    """Who has been signed out. `keys`: API keys of theirs that are still good, and have to be revoked by themselves."""

    object: Literal["sign_out"] = "sign_out"
    user: str
    before: datetime
    secrets: int
    keys: int


class EndedSession(EndedCounts):
    """The session that is to end."""

    object: Literal["session.end"] = "session.end"
    id: UUID


def revoke_router(read: Read, run: Run) -> APIRouter:
    """The routes.

    Args:
        read: finds what is meant, behind the wall between tenants.
        run: writes.
    """
    described: dict[int | str, dict[str, Any]] = {
        "4XX": {"model": ErrorAnswer, "description": "Refused"},
        404: {"model": ErrorAnswer, "description": "There is nothing of that id, or it is another tenant's"},
    }
    router = APIRouter(prefix="/v1", responses=described, tags=["revocation"])
    _add_access(router, run)
    _add_sessions(router, read, run)
    return router


def _add_access(router: APIRouter, run: Run) -> None:
    @router.get("/keys")
    async def list_keys(who: Admin) -> Listing[Key]:
        """The tenant's newest API keys, 200 at most, without what they are."""
        return Listing(data=[key(row) for row in await run(credentials.keys(who.tenant))])

    @router.post("/keys/{id}/revoke")
    async def revoke_key(id: str, who: Admin) -> RevokedKey:  # noqa: A002 - the API's name of it
        """An API key is good no more, nor are the client secrets that were made with it; their sessions end."""
        key_id = named("key", id).first
        row = only("key", id, await run(credentials.revoke_key(key_id, who.tenant)))
        over = await end(run, session_end.sessions_of_key(key_id), session_end.REVOKED)
        log.info("key %s is revoked by %s: %s", key_id, who.user, over)
        return RevokedKey(**key(row).model_dump(), **over.model_dump())

    @router.post("/users/{user:path}/sign-out")  # a name may hold a slash
    async def sign_out(user: User, who: Admin) -> SignedOut:
        """Whatever was issued to the user until now is void, and their sessions end. They may sign in again."""
        over = await sign_user_out(run, user, who.tenant)
        log.info("user %r of %r is signed out by %s: %s", user, who.tenant, who.user, over)
        return over


def _add_sessions(router: APIRouter, read: Read, run: Run) -> None:
    @router.post("/sessions/{id}/end", responses={409: {"model": ErrorAnswer, "description": "It is over already"}})
    async def end_session(id: str, who: Controller) -> EndedSession:  # noqa: A002 - the API's name of it
        """One conversation ends, and its calls are cancelled."""
        ids = named("session", id)
        asked = histories.sessions_with_counts(who.tenant, ids)
        only("session", id, await read(who.tenant, asked))
        over = await end(run, session_end.the_session(ids.first, who.tenant), session_end.ENDED_BY_OPERATOR)
        row = only("session", id, await read(who.tenant, asked)) if not over.sessions else None
        if row is not None and row.end_reason != session_end.ENDED_BY_OPERATOR:  # else it was asked for before, unheard
            raise Conflict("The session is over.", code="session_over", param="id")
        log.info("session %s is ended by %s", ids.first, who.user)
        return EndedSession(id=ids.first, **over.model_dump())


async def sign_user_out(run: Run, user: str, tenant: str) -> SignedOut:
    """First what they came in with, then what they began: nothing slips in between."""
    (row,) = await run(credentials.sign_out(tenant, user))
    secrets = await run(credentials.void_secrets(tenant, user))
    over = await end(run, session_end.sessions_of_signed_out(user, tenant), session_end.REVOKED)
    keys = await run(credentials.keys_of(tenant, user))
    return SignedOut(user=user, before=row.before, secrets=len(secrets), keys=len(keys), **over.model_dump())


async def end(run: Run, which: ColumnElement[bool], reason: str) -> EndedCounts:
    """End these sessions, and cancel their calls."""
    sessions: Sequence[Row[Any]] = await run(session_end.end(which, reason))
    return EndedCounts(sessions=len(sessions), calls=len(await run(session_end.cancel_calls(which))))


def key(row: Row[Any]) -> Key:
    """A key as its row says."""
    names = ("id", "scopes", "created_at", "expires_at", "revoked_at")
    return Key(user=row.user_id, **{name: getattr(row, name) for name in names})
