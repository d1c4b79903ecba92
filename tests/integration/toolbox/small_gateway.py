"""The API's routes on an app without a lifespan: a `Gateway` with only what the routes under test need."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from fastapi import APIRouter, FastAPI, HTTPException, Request

from gateway.api.dependencies import Gateway, authenticated, gateway_of
from gateway.api.error_handlers import add_error_handlers
from gateway.auth.authenticator import SCOPES, Authenticator, Principal
from gateway.background.change_feed import ChangeFeed
from gateway.background.retention import Retention
from gateway.session.admission import SessionAdmission
from gateway.storage.connection_pool import ConnectionPool
from gateway.storage.database import Store
from ringback.agents.agent import Agent
from ringback.config.settings import postgres_url
from ringback.postgres.connections import AsyncConnection, Bounds

NOT_HERE: Any = None
DEMO = Agent(name="demo", instructions="You answer the phone.", tools=("*",), tenants=("default",))


class RecordingPublisher:
    """Keeps what it is asked to publish, and whom to wake up."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, UUID]] = []
        self.published: list[tuple[UUID, str]] = []
        self.redis = SimpleNamespace(notify=self._notify)

    async def _notify(self, gateway_id: str, session_id: UUID) -> None:
        self.rung.append((gateway_id, session_id))

    async def publish(self, job_id: UUID, queue: str) -> bool:
        self.published.append((job_id, queue))
        return True


def small_gateway(
    store: Store,
    agents: Mapping[str, Agent] | None = None,
    *,
    authenticator: Authenticator | None = None,
    publisher: Any = None,
    changes: ChangeFeed | None = None,
    limit: int = 10,
) -> Gateway:
    return Gateway(
        store=store,
        publisher=publisher if publisher is not None else NOT_HERE,
        authenticator=authenticator or Authenticator({}, store.rows),
        admission=SessionAdmission(agents or {"demo": DEMO}, NOT_HERE, NOT_HERE, NOT_HERE, NOT_HERE, "demo"),
        retention=Retention(store, None),
        draining=NOT_HERE,
        changes=changes or ChangeFeed(store, lambda: False),
        max_client_secrets=limit,
    )


def app_on(gateway: Gateway, *routers: APIRouter) -> FastAPI:
    """An app with these routes and the gateway's errors."""
    app = FastAPI()
    add_error_handlers(app)
    for router in routers:
        app.include_router(router)
    app.dependency_overrides[gateway_of] = lambda: gateway
    return app


def tenant_as_token(request: Request) -> Principal:
    """A caller with every scope, whose token is the name of their tenant: "default" or "other"."""
    token = request.headers.get("authorization", "").removeprefix("Bearer ")
    if token not in {"default", "other"}:
        raise HTTPException(401, "who are you?")
    return Principal("ada", token, scopes=frozenset(SCOPES))


def app_for_tenants(gateway: Gateway, *routers: APIRouter) -> FastAPI:
    """As `app_on`, asked by `tenant_as_token`."""
    app = app_on(gateway, *routers)
    app.dependency_overrides[authenticated] = tenant_as_token
    return app


def store_on(database: str) -> Store:
    """A store without a pool, for an event loop per request."""
    return Store(_Unpooled(postgres_url(database), "test", 10, Bounds(5), connect_seconds=5, wait_seconds=5))


class _Unpooled(ConnectionPool):
    async def give_back(self, connection: AsyncConnection) -> None:
        await connection.close()
        await super().give_back(connection)
