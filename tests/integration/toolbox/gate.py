"""Callers on a real Postgres, and who else writes there."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid4

from gateway.auth.authenticator import Authenticator, Principal
from gateway.auth.resume_tokens import new_token
from gateway.auth.tokens import Kind, digest, new
from gateway.errors import AuthenticationError
from gateway.storage.database import Store
from ringback.statements.identity import credentials
from ringback.statements.sessions import lifecycle


@dataclass
class Gate:
    """Callers on a real Postgres, and who else writes there."""

    store: Store
    authenticator: Authenticator

    async def key(
        self, scopes: tuple[str, ...] = ("realtime",), user: str = "shop", days: float | None = None
    ) -> tuple[UUID, str]:
        key_id, key = uuid4(), new(Kind.KEY)
        await self.store.rows(
            credentials.create_key(key_id, digest(key), user=user, tenant="acme", scopes=scopes, seconds_valid=days)
        )
        return key_id, key

    async def secret(
        self, user: str = "ada", uses: int = 1, key_id: UUID | None = None, seconds: float = 600, limit: int = 100
    ) -> str | None:
        secret = new(Kind.SECRET)
        minted = credentials.mint_secret(
            uuid4(),
            digest(secret),
            tenant="acme",
            user=user,
            minted_by="key:x",
            key_id=key_id,
            agent="demo",
            claims={"plan": "gold", "scopes": ["orders:read"]},
            uses=uses,
            seconds_valid=seconds,
            limit=limit,
        )
        return secret if await self.store.rows(minted) else None

    async def whose(self, token: str, resume: str | None = None) -> Principal:
        return await self.authenticator.identify(f"Bearer {token}", (), digest(resume) if resume else None)

    async def is_refused(self, token: str, resume: str | None = None) -> bool:
        try:
            await self.whose(token, resume)
        except AuthenticationError as nobody:
            return nobody.status == 401
        return False

    async def begin(self, who: Principal, agent: str = "demo") -> tuple[UUID, str]:
        """A session of theirs, and the token that resumes it."""
        session, resume = uuid4(), new_token()
        await self.store.count(
            lifecycle.open_session(
                session,
                user_id=who.user,
                tenant=who.tenant,
                credential=who.credential,
                agent=agent,
                model="m",
                gateway_id="gw",
                resume_hash=digest(resume),
                resume_seconds=60.0,
            )
        )
        return session, resume
