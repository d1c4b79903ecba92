"""The routes for strangers on a bare app and a real Postgres, asked as clients ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from pydantic import SecretStr

from gateway.api import client_secrets, history, job_control, revocation
from gateway.auth.authenticator import Authenticator, StaticToken
from gateway.auth.tokens import Kind, digest, new
from gateway.storage.database import Store
from ringback.agents.agent import Agent, load_agents
from ringback.statements.identity import credentials
from tests.integration.toolbox.small_gateway import app_on, small_gateway

STATIC = "a-token-of-the-settings"
AGENTS = {
    **load_agents(Path(__file__).parents[3] / "agents"),
    "theirs": Agent(name="theirs", instructions="You are somebody else's.", tenants=("other",)),
}
LIMIT = 5


class Api:
    """The routes on an app, asked as clients ask."""

    def __init__(self, store: Store) -> None:
        self.store = store

        self.authenticator = Authenticator({"demo": StaticToken(SecretStr(STATIC))}, store.rows)
        gateway = small_gateway(store, AGENTS, authenticator=self.authenticator, limit=LIMIT)
        parts = (client_secrets, revocation, history, job_control)
        self.app = app_on(gateway, *(part.router for part in parts))
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
