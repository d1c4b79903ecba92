"""Which scope a route asks for: FastAPI dependencies that give a `Principal`, or refuse in one sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.auth.authenticator import Authenticator, Principal
from gateway.errors import PermissionDenied

bearer_token = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="An API key (`rb_sk_…`), a JWT of the identity provider, or a token of the gateway's settings. "
    "What it may do, its scopes say: realtime, secrets, trusted, history, control, admin.",
)

REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The token is missing, or no good: unknown, expired, revoked, used up or signed out"},
    403: {"description": "The token is good, and lacks the scope; or the page's origin may not ask"},
    503: {"description": "Postgres, or the identity provider, does not answer; `Retry-After` says when to try again"},
}
"""What every route that asks for a token may answer."""


async def authenticated(
    request: Request, _described: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_token)] = None
) -> Principal:
    """The caller of an HTTP request, or 401."""
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.identify(request.headers.get("authorization"))


def needs(scope: str) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the caller, who has this scope; or 401, or 403."""

    async def caller_with_scope(who: Annotated[Principal, Depends(authenticated)]) -> Principal:
        if scope not in who.scopes:
            has = ", ".join(sorted(who.scopes)) or "none"
            raise PermissionDenied(f"This needs the scope {scope!r}; yours: {has}.")
        return who

    return caller_with_scope
