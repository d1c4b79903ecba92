"""Revoke keys, sign users out and end sessions, over HTTP.

Live sessions end within about a second, on any gateway, and their calls are cancelled; detached ones cannot be resumed.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import AfterValidator, BaseModel
from sqlalchemy import ColumnElement

from gateway.api.dependencies import REFUSALS, Admin, Controller, TheGateway
from gateway.api.error_handlers import ErrorAnswer
from gateway.api.history import named, only
from gateway.api.job_control import Why, operator
from gateway.errors import Conflict
from gateway.storage.database import Store
from ringback.history.pagination import Listing, printable
from ringback.statements import access, session_end
from ringback.statements import history as histories
from ringback.statements.identity import credentials
from ringback.statements.operators import acts
from ringback.statements.operators.audit import Operator

log = logging.getLogger(__name__)

User = Annotated[str, Path(min_length=1, max_length=200), AfterValidator(printable)]
"""A user's name in a path."""


class EndedCounts(BaseModel):
    """How many sessions were ended, live or detached, and how many calls were cancelled."""

    sessions: int
    calls: int


class Key(BaseModel):
    """An API key, without its value."""

    object: Literal["key"] = "key"
    id: UUID
    user: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class RevokedKey(Key, EndedCounts):
    """A revoked key, and how many sessions ended with it."""


class SignedOut(EndedCounts):
    """The user who was signed out. `keys`: API keys of the user that stay valid until each of them is revoked."""

    object: Literal["sign_out"] = "sign_out"
    user: str
    before: datetime
    secrets: int
    keys: int


class EndedSession(EndedCounts):
    """The session that ends."""

    object: Literal["session.end"] = "session.end"
    id: UUID


router = APIRouter(prefix="/v1", responses=REFUSALS, tags=["revocation"])


@router.get("/keys")
async def list_keys(who: Admin, gateway: TheGateway) -> Listing[Key]:
    """List the tenant's newest API keys, 200 at most, without their values."""
    return Listing(data=[key(row) for row in await gateway.store.rows(credentials.keys(who.tenant))])


@router.post("/keys/{id}/revoke")
async def revoke_key(
    id: str,  # noqa: A002 - the API's name of it
    who: Admin,
    gateway: TheGateway,
    why: Why | None = None,
) -> RevokedKey:
    """Revoke an API key, and the client secrets that were made with it; their sessions end."""
    ids, store = named("key", id), gateway.store
    key_id = ids.first
    await store.rows(access.revoke_key(operator(who, why), key_id))
    row = only("key", id, await store.rows(credentials.keys_in(ids, who.tenant)))
    over = await end(store, session_end.sessions_of_key(key_id), session_end.REVOKED)
    log.info("key %s revoked by %s: %s", key_id, who.user, over)
    return RevokedKey(**key(row).model_dump(), **over.model_dump())


@router.post("/users/{user:path}/sign-out")  # a name may hold a slash
async def sign_out(user: User, who: Admin, gateway: TheGateway, why: Why | None = None) -> SignedOut:
    """Void what was issued to the user until now, and end their sessions. The user may sign in again."""
    over = await sign_user_out(gateway.store, operator(who, why), user)
    log.info("user %r of %r signed out by %s: %s", user, who.tenant, who.user, over)
    return over


@router.post("/sessions/{id}/end", responses={409: {"model": ErrorAnswer, "description": "It is over already"}})
async def end_session(
    id: str,  # noqa: A002 - the API's name of it
    who: Controller,
    gateway: TheGateway,
    why: Why | None = None,
) -> EndedSession:
    """End one conversation, and cancel its calls."""
    store, ids = gateway.store, named("session", id)
    asked = histories.sessions_with_counts(who.tenant, ids)
    only("session", id, await store.rows_of(who.tenant, asked))
    ended = await store.rows(acts.end_session(operator(who, why), ids.first))
    calls = await store.rows(session_end.cancel_calls(session_end.one_session(ids.first, who.tenant)))
    over = EndedCounts(sessions=len(ended), calls=len(calls))
    row = only("session", id, await store.rows_of(who.tenant, asked)) if not over.sessions else None
    if row is not None and row.end_reason != session_end.ENDED_BY_OPERATOR:  # else it was asked for before, unheard
        raise Conflict("The session is over.", code="session_over", param="id")
    log.info("session %s ended by %s", ids.first, who.user)
    return EndedSession(id=ids.first, **over.model_dump())


async def sign_user_out(store: Store, who: Operator, user: str) -> SignedOut:
    """Void the user's credentials first, then end the sessions, so that no session begins in between."""
    tenant = who.tenant
    (row,) = await store.rows(access.sign_out(who, user))
    secrets = await store.rows(credentials.revoke_secrets(tenant, user))
    over = await end(store, session_end.sessions_of_signed_out(user, tenant), session_end.REVOKED)
    keys = await store.rows(credentials.keys_of(tenant, user))
    return SignedOut(user=user, before=row.before, secrets=len(secrets), keys=len(keys), **over.model_dump())


async def end(store: Store, which: ColumnElement[bool], reason: str) -> EndedCounts:
    """End these sessions, and cancel their calls."""
    sessions = await store.rows(session_end.ask_to_end(which, reason))
    return EndedCounts(sessions=len(sessions), calls=len(await store.rows(session_end.cancel_calls(which))))


def key(row: Any) -> Key:
    """Return the key that a row describes."""
    names = ("id", "scopes", "created_at", "expires_at", "revoked_at")
    return Key(user=row.user_id, **{name: getattr(row, name) for name in names})
