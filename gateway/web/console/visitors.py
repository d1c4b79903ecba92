"""Visitors of the console: who they are, by a cookie, and whether a form is one of the console's own.

A sign-in is a row (`ringback.statements.identity.console_sign_ins`); the cookie holds a random value whose hash that
row has. It ends with the credential that it was made with (docs/decisions/0067).
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

from fastapi import Depends, Request
from fastapi.responses import Response

from gateway.api.dependencies import Gateway, TheGateway
from gateway.auth.authenticator import CONTROL, HISTORY, RECORDINGS, TRANSCRIPTS, Principal, principal
from gateway.auth.tokens import digest, new
from gateway.errors import AuthenticationError, BadRequest, GatewayError, PermissionDenied
from ringback.statements.identity import console_sign_ins, credentials
from ringback.tables import DEFAULT_TENANT

COOKIE = "ringback_console"
PREFIX = "rb_console_"
LINK_PREFIX = "rb_link_"
PATH = "/console"
HOURS = 12.0
"""How long a sign-in lasts: a working day."""
HOURS_OF_A_JWT = 1.0
"""Of one that a token of an identity provider made: such a token expires soon itself."""
LINK_SECONDS = 3_600.0
"""How long a link that signs in is valid, if it is not followed."""
LINK_OVER = "This link was followed before, or is over. Sign in with a token."
CSRF = "csrf"
"""The field of every form that acts."""
FORGED = "This form is not from a page that you have open now. Go back, reload the page, and try again."
MAX_FIELDS = 50
"""Fields of one form."""


class SignInNeeded(GatewayError):
    """There is no cookie, or its sign-in is over; becomes the sign-in page."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """A signed-in operator.

    Args:
        csrf: what a form must bear: a hash of the cookie, which no foreign page knows.
        sign_in: the hash of the cookie that its row has.
    """

    who: Principal
    csrf: str
    sign_in: bytes = b""

    @property
    def tenant(self) -> str:
        """The tenant whose rows they see."""
        return self.who.tenant

    @property
    def may_act(self) -> bool:
        """Whether they may cancel, retry and pause."""
        return CONTROL in self.who.scopes

    @property
    def may_read_words(self) -> bool:
        """Whether they may read what was said (docs/decisions/0076)."""
        return self.is_operator and TRANSCRIPTS in self.who.scopes

    @property
    def may_listen(self) -> bool:
        """Whether they may hear recorded voices."""
        return RECORDINGS in self.who.scopes

    @property
    def is_operator(self) -> bool:
        """Whether they run the installation: they see processes, and why a tool's code failed."""
        return self.who.tenant == DEFAULT_TENANT


async def visitor_of(request: Request, gateway: TheGateway) -> Visitor:
    """Return who the cookie signs in; raise SignInNeeded, or PermissionDenied without the scope `history`."""
    value = request.cookies.get(COOKIE, "")
    row = await _row(gateway, value) if value.startswith(PREFIX) else None
    if row is None:
        raise SignInNeeded
    who = principal(row.user_id, row.tenant, row.claims["scopes"], {}, credential=row.minted_by)
    visitor = Visitor(_reader(who), csrf_of(value), digest(value))
    request.state.visitor = visitor  # the page of an error has the bar
    return visitor


Signed = Annotated[Visitor, Depends(visitor_of)]


async def sign_in(gateway: Gateway, token: str) -> tuple[str, float]:
    """Return the cookie's value for an operator's token, and for how many seconds it is valid.

    Raises:
        AuthenticationError: the token is missing, not valid, or a link that was followed before.
        PermissionDenied: it lacks the scope `history`.
    """
    if token.startswith(LINK_PREFIX):
        return await _follow(gateway, token)
    who = _reader(await gateway.authenticator.identify(f"Bearer {token}" if token else None))
    value, seconds = await _begin(gateway, who, PREFIX)
    if not await gateway.authenticator.is_still_good(who):
        raise AuthenticationError("This token was revoked a moment ago.")
    return value, seconds


