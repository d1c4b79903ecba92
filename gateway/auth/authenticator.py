"""Authenticates callers from headers alone, before the upgrade. A token never stands in a URL or a log."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID, uuid4

import psycopg
from pydantic import SecretStr

from gateway.auth.claims import PHONE_USER, RESERVED
from gateway.auth.tokens import Kind, digest, kind_of
from gateway.bounded_semaphore import BoundedSemaphore, Overloaded
from gateway.errors import AuthenticationError, Unavailable
from ringback.postgres.statement import Runnable
from ringback.statements import erasure
from ringback.statements.identity import credentials
from ringback.tables import DEFAULT_TENANT

log = logging.getLogger(__name__)

SUBPROTOCOL = "realtime"
TOKEN_SUBPROTOCOL = "openai-insecure-api-key."  # noqa: S105 — the official SDKs' own prefix, for browsers.
LOOKUPS_AT_ONCE = 4
"""Of the gateway's connections to Postgres: clients that guess tokens must leave some to the calls."""
LOOKUPS_WAITING = 500
"""A wave of clients that reconnect at once waits, a millisecond each; more than that is an attack."""

MARK_CHARACTERS = 16
"""Of a hash: enough to notice another token, too few to guess the token from."""

REALTIME, SECRETS, TRUSTED, HISTORY, TRANSCRIPTS, RECORDINGS, CONTROL, ADMIN = SCOPES = (
    "realtime",  # hold a conversation
    "secrets",  # make client secrets for users
    "trusted",  # get the policy of a backend instead of a browser's
    "history",  # read sessions, calls and usage
    "transcripts",  # read what was said in them, word by word
    "recordings",  # listen to recorded voices
    "control",  # cancel and approve calls, end sessions
    "admin",  # revoke, sign out and erase
)
"""What a caller may do with the gateway. Any other scope is for tools (`@tool(scopes=…)`)."""

HOW_TO_AUTHENTICATE = (
    "Send `Authorization: Bearer <token>`, or from a browser the subprotocols "
    '["realtime", "openai-insecure-api-key.<token>"].'
)
NOT_KNOWN = f"This token is not valid: it may have expired, been revoked, or been used up. {HOW_TO_AUTHENTICATE}"
OF_A_CALLER = f"This API key is not valid: {RESERVED}. Revoke it, and make one for a user of another name."
UNKNOWABLE = "Who you are cannot be looked up right now. Try again in a moment."


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated client: `user` within `tenant`.

    Args:
        claims: more about the user, handed to tools; `claims["scopes"]` holds the scopes as a sorted list.
        scopes: of `SCOPES`, and any that tools ask for.
        credential: which credential the client used, as `sessions.credential` has it; never its value.
        agent: the only agent that the client may have; None: any.
        spends: the client secret that a new session uses up; None: no secret, or it began this session before.
        issued_at: when an identity provider issued the token.
        visit: this request, which spends a secret once, also if the statement is repeated.
    """

    user: str
    tenant: str = DEFAULT_TENANT
    claims: dict[str, Any] = field(default_factory=dict, hash=False)
    scopes: frozenset[str] = frozenset({REALTIME, SECRETS, HISTORY, CONTROL})
    credential: str = ""
    agent: str | None = None
    spends: UUID | None = None
    issued_at: datetime | None = None
    visit: UUID = field(default_factory=uuid4, compare=False)

    @property
    def is_trusted(self) -> bool:
        """Whether the client is a backend."""
        return TRUSTED in self.scopes


def principal(user: str, tenant: str, scopes: Iterable[str], claims: Mapping[str, Any], **more: Any) -> Principal:
    """Return a principal whose claim `scopes` is its scopes, and never a claim of the token."""
    granted = frozenset(scopes)
    return Principal(user, tenant, {**claims, "scopes": sorted(granted)}, granted, **more)


@dataclass(frozen=True, slots=True)
class StaticToken:
    """A token of the settings.

    Args:
        marks: scopes that it has beside those of every such token: `trusted`, `transcripts`, `recordings`.
    """

    secret: SecretStr
    marks: frozenset[str] = frozenset()

    @property
    def scopes(self) -> frozenset[str]:
        """Scopes of a client with this token."""
        return Principal("").scopes | self.marks


class IdentityProvider(Protocol):
    """Verifies an identity provider's tokens (`gateway.auth.key_sets`)."""

    def is_one(self, token: str) -> bool:
        """Return whether the token looks like one of the provider's."""
        ...

    async def principal(self, token: str) -> Principal:
        """Return whose the token is; raise AuthenticationError or Unavailable."""
        ...


Read = Callable[[Runnable], Awaitable[Sequence[Any]]]


