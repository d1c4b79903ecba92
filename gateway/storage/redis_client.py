"""The gateway's way to Redis beside the broker: ring another gateway, and ask whether Redis is there and remembers."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ringback.redis import notifications
from ringback.sweeper import Command

CONNECTIONS = 4
"""Each is held for a fraction of a millisecond; redis-py's own pool would raise above 100."""
SECONDS = 0.5
"""For anything Redis does here: whoever waits for the doorbell looks into the table before a second has passed."""
REDIS_TROUBLE = (RedisError, OSError, RuntimeError)
"""What a Redis that is away is told by; the last is uvloop's word for a connection that was reset a moment ago."""

log = logging.getLogger(__name__)


class RedisClient:
    """A client of Redis that never raises and holds nobody up."""

    def __init__(self, redis_url: str) -> None:
        self._pool = BlockingConnectionPool.from_url(
            redis_url,
            max_connections=CONNECTIONS,
            timeout=SECONDS,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(NoBackoff(), 1),  # once: the connection may have gone stale since it was last used
        )
        self._redis = Redis(connection_pool=self._pool)

    async def ring(self, gateway_id: str, session_id: UUID) -> None:
        """Put an entry into that gateway's stream; a failure is only lateness."""
        await self.ask(notifications.commands(gateway_id, session_id))

    async def ask(self, commands: Sequence[Command]) -> list[Any] | None:
        """Send the commands at once: their answers, or None where Redis does not answer or refuses one."""
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute())
        except REDIS_TROUBLE as problem:
            log.debug("Redis: %s", problem)
            return None

    async def close(self) -> None:
        await self._redis.aclose()
        await self._pool.aclose()