async def link_for(gateway: Gateway, who: Principal) -> str:
    """Return the path of a page that signs in as this caller, once. Its fragment never reaches a server or a log."""
    value, _ = await _begin(gateway, _reader(who), LINK_PREFIX, LINK_SECONDS)
    return f"{PATH}/sign-in#{value}"


async def _follow(gateway: Gateway, link: str) -> tuple[str, float]:
    row = await _row(gateway, link)
    if row is None or not await gateway.store.rows(console_sign_ins.end(digest(link))):
        raise AuthenticationError(LINK_OVER)
    kind, _, rest = row.minted_by.partition(":")
    credential = f"key:{row.key_id}" if row.key_id else f"jwt:{rest}" if kind == "user" else row.minted_by
    return await _begin(gateway, principal(row.user_id, row.tenant, row.claims["scopes"], {}, credential=credential))


async def _begin(
    gateway: Gateway, who: Principal, prefix: str = PREFIX, seconds: float | None = None
) -> tuple[str, float]:
    kind, _, rest = who.credential.partition(":")
    value, sign_in_id = new(prefix), uuid4()
    minted_by = credentials.person(who.user) if kind == "jwt" else who.credential
    lasts = seconds or (HOURS_OF_A_JWT if kind == "jwt" else HOURS) * 3_600
    row = console_sign_ins.begin(
        sign_in_id,
        digest(value),
        tenant=who.tenant,
        user=who.user,
        minted_by=minted_by,
        key_id=UUID(rest) if kind == "key" else None,
        claims={"scopes": sorted(who.scopes), "mark": _mark(gateway, minted_by, sign_in_id)},
        seconds_valid=lasts,
    )
    await gateway.store.rows(row)
    return value, lasts


async def _row(gateway: Gateway, value: str) -> Any:
    """Return the row of a sign-in or a link; None if it is over."""
    for row in await gateway.store.rows(console_sign_ins.by_digest(digest(value))):
        if row.claims.get("mark") == _mark(gateway, row.minted_by, row.id):
            return row
    return None


async def sign_out(request: Request, gateway: Gateway) -> None:
    """End the sign-in of the request's cookie."""
    await gateway.store.rows(console_sign_ins.end(digest(request.cookies.get(COOKIE, ""))))


def set_cookie(request: Request, response: Response, value: str, seconds: float) -> None:
    """Give the browser the cookie, or take it away (`seconds` 0)."""
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))
    response.set_cookie(COOKIE, value, max_age=int(seconds), path=PATH, secure=secure, httponly=True, samesite="strict")


def csrf_of(cookie: str) -> str:
    """Return what the forms of this sign-in bear."""
    return urlsafe_b64encode(digest(f"form of {cookie}"))[:32].decode()


async def fields_of(request: Request, visitor: Visitor | None) -> dict[str, str]:
    """Return the fields of a form; of each name the last.

    Raises:
        PermissionDenied: the form does not bear what the visitor's forms bear.
        BadRequest: the body is no form.
    """
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("The body is no form.") from None
    fields = dict(pairs)
    if visitor is not None and not hmac.compare_digest(fields.get(CSRF, "").encode(), visitor.csrf.encode()):
        raise PermissionDenied(FORGED, code="forged_form")
    return fields


def actor(visitor: Visitor) -> Visitor:
    """Return the visitor; raise PermissionDenied if they may not act."""
    if not visitor.may_act:
        raise PermissionDenied("Acting needs the scope 'control', which the token that you signed in with lacks.")
    return visitor


def _reader(who: Principal) -> Principal:
    if HISTORY not in who.scopes:
        has = ", ".join(sorted(who.scopes)) or "none"
        raise PermissionDenied(f"The console needs a token with the scope 'history'; this one has: {has}.")
    return who


def _mark(gateway: Gateway, minted_by: str, sign_in_id: UUID) -> Any:
    """Return what changes with the token of the settings that made this sign-in; None: another credential made it."""
    kind, _, user = minted_by.partition(":")
    return gateway.authenticator.mark(user, sign_in_id.bytes) or "" if kind == "token" else None
