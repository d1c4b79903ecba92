"""HTTP endpoint at which Prometheus scrapes a worker.

The port is bound before the worker forks, so that children share it. Any of them, or the parent of a prefork pool,
answers for all. One request is answered at a time; a client that is slow is dropped.
"""

from __future__ import annotations

import hmac
import logging
import socket
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

from ringback.errors import ConfigurationError
from ringback.telemetry import metrics
from ringback.telemetry.instruments import CONTENT_TYPE
from workers.settings import WorkerSettings

PATH = "/metrics"
REQUEST_SECONDS = 5.0
"""How long a client may take to send its request, and to take the answer."""
BACKLOG = 16

logger = logging.getLogger(__name__)


class MetricsEndpoint:
    """Endpoint of one worker, in all its processes. Without a port it measures nothing."""

    def __init__(self) -> None:
        self._listener: socket.socket | None = None
        self._token = ""

    def open(self, settings: WorkerSettings, *, shared: bool) -> None:
        """Bind the port and begin to measure, once. `shared`: this process forks others that run jobs.

        Raises:
            ConfigurationError: the port cannot be bound.
        """
        if self._listener is not None or settings.metrics_port is None or settings.metrics == "off":
            return
        host, port = settings.metrics_host, settings.metrics_port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        except OSError as problem:
            named = f"RINGBACK_METRICS_HOST={host} RINGBACK_METRICS_PORT={port}"
            raise ConfigurationError(
                f"{named} cannot be used: {problem}; each worker of a machine needs a port of its own"
            ) from None
        self._listener.setblocking(False)  # another process of the worker may have taken the connection
        self._token = settings.metrics_token.get_secret_value()
        metrics.begin(shared=shared)

    def start(self) -> None:
        """Answer scrapes from now on, in a thread that lives as long as the process."""
        if self._listener is not None:
            server = _Server(self._listener, self._token)
            Thread(target=server.serve_forever, name="metrics", daemon=True).start()
            logger.info("metrics on http://%s:%s%s", *self._listener.getsockname()[:2], PATH)


class _Server(HTTPServer):
    def __init__(self, listener: socket.socket, token: str) -> None:
        super().__init__(listener.getsockname()[:2], _Scrape, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.token = token

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Write one line where the library would write a traceback to standard error."""
        logger.warning("scrape failed: the client has gone, or was too slow; it is dropped")


class _Scrape(BaseHTTPRequestHandler):
    timeout = REQUEST_SECONDS
    server: _Server

    def do_GET(self) -> None:
        """Answer a scrape."""
        token = self.server.token
        given = self.headers.get("Authorization", "")
        if self.path.partition("?")[0] != PATH:
            self.send_error(HTTPStatus.NOT_FOUND, explain=f"There is {PATH} here, and no other page.")
        elif token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            self.send_error(HTTPStatus.UNAUTHORIZED, explain="Send the token of RINGBACK_METRICS_TOKEN.")
        else:
            text = metrics.exposition.text()
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    def version_string(self) -> str:
        """Tell no version of Python."""
        return "ringback"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Write no line: a scrape is no news."""


endpoint = MetricsEndpoint()
"""Endpoint of this worker. A process that is forked has its parent's."""
