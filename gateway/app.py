"""Builds the gateway: opens what its sessions share, in order, and closes it in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fastapi import FastAPI

from gateway.api import (
    TWILIO_STREAM_AT,
    TWILIO_VOICE_AT,
    calls,
    client_secrets,
    controls,
    history,
    job_control,
    operation,
    phone,
    realtime,
    recordings,
    revocation,
    users,
)
from gateway.api.dependencies import Gateway, keep
from gateway.api.error_handlers import add_error_handlers
from gateway.auth.authenticator import Authenticator, IdentityProvider
from gateway.auth.request_filter import RequestFilter
from gateway.background.agent_registry import AgentRegistry
from gateway.background.change_feed import ChangeFeed
from gateway.background.draining import Draining
from gateway.background.full_collections import FullCollections
from gateway.background.lease import Lease
from gateway.background.lease_keeper import LeaseKeeper
from gateway.background.queue_monitor import QueueMonitor
from gateway.background.result_listener import ResultListener
from gateway.background.retention import Retention
from gateway.background.tool_catalog import ToolCatalog
from gateway.background.webhooks import Webhooks
from gateway.budgets.budgets import Budgets, prices_for
from gateway.calls.desk import CallDesk
from gateway.calls.takeover import CallTakeover
from gateway.live_sessions import SessionRegistry
from gateway.retry import Loop, restarting
from gateway.session.admission import SessionAdmission
from gateway.session.context import GatewayContext
from gateway.settings import GatewaySettings
from gateway.storage.connection_pool import ConnectionPool
from gateway.storage.database import Store, lease_connector, open_pool
from gateway.storage.job_publisher import JobPublisher
from gateway.telephony.sip import SipCalls
from gateway.telephony.twilio.account import TwilioAccount
from gateway.telephony.twilio.admission import TwilioAdmission
from gateway.upstream.call_control import CallControl
from gateway.upstream.call_endpoints import CallRefused, calls_url
from gateway.web import console, static, talk
from gateway.web.security_headers import SecurityHeaders
from gateway.webhook_signing import key_of
from ringback.config import logs
from ringback.postgres.statement import compile_of
from ringback.statements import usage
from ringback.statements.jobs import admission as job_admission
from ringback.statements.jobs import deliveries
from ringback.statements.sessions import items
from ringback.statements.sessions.calls import SILENT_SECONDS
from ringback.telemetry import metrics
from ringback.telemetry.names import provider_name
from ringback.telemetry.tracing import open_tracing
from ringback.usage.prices import Prices

if TYPE_CHECKING:
    from ringback.telemetry.call_spans import CallSpans

log = logging.getLogger(__name__)

CANCEL_AGAIN_SECONDS = 2.0
"""After so long a loop is cancelled again. Before Python 3.12 `asyncio.wait_for`, by which redis-py sends, loses a
cancellation that comes as it ends: a loop that waits for Redis would run on, and the gateway never end."""

PARTS = (
    *(realtime, calls, phone, operation, history, recordings, job_control, controls, client_secrets),
    *(revocation, users, static, talk),
)
ROUTERS = (*(part.router for part in PARTS), *console.routers)
"""Routes of the gateway, in the order in which they are looked at."""


def create_app(settings: GatewaySettings) -> FastAPI:
    """Return the gateway as an ASGI application; raise ConfigurationError if agents, prices or keys are wrong."""
    agents = AgentRegistry(settings.agents_folder, settings.default_agent)
    prices = prices_for(settings, agents.values())
    identity_provider = _identity_provider(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            keep(app, await _open(stack, settings, agents, prices, identity_provider))
            yield

    app = FastAPI(
        title="Ringback",
        lifespan=lifespan,
        openapi_url=None,  # see gateway.api.realtime
        docs_url=None,
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    add_error_handlers(app)
    loopback = settings.mode == "development" and not settings.origins
    app.add_middleware(RequestFilter, origins=settings.origins, loopback=loopback)
    app.add_middleware(SecurityHeaders)  # outside of the filter, whose answers have them too
    return app


async def _open(
    stack: AsyncExitStack,
    settings: GatewaySettings,
    agents: AgentRegistry,
    prices: Prices,
    identity_provider: IdentityProvider | None,
) -> Gateway:
    """Open what sessions and routes share. The stack closes it in reverse, so the order is a guarantee."""
    gateway_id = f"gateway-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    compile_of(job_admission, deliveries, items, usage)  # what the first call would wait for
    pool = open_pool(settings.database_url, settings.database_pool)
    store = Store(pool)
    stack.push_async_callback(store.close)
    row_privacy = settings.row_privacy
    logs.leave_out(row_privacy.redaction.kinds)
    spans = _open_tracing(stack, settings)
    publisher = JobPublisher(settings.redis_url, None if spans is None else spans.headers)
    live_sessions = SessionRegistry(settings.max_sessions)
    _measure(settings, pool, live_sessions)
    stack.push_async_callback(publisher.redis.close)
    lease = Lease(gateway_id, store, lease_connector(settings.database_url), settings.lease)
    await lease.register()
    stack.push_async_callback(lease.retire)
    sweeper, looker = (_store_of_its_own(stack, settings) for _ in range(2))
    keeper = LeaseKeeper(gateway_id, sweeper, publisher, call_left=_left_of_lost(settings))
    work = keeper.work
    listener = ResultListener(settings.redis_url, looker, live_sessions, lease, gateway_id, work["held_sessions"])
    stack.push_async_callback(listener.close)
    queues = QueueMonitor(store, live_sessions.populated)
    catalog = ToolCatalog(store, settings.realtime_model, live_sessions.populated)
    budgets = Budgets(store, prices, settings.allowances)
    stack.push_async_callback(budgets.close)
    shared = (gateway_id, settings, store, row_privacy, publisher, queues, catalog, budgets, spans)
    context = GatewayContext(*shared, on_heard=_count_heard, on_link_over=live_sessions.link_over)
    draining = Draining(gateway_id, store, live_sessions, settings.drain_seconds)
    changes = ChangeFeed(store, lambda: draining.has_begun)
    retention = Retention(store, settings.retention_days, work["erased_users"], settings.recording_days)
    admission = SessionAdmission(agents, context, live_sessions, lease, draining, agents.default)
    desk = await _open_desk(stack, admission, work["unattended_calls"])
    gateway = Gateway(
        store=store,
        publisher=publisher,
        authenticator=Authenticator(settings.tokens, store.rows, identity_provider),
        admission=admission,
        desk=desk,
        retention=retention,
        draining=draining,
        changes=changes,
        max_client_secrets=settings.max_client_secrets,
        metrics_token=settings.metrics_token.get_secret_value(),
        queues=queues,
    )
    garbage = FullCollections(live_sessions)
    webhooks = Webhooks(store, lambda: agents, due=work["due_webhooks"])
    await stack.enter_async_context(running(lease.watch_loop, keeper.sweep, listener.listen, listener.poll))
    await stack.enter_async_context(kept_going(queues.watch, catalog.follow, budgets.settle, webhooks.send))
    await stack.enter_async_context(kept_going(changes.watch_events, agents.keep_current))
    await stack.enter_async_context(kept_going(retention.forget, retention.erase_marked, garbage.keep_collecting))
    log.info("gateway %s is ready: agents %s", gateway_id, ", ".join(agents))
    return await _open_phone(stack, settings, gateway, work["lost_announcements"])


async def _open_phone(
    stack: AsyncExitStack, settings: GatewaySettings, gateway: Gateway, lost: asyncio.Event
) -> Gateway:
    """Return the gateway with what takes phone calls, as far as the settings have it."""
    gateway = replace(gateway, twilio=_twilio(settings, gateway))
    keys = tuple(key_of(secret.get_secret_value()) for secret in settings.webhook_secrets)
    if not keys or gateway.desk is None:
        return gateway
    sip = SipCalls(gateway.desk, lost)
    stack.push_async_callback(sip.close)
    await stack.enter_async_context(kept_going(sip.watch_announcements, sip.forget_old))
    return replace(gateway, sip=sip, webhook_keys=keys)


def _twilio(settings: GatewaySettings, gateway: Gateway) -> TwilioAdmission | None:
    """Return what takes Twilio's calls; None if no account is set up."""
    tokens = tuple(token.get_secret_value() for token in settings.twilio_auth_tokens)
    if not tokens or settings.public_url is None:
        return None
    account = TwilioAccount(tokens, settings.public_url, settings.twilio_api_url)
    paths = TWILIO_VOICE_AT, TWILIO_STREAM_AT
    return TwilioAdmission(account, gateway.admission, gateway.authenticator, gateway.max_client_secrets, *paths)


