"""Canary of a worker: a message that it sends itself. If it does not arrive, the process ends.

`workers.lifecycle.canary_policy` decides when. The queue is this process's own, and each message lets it expire: a
worker that is gone leaves no key in Redis. Publishing goes to the queue by its name (the anonymous exchange), so there
is no binding either.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex
from threading import Event, Thread
from time import monotonic
from typing import Any

import kombu

from ringback.redis.keyspace import KEY_PREFIX
from workers.broker.consumer import CANARY
from workers.lifecycle.canary_policy import DEAF_SECONDS, LOOK_SECONDS, SEND_SECONDS, CanaryPolicy

EXPIRE_MS = 10_000
"""Longer than DEAF_SECONDS; so long the queue of a killed worker stays in Redis."""
SOCKET_SECONDS = 0.5
"""Time for each step at Redis. If one takes longer, Redis is away, and the worker is not to blame."""
TRANSPORT = {
    "global_keyprefix": KEY_PREFIX,
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "max_retries": 0,
}

logger = logging.getLogger(__name__)
_kombu: Any = kombu  # typed in part


class Canary:
    """Canary of the process that consumes.

    Args:
        deaf: called once, with the reason.
    """

    def __init__(self, deaf: Callable[[str], None]) -> None:
        self.queue = f"{CANARY}.{socket.gethostname()}.{os.getpid()}.{token_hex(4)}"
        self._deaf = deaf
        self._policy = CanaryPolicy(monotonic())
        self._ended = Event()
        self._connection: Any = None

    def received(self) -> None:
        """Record that a canary has come through the consumer."""
        self._policy.received(monotonic())

    def start(self, redis_url: str, is_free: Callable[[], bool]) -> None:
        """Begin; the consumer is about to connect."""
        self._policy = CanaryPolicy(monotonic())
        Thread(target=self._watch, args=(redis_url, is_free), name="canary", daemon=True).start()

    def stop(self) -> None:
        """Stop: the consumer is about to stop, and need not receive any more."""
        self._ended.set()

    def _watch(self, redis_url: str, is_free: Callable[[], bool]) -> None:
        redis, sent = True, -SEND_SECONDS
        while not self._ended.wait(LOOK_SECONDS):
            if monotonic() - sent >= SEND_SECONDS:
                redis, sent = self.send(redis_url), monotonic()
            if self._policy.is_deaf(monotonic(), redis=redis, free=is_free()) and not self._ended.is_set():
                self._deaf(f"canary lost: Redis replies, but no message has arrived for {DEAF_SECONDS:g} s")
                return
        self._close()

    def send(self, redis_url: str) -> bool:
        """Send one over a connection for canaries alone. False: Redis did not accept it.

        If the connection broke since its last use, send over a new one: that Redis was away must not follow from it.
        """
        return (self._connection is not None and self._sent()) or (self._connected(redis_url) and self._sent())

    def _connected(self, redis_url: str) -> bool:
        self._connection = _kombu.Connection(redis_url, transport_options=TRANSPORT)
        queue = _kombu.Queue(self.queue, _kombu.Exchange(""), self.queue, queue_arguments={"x-expires": EXPIRE_MS})
        # Once declared, the channel lets the queue expire with each message.
        return self._succeeds(lambda: queue(self._connection.default_channel).declare())

    def _sent(self) -> bool:
        return self._succeeds(
            lambda: _kombu.Producer(self._connection.default_channel).publish(
                {}, exchange="", routing_key=self.queue, headers={"task": CANARY}
            )
        )

    def _succeeds(self, step: Callable[[], object]) -> bool:
        try:
            step()
        except Exception as problem:  # kombu and redis raise a family of errors with no common parent but this
            logger.debug("canary not sent: %s", problem)
            self._close()
            return False
        return True

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken
                connection.release()
