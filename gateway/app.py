"""Wires the gateway: opens what is shared, in order, and closes it in reverse. The only wiring there is."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Executable, Row

from gateway.api.client_secrets import mint_router
from gateway.api.error_handlers import add_error_handlers
from gateway.api.history import history_router
from gateway.api.job_approving import approve_router
from gateway.api.job_cancelling import cancel_router
from gateway.api.realtime import router
from gateway.api.revocation import revoke_router
from gateway.api.scopes import REFUSALS, needs
from gateway.api.usage import usage_router
from gateway.api.users import erase_router
from gateway.auth.authenticator import CONTROL, HISTORY, Authenticator, IdentityProvider
from gateway.auth.request_filter import RequestFilter
from gateway.background.agent_registry import AgentRegistry
from gateway.background.draining import Draining, DrainingServer
from gateway.background.lease import Lease
from gateway.background.lease_keeper import LeaseKeeper
from gateway.background.queue_monitor import QueueMonitor
from gateway.background.result_listener import ResultListener
from gateway.background.retention import ErasedCounts, Retention
from gateway.background.tool_catalog import ToolCatalog
from gateway.background.webhooks import Webhooks
from gateway.budgets.budgets import Budgets
from gateway.budgets.pricing import prices_for
from gateway.live_sessions import SessionRegistry
from gateway.production_checks import prove_certificate, refuse_a_cluster, refuse_what_is_unsafe
from gateway.server.uvicorn_protocols import WireHttp, WireSocket, is_news
from gateway.session.admission import SessionAdmission
from gateway.session.context import GatewayContext
from gateway.session.restarting import Loop, restarting
from gateway.settings import GatewaySettings
from gateway.storage.database import Store, lease_connector, open_engine, prove_wall
from gateway.storage.job_publisher import JobPublisher
from ringback.agents.agent import Agent
from ringback.config import logs
from ringback.errors import ConfigurationError

log = logging.getLogger(__name__)

PING_SECONDS = 15.0
PONG_SECONDS = 10.0
"""A client that is gone without a goodbye is noticed within 25 s."""
SHUTDOWN_SECONDS = 10
"""What uvicorn gives sessions to end in."""
WIRE_LOGGERS = ("uvicorn.error", "websockets.client", "websockets.server")
"""At DEBUG they write down every header, tokens and the key among them: they do not get that far."""
BACKLOG = 1_024
"""Connections that may wait to be accepted: a whole gateway's clients may come back at once."""
SEND_BUFFER_BYTES = 256 * 1_024
"""What the kernel may hold for one client: four seconds of audio."""
MAX_BODY_BYTES = 64 * 1_024
"""Of a request to the API: none says more than a few lines."""
GIVE_UP_MS = 15_000
"""A client that acknowledges nothing for so long is gone."""


def create_app(settings: GatewaySettings) -> FastAPI:
    """The gateway as an ASGI application; raises ConfigurationError where the agents are wrong."""
    agents = AgentRegistry(settings.agents_folder, settings.default_agent)
    prices = prices_for(settings, agents.values())
    gateway_id = f"gateway-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            store = Store(open_engine(settings.database_url, settings.database_pool))
            stack.push_async_callback(store.close)
            app.state.store = store
            row_privacy = settings.row_privacy
            logs.leave_out(row_privacy.redaction.kinds)
            publisher = JobPublisher(settings.redis_url)
            stack.callback(publisher.close)
            app.state.publisher = publisher
            live_sessions = SessionRegistry(settings.max_sessions)
            stack.push_async_callback(publisher.redis.close)
            lease = Lease(gateway_id, store, lease_connector(settings.database_url), settings.lease)
            await lease.register()
            stack.push_async_callback(lease.retire)
            sweeper, looker = (Store(open_engine(settings.database_url, 1)) for _ in range(2))  # waiting behind no pool
            stack.push_async_callback(sweeper.close)
            stack.push_async_callback(looker.close)
            keeper = LeaseKeeper(gateway_id, sweeper, publisher)
            listener = ResultListener(settings.redis_url, looker, live_sessions, lease, gateway_id)
            stack.push_async_callback(listener.close)
            queues = QueueMonitor(store)
            catalog = ToolCatalog(store, settings.realtime_model)
            budgets = Budgets(store, prices, settings.allowances)
            stack.push_async_callback(budgets.close)
            context = GatewayContext(gateway_id, settings, store, row_privacy, publisher, queues, catalog, budgets)
            app.state.draining = Draining(gateway_id, store, live_sessions, settings.drain_seconds)
            app.state.admission = SessionAdmission(
                agents, context, live_sessions, lease, app.state.draining, agents.default
            )
            app.state.retention = Retention(store, settings.retention_days)
            webhooks = Webhooks(store, lambda: agents)
            await stack.enter_async_context(_running(lease.watch_loop, keeper.sweep, listener.listen, listener.poll))
            await stack.enter_async_context(_kept_going(queues.watch, catalog.follow, budgets.settle, webhooks.send))
            await stack.enter_async_context(_kept_going(agents.keep_current, app.state.retention.forget))
            log.info("gateway %s is ready: agents %s", gateway_id, ", ".join(agents))
            yield

    app = FastAPI(
        title="Ringback",
        lifespan=lifespan,
        openapi_url=None,  # see gateway.api.realtime
        docs_url=None,
        redoc_url=None,
        max_body_size=MAX_BODY_BYTES,
    )
    app.include_router(router)
    _add_history_and_control(app, settings, agents)
    add_error_handlers(app)
    loopback = settings.mode == "development" and not settings.origins
    app.add_middleware(RequestFilter, origins=settings.origins, loopback=loopback)
    return app