def _store_of_its_own(stack: AsyncExitStack, settings: GatewaySettings) -> Store:
    """Open a connection that waits behind no pool."""
    store = Store(open_pool(settings.database_url, 1))
    stack.push_async_callback(store.close)
    return store


async def _open_desk(stack: AsyncExitStack, admission: SessionAdmission, unattended: asyncio.Event) -> CallDesk | None:
    """Open the desk of calls, which takes over those that no gateway attends to; None: the provider takes no calls."""
    settings = admission.gateway.settings
    try:
        calls_url(settings.provider, url=settings.provider_url)
    except CallRefused as problem:
        log.info("no calls over WebRTC or SIP: %s", problem)
        return None
    desk = CallDesk(admission, CallControl(settings.provider, settings.provider_url, settings.provider_headers))
    stack.push_async_callback(desk.close)
    takeover = CallTakeover(desk, unattended, _left_of_lost(settings))
    await stack.enter_async_context(kept_going(takeover.take, desk.leave_when_silent))
    return desk


def _left_of_lost(settings: GatewaySettings) -> float:
    """Return what is left of the lease of a gateway that has been silent for so long that others take its calls."""
    return settings.lease.seconds - SILENT_SECONDS


def _open_tracing(stack: AsyncExitStack, settings: GatewaySettings) -> CallSpans | None:
    """Open the traces of calls; None where they are off."""
    provider = provider_name(settings.provider.name)
    spans = open_tracing("ringback-gateway", provider=provider, tells_pii=settings.trace_pii == "yes")
    if spans is not None:
        stack.callback(spans.close)
    return spans