class Authenticator:
    """Authenticates callers by their token.

    Args:
        tokens: static tokens of the settings, by user; kept as hashes and compared in constant time.
        read: runs one statement; None: only static tokens are taken.
        provider: the identity provider whose JWTs are taken.
    """

    def __init__(
        self, tokens: Mapping[str, StaticToken], read: Read | None = None, provider: IdentityProvider | None = None
    ) -> None:
        self._users = {digest(token.secret.get_secret_value()): (user, token.scopes) for user, token in tokens.items()}
        self._read = read
        self._provider = provider
        self._lookups = BoundedSemaphore(LOOKUPS_AT_ONCE, LOOKUPS_WAITING)

    async def identify(
        self,
        authorization: str | None,
        subprotocols: Iterable[str] = (),
        resume_hash: bytes | None = None,
        api_key: str | None = None,
    ) -> Principal:
        """Return the caller of a request, by `Authorization: Bearer …` or a browser's WebSocket subprotocol.

        Args:
            api_key: the header `api-key`, in which Azure's SDKs send what others send as a bearer.
            resume_hash: hash of the token of the session to resume. A client secret that is used up is still valid
                for a session that was begun with it.

        Raises:
            AuthenticationError: the token is missing or not valid.
            Unavailable: Postgres, or the identity provider, does not answer.
        """
        token = bearer(authorization) or offered(subprotocols) or (api_key or "").strip() or None
        if token is None:
            raise AuthenticationError(f"There is no token. {HOW_TO_AUTHENTICATE}")
        hashed = digest(token)
        found = [who for known, who in self._users.items() if hmac.compare_digest(known, hashed)]
        if found:
            user, scopes = found[0]
            return principal(user, DEFAULT_TENANT, scopes, {}, credential=f"token:{user}")
        kind = kind_of(token)
        if kind is Kind.KEY:
            return await self._by_key(hashed)
        if kind is Kind.SECRET:
            return await self._by_secret(hashed, resume_hash)
        if self._provider is not None and self._provider.is_one(token):
            return await self._by_provider(self._provider, token)
        raise AuthenticationError(NOT_KNOWN)

    def mark(self, user: str, salt: bytes) -> str | None:
        """Return a mark of the user's static token, which changes with the token; None if the settings have none."""
        found = [known for known, (name, _) in self._users.items() if name == user]
        return digest(f"{salt.hex()} {found[0].hex()}").hex()[:MARK_CHARACTERS] if found else None

    async def spend(self, who: Principal) -> None:
        """Use up the client secret of a new session; raise AuthenticationError if it was used up or voided."""
        if who.spends is not None and not await self._rows(credentials.spend_secret(who.spends, who.visit)):
            raise AuthenticationError(NOT_KNOWN)

    async def give_back(self, who: Principal) -> None:
        """Give a spent client secret back, as no session began. If Postgres is away, the secret is lost."""
        if who.spends is not None:
            with suppress(Unavailable):
                await self._rows(credentials.return_secret(who.spends, who.visit))

    async def is_still_good(self, who: Principal) -> bool:
        """Return whether the credential is still valid, now that the session's row exists.

        A later revocation finds that row. If Postgres does not answer, the session goes on: it named the user a moment
        ago.
        """
        asked = _still_good(who)
        try:
            return asked is None or bool(await self._rows(asked))
        except Unavailable:
            return True

    async def forget(self, session_id: UUID) -> None:
        """Mark a session for erasure, if its user was erased while it began."""
        with suppress(Unavailable):
            await self._rows(erasure.mark_unless_known(session_id))

    async def _by_key(self, hashed: bytes) -> Principal:
        for row in await self._rows(credentials.key_by_hash(hashed)):
            if row.user_id.startswith(PHONE_USER):  # made before such names were refused
                raise AuthenticationError(OF_A_CALLER)
            return principal(row.user_id, row.tenant, row.scopes, {}, credential=f"key:{row.id}")
        raise AuthenticationError(NOT_KNOWN)

    async def _by_secret(self, hashed: bytes, resume_hash: bytes | None) -> Principal:
        for row in await self._rows(credentials.secret_by_hash(hashed, resume_hash)):
            if not (row.is_good or row.began):
                break
            # A resume token that is not valid is answered with 404, and costs no use of the secret.
            spends = row.id if not row.began and (resume_hash is None or row.resumes) else None
            scopes = {REALTIME, *row.claims.get("scopes", ())}
            return principal(
                row.user_id,
                row.tenant,
                scopes,
                row.claims,
                credential=f"secret:{row.id}",
                agent=row.agent,
                spends=spends,
            )
        raise AuthenticationError(NOT_KNOWN)

    async def _by_provider(self, provider: IdentityProvider, token: str) -> Principal:
        who = await provider.principal(token)
        issued_at = who.issued_at or datetime.fromtimestamp(0, UTC)
        if await self._rows(credentials.is_signed_out(who.tenant, who.user, issued_at)):
            raise AuthenticationError("You have been signed out since this token was issued. Sign in again.")
        return who

    async def _rows(self, statement: Runnable) -> Sequence[Any]:
        if self._read is None:
            return []
        try:
            async with self._lookups:
                return await self._read(statement)
        except Overloaded:
            raise Unavailable(UNKNOWABLE) from None
        except (psycopg.Error, OSError) as problem:
            log.warning("credential lookup failed (%s); the client is answered with 503", type(problem).__name__)
            raise Unavailable(UNKNOWABLE) from None


def _still_good(who: Principal) -> Runnable | None:
    """Return a statement with one row while the credential is valid; None for a static token, always valid."""
    kind, _, rest = who.credential.partition(":")
    if kind == "key":
        return credentials.key_is_good(UUID(rest))
    if kind == "secret":
        return credentials.secret_is_good(UUID(rest))
    if kind == "jwt":
        return credentials.is_not_signed_out(who.tenant, who.user, who.issued_at or datetime.fromtimestamp(0, UTC))
    return None


def bearer(authorization: str | None) -> str | None:
    """Return the token in an Authorization header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def offered(subprotocols: Iterable[str]) -> str | None:
    """Return the token among the subprotocols of a browser, which cannot set headers."""
    for protocol in subprotocols:
        if protocol.startswith(TOKEN_SUBPROTOCOL):
            return protocol.removeprefix(TOKEN_SUBPROTOCOL) or None
    return None
