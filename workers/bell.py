"""Ring the gateway that holds a session: its answer is ready. The table is the guarantee, this is the speed."""

from __future__ import annotations

import logging
from typing import Any
from uuid import UUID

from redis import BlockingConnectionPool, Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from ringback import doorbell
from workers.logs import Seldom

CONNECTIONS = 4
"""Each is held for a fraction of a millisecond; redis-py's own pool would raise above 100."""
SECONDS = 0.5
"""For anything Redis does here: the gateway looks into the table before a second has passed."""

_seldom = Seldom(logging.getLogger(__name__))


class Bell:
    """A client of Redis that rings and never raises."""

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
        stream = doorbell.stream_of(gateway_id)
        fields: dict[Any, Any] = {**doorbell.ring(session_id)}  # redis-py's type for it is invariant
        try:
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.xadd(stream, fields, maxlen=doorbell.MAX_LENGTH, approximate=True)
                pipe.expire(stream, doorbell.TIME_TO_LIVE)
                pipe.execute()
        except (RedisError, OSError) as problem:
            _seldom.warning("could not ring a gateway, it will look by itself: %s", problem)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
        self._redis.connection_pool.disconnect()
