"""Redis client beside the broker: it notifies gateways, and asks whether Redis is there and remembers.

The gateway's poll of the table guarantees delivery; this makes it fast.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from ringback.redis import notifications
from ringback.sweeper import Command
from ringback.telemetry import metrics
from workers.logs import ThrottledLogger

CONNECTIONS = 4
"""Each is held for a fraction of a millisecond; redis-py's default pool would raise above 100."""
SECONDS = 0.5
"""Time for each step at Redis: the gateway polls the table before a second has passed."""

logger = logging.getLogger(__name__)
_throttled = ThrottledLogger(logger)


class RedisClient:
    """Redis client that notifies and asks, and never raises."""

    def __init__(self, redis_url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=SECONDS,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 1),  # once: the connection may have gone stale since it was last used
        )
        self._redis = Redis(connection_pool=pool)
        self._doorbells = notifications.Doorbells()

    def notify(self, gateway_id: str, session_id: UUID) -> None:
        """Add an entry to the gateway's stream. A failure is only logged."""
        self.notify_all(((gateway_id, session_id, None),))

    def notify_all(self, each: Sequence[tuple[str, UUID, str | None]]) -> None:
        """Add an entry for each gateway, session and sealed result, in one trip. A failure is only logged."""
        if self.ask([command for one in each for command in self._doorbells.commands(*one)]) is None:
            for gateway_id in {gateway_id for gateway_id, *_ in each}:
                self._doorbells.failed(gateway_id)
                _throttled.warning("doorbell failed (gateway %s); its next poll finds the result", gateway_id)

    def ask(self, commands: Sequence[Command]) -> list[Any] | None:
        """Send the commands at once. Returns their replies, or None if Redis does not reply or refuses one."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)  # type: ignore[no-untyped-call]
                return list(pipe.execute())
        except (RedisError, OSError) as problem:
            metrics.REDIS_FAILURES.inc()
            logger.debug("Redis command failed: %s", problem)
            return None

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._redis.connection_pool.disconnect()
