"""Runs the gateway: checks what it stands on, listens, and drains before uvicorn stops."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from gateway.api.after_route import AfterRoute
from gateway.api.dependencies import gateway_in
from gateway.app import create_app
from gateway.background.full_collections import leave_full_collections
from gateway.production_checks import prove_certificate, refuse_a_cluster, refuse_what_is_unsafe
from gateway.server.uvicorn_protocols import WireHttp, WireSocket, is_news
from gateway.settings import GatewaySettings
from gateway.storage.database import prove_wall
from ringback.config import logs
from ringback.errors import ConfigurationError
from ringback.telemetry import metrics
from ringback.telemetry.tracing import current_ids

log = logging.getLogger(__name__)

PING_SECONDS = 15.0
PONG_SECONDS = 10.0
"""The gateway notices within 25 s that a client has gone without closing."""
SHUTDOWN_SECONDS = 10
"""How long uvicorn waits for sessions to end, once they have drained."""
END_SECONDS = 18.0
"""How long after its drain a parent kills a process that hangs: 2 s before compose kills the parent."""
WIRE_LOGGERS = ("uvicorn.error", "websockets.client", "websockets.server")
"""At DEBUG they log every header, and so tokens and the key: they are kept at INFO."""
BACKLOG = 1_024
"""Connections that may wait to be accepted: all clients of another gateway may come at once."""
SEND_BUFFER_BYTES = 256 * 1_024
"""What the kernel may hold for one client: four seconds of audio."""
GIVE_UP_MS = 15_000
"""The kernel drops a client that does not acknowledge data for so long."""


def serve(
    settings: GatewaySettings,
    fork: Callable[[socket.socket], None] | None = None,
    extend: Callable[[FastAPI], None] | None = None,
) -> None:
    """Run the gateway until SIGTERM or SIGINT, and until its sessions have left; a second signal ends it at once.

    Args:
        fork: called with the listening socket once all is checked; returns in each process that is to serve it.
        extend: adds what only some gateways have to the application.
    """
    for name in WIRE_LOGGERS:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(is_news)
    refuse_what_is_unsafe(settings)
    logs.name_traces(current_ids)
    if settings.metrics == "on" and settings.metrics_token.get_secret_value():
        metrics.begin(shared=fork is not None)
    app = create_app(settings)
    if extend:
        extend(app)
    prove_certificate(settings)
    refuse_a_cluster(settings.redis_url)
    asyncio.run(prove_wall(settings.database_url))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=WireHttp,
        ws=_socket_protocol(),
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
    config.load()
    config.loaded_app = AfterRoute(config.loaded_app)
    scheme = "http" if settings.tls_certificate is None else "https"
    with listening_socket(settings.host, settings.port) as listener:
        log.info("listening on %s://%s:%s", scheme, *listener.getsockname()[:2])
        if fork:
            fork(listener)
        DrainingServer(config, lambda: gateway_in(app).draining.drain()).run(sockets=[listener])


def _socket_protocol() -> type[WireSocket]:
    """Return the protocol of a client's WebSocket: by picows where it is installed."""
    try:
        from gateway.server.picows_socket import PicowsSocket
    except ImportError:
        return WireSocket
    return PicowsSocket


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections are dropped if their client stops reading.

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


class DrainingServer(uvicorn.Server):
    """uvicorn, told to stop only when `drain` is done."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Coroutine[Any, Any, None]]) -> None:
        super().__init__(config)
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None
        self._asked = False

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """uvicorn's own hook: from here on there is something to drain, and all that stays is there."""
        await super().startup(sockets)
        leave_full_collections()
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """uvicorn's own hook, called in a signal handler."""
        if self._asked or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._asked = True
        self._loop.call_soon_threadsafe(self._begin, sig)

    def _begin(self, sig: int) -> None:
        self._draining = asyncio.get_running_loop().create_task(self._drain_then_exit(sig))

    async def _drain_then_exit(self, sig: int) -> None:
        try:
            await self._drain()
        finally:
            super().handle_exit(sig, None)
