"""Redis beside the broker: ring the gateway that holds a session, and ask whether Redis is there and remembers.

The table is the guarantee, this is the speed.
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
from workers.logs import Seldom

CONNECTIONS = 4
"""Each is held for a fraction of a millisecond; redis-py's own pool would raise above 100."""
SECONDS = 0.5
"""For anything Redis does here: the gateway looks into the table before a second has passed."""

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)


class RedisClient:
    """A client of Redis that rings and asks, and never raises."""

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

    def ring(self, gateway_id: str, session_id: UUID) -> None:
        """Put an entry into the gateway's stream; a failure is logged, and forgotten."""
        if self.ask(notifications.commands(gateway_id, session_id)) is None:
            _seldom.warning("could not ring a gateway, it will look by itself")

    def ask(self, commands: Sequence[Command]) -> list[Any] | None:
        """Send the commands at once: their answers, or None where Redis does not answer or refuses one."""
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)  # type: ignore[no-untyped-call]
                return list(pipe.execute())
        except (RedisError, OSError) as problem:
            logger.debug("Redis: %s", problem)
            return None

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._redis.connection_pool.disconnect()