def _add_history_and_control(app: FastAPI, settings: GatewaySettings, agents: Mapping[str, Agent]) -> None:
    async def run(statement: Executable) -> Sequence[Row[Any]]:
        return await app.state.store.rows(statement)  # type: ignore[no-any-return]

    async def read(tenant: str, statement: Executable) -> Sequence[Row[Any]]:
        return await app.state.store.rows_of(tenant, statement)  # type: ignore[no-any-return]

    def may_have(tenant: str, tool: str) -> bool:
        return any(agent.serves(tenant) and agent.allows(tool) for agent in agents.values())

    async def ring(gateway_id: str, session_id: UUID) -> None:
        await app.state.publisher.redis.notify(gateway_id, session_id)

    async def publish(job_id: UUID, queue: str) -> bool:
        return await app.state.publisher.publish(job_id, queue)  # type: ignore[no-any-return]

    def agent_for(agent: str | None, model: str | None) -> Agent | None:
        return app.state.admission.agent_for(agent, model)  # type: ignore[no-any-return]

    async def erase(tenant: str, user: str) -> ErasedCounts:
        return await app.state.retention.erase(tenant, user)  # type: ignore[no-any-return]

    app.state.authenticator = Authenticator(settings.tokens, run, _identity_provider(settings))
    routers = (
        history_router(read, run, may_have, needs(HISTORY)),
        usage_router(read, needs(HISTORY)),
        cancel_router(read, run, ring, needs(CONTROL)),
        approve_router(read, run, publish, ring, needs(CONTROL)),
        mint_router(run, agent_for, settings.max_client_secrets),
        revoke_router(read, run),
        erase_router(erase),
    )
    for each in routers:
        app.include_router(each, responses=REFUSALS)


def _identity_provider(settings: GatewaySettings) -> IdentityProvider | None:
    if settings.jwt_jwks is None or settings.jwt_issuer is None:
        return None
    from gateway.auth import jwt, key_sets  # the cryptography is read in by those who need it

    rules = jwt.JwtRules(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        algorithms=settings.jwt_algorithms,
        user_claim=settings.jwt_user_claim,
        tenant_claim=settings.jwt_tenant_claim,
        scope_claim=settings.jwt_scope_claim,
        gateway_scopes=frozenset(settings.jwt_gateway_scopes),
        claims=settings.jwt_claims,
    )
    key_sets.prove(settings.jwt_jwks)
    return key_sets.JwtProvider(rules, key_sets.KeySet(key_sets.fetcher(settings.jwt_jwks)))


def serve(settings: GatewaySettings) -> None:
    """Run the gateway until SIGTERM or SIGINT, and until its sessions have left; a second signal ends it at once."""
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(is_news)
    refuse_what_is_unsafe(settings)
    app = create_app(settings)
    prove_certificate(settings)
    refuse_a_cluster(settings.redis_url)
    asyncio.run(prove_wall(settings.database_url))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=WireHttp,
        ws=WireSocket,
        ws_max_size=settings.max_frame_bytes,
        ws_per_message_deflate=False,  # It costs twice the CPU, and is a bomb's fuse.
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PONG_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
    )
    scheme = "http" if settings.tls_certificate is None else "https"
    with listening_socket(settings.host, settings.port) as listener:
        log.info("listening on %s://%s:%s", scheme, *listener.getsockname()[:2])
        DrainingServer(config, lambda: app.state.draining.drain()).run(sockets=[listener])


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket whose connections are given up when their client stops reading, however politely it is asked.

    The kernel would otherwise hold megabytes for each such client, and the connection for ever.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as problem:
        raise ConfigurationError(f"RINGBACK_HOST={host} RINGBACK_PORT={port} cannot be used: {problem}") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_MS)
    return listener


def _running(*loops: Loop) -> AbstractAsyncContextManager[None]:
    """Loops that every session needs, while the block runs; one that fails takes the process down."""
    tasks = [asyncio.create_task(loop()) for loop in loops]
    for task in tasks:
        task.add_done_callback(_must_not_end)
    return _until_here(tasks)


def _kept_going(*loops: Loop) -> AbstractAsyncContextManager[None]:
    """Loops that no session hangs on, while the block runs; one that fails begins again."""
    return _until_here([asyncio.create_task(restarting(loop)) for loop in loops])


@asynccontextmanager
async def _until_here(tasks: Sequence[asyncio.Task[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _must_not_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("a task of the gateway has failed; the process ends", exc_info=task.exception())
        os._exit(70)  # A gateway without its inbox would look alive and answer nobody.
