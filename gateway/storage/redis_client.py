"""Connection to Redis beside the broker: notifies other gateways, and runs the commands of a sweep."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.storage.database import AnsweredWithin
from ringback.redis import notifications
from ringback.sweeper import Command
from ringback.telemetry import metrics

CONNECTIONS = 16
"""Each is in use for a fraction of a millisecond, and on a busy machine for some fifty: sessions publish at one time.
redis-py's default pool would raise above 100.
"""
SECONDS = 1.0
"""For all that a pipeline waits for: a gateway that waits for a doorbell reads the table after a second anyway. Two
steps of the clock, so that an event loop that was held up is no Redis that is away.
"""
LONGEST_SECONDS = 10.0
"""The same by redis-py's own clock, which counts hold-ups too."""
REDIS_TROUBLE = (RedisError, OSError, RuntimeError)
"""What calls raise while Redis is away; RuntimeError is how uvloop reports a connection that was just reset."""

log = logging.getLogger(__name__)


class RedisClient:
    """Client of Redis that never raises, and returns within a bound."""

    def __init__(self, redis_url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=LONGEST_SECONDS,
            socket_timeout=LONGEST_SECONDS,
            socket_connect_timeout=LONGEST_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once: the connection may have gone stale since it was last used
        )
        self._redis = Redis(connection_pool=self._pool)
        self._doorbells = notifications.Doorbells()

    async def notify(self, gateway_id: str, session_id: UUID) -> None:
        """Put an entry into that gateway's stream. If this fails, the gateway hears a second later."""
        if await self.run(self._doorbells.commands(gateway_id, session_id)) is None:
            self._doorbells.failed(gateway_id)

    async def run(self, commands: Sequence[Command]) -> list[Any] | None:
        """Run the commands in one pipeline. Return their answers, or None if Redis does not answer or refuses one."""
        try:
            async with AnsweredWithin(SECONDS), self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute())
        except REDIS_TROUBLE as problem:
            metrics.REDIS_FAILURES.inc()
            log.debug("redis command failed: %s", problem)
            return None

    async def close(self) -> None:
        await self._redis.aclose()
        await self._pool.aclose()