def _count_heard(tool: str, queue: str, seconds: float) -> None:
    metrics.RESULT_WAIT.observe(seconds, tool, queue)


def _measure(settings: GatewaySettings, pool: ConnectionPool, live_sessions: SessionRegistry) -> None:
    """Have the metrics tell what stands in plain numbers, and the bounds beside it."""

    def write() -> None:
        metrics.SESSIONS.set(len(live_sessions))
        metrics.SESSIONS_LIMIT.set(settings.max_sessions)
        metrics.POOL_USED.set(pool.in_use, "gateway")
        metrics.POOL_SIZE.set(settings.database_pool, "gateway")
        metrics.TO_CLIENT.write()
        metrics.TO_MODEL.write()

    metrics.exposition.refreshed_by(write)


def _identity_provider(settings: GatewaySettings) -> IdentityProvider | None:
    if settings.jwt_jwks is None or settings.jwt_issuer is None:
        return None
    from gateway.auth import jwt, key_sets  # Only a gateway with a provider loads the cryptography.

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


def running(*loops: Loop) -> AbstractAsyncContextManager[None]:
    """Run loops that every session needs for the duration of the block. If one raises, the process exits with 70."""
    tasks = [asyncio.create_task(loop()) for loop in loops]
    for task in tasks:
        task.add_done_callback(_must_not_end)
    return _until_here(tasks)


def kept_going(*loops: Loop) -> AbstractAsyncContextManager[None]:
    """Run loops that no session depends on for the duration of the block. If one raises, it begins again."""
    return _until_here([asyncio.create_task(restarting(loop)) for loop in loops])


@asynccontextmanager
async def _until_here(tasks: Sequence[asyncio.Task[None]]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        left = set(tasks)
        while left:
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_SECONDS)


def _must_not_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.critical("gateway task failed; the process exits with 70", exc_info=task.exception())
        os._exit(70)  # A gateway that hears of no result would look alive and never answer.
