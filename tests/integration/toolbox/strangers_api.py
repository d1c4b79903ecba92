"""The routes for strangers on a bare app and a real Postgres, asked as clients ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Executable

from gateway.api.client_secrets import mint_router
from gateway.api.error_handlers import add_error_handlers
from gateway.api.history import history_router
from gateway.api.job_cancelling import cancel_router
from gateway.api.revocation import revoke_router
from gateway.api.scopes import REFUSALS, needs
from gateway.auth.authenticator import CONTROL, HISTORY, Authenticator, StaticToken
from gateway.auth.tokens import Kind, digest, new
from gateway.storage.database import Store
from ringback.agents.agent import Agent, load_agents
from ringback.statements.identity import credentials

STATIC = "a-token-of-the-settings"
AGENTS = {
    **load_agents(Path(__file__).parents[3] / "agents"),
    "theirs": Agent(name="theirs", instructions="You are somebody else's.", tenants=("other",)),
}
LIMIT = 5


def find(agent: str | None, model: str | None) -> Agent | None:
    return AGENTS.get(agent) if agent is not None else AGENTS.get(model or "") or AGENTS["demo"]


class Api:
    """The routes on an app, asked as clients ask."""

    def __init__(self, store: Store) -> None:
        self.store = store

        async def read(tenant: str, statement: Executable) -> Any:
            return await store.rows_of(tenant, statement)

        async def ring(gateway_id: str, session_id: UUID) -> None:
            """Nobody is there to hear it."""

        self.app = FastAPI()
        self.app.state.authenticator = Authenticator({"demo": StaticToken(SecretStr(STATIC))}, store.rows)
        add_error_handlers(self.app)
        for router in (
            mint_router(store.rows, find, LIMIT),
            revoke_router(read, store.rows),
            history_router(read, store.rows, lambda tenant, tool: True, needs(HISTORY)),
            cancel_router(read, store.rows, ring, needs(CONTROL)),
        ):
            self.app.include_router(router, responses=REFUSALS)
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://gateway/v1")

    async def key(self, *scopes: str, tenant: str = "default", user: str = "shop") -> str:
        key = new(Kind.KEY)
        await self.store.rows(
            credentials.create_key(uuid4(), digest(key), user=user, tenant=tenant, scopes=scopes, seconds_valid=None)
        )
        return key

    async def ask(self, method: str, path: str, token: str = STATIC, **more: Any) -> httpx.Response:
        return await self.client.request(method, path, headers={"Authorization": f"Bearer {token}"}, **more)

    async def mint(self, token: str = STATIC, **body: Any) -> httpx.Response:
        return await self.ask("POST", "/realtime/client_secrets", token, json=body)
