"""What a process asks Redis before it begins. The process makes the client; nothing is opened here."""

from __future__ import annotations

import logging
from typing import Any

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry

from ringback.errors import ConfigurationError
from ringback.redis.url import CLUSTER, is_cluster

LOOK_SECONDS = 2.0
"""For Redis to answer; one that does not answer cannot be entered either."""

log = logging.getLogger(__name__)


def client_options() -> dict[str, Any]:
    """Return the options of the client that is asked: it answers within LOOK_SECONDS or is given up."""
    return {
        "socket_timeout": LOOK_SECONDS,
        "socket_connect_timeout": LOOK_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }


def refuse_a_cluster(client: Redis) -> None:
    """Raise ConfigurationError where Redis is a node of a cluster; one that does not answer is not waited for."""
    try:
        hello = client.execute_command("HELLO")  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as problem:
        log.warning("Redis does not answer yet: %s", problem)
        return
    if is_cluster(hello):
        raise ConfigurationError(CLUSTER)


def lets_in(stranger: Redis) -> bool | None:
    """Return whether Redis answers a client without a password; None where it does not answer."""
    try:
        return bool(stranger.ping())
    except (AuthenticationError, ResponseError):
        return False
    except (RedisError, OSError):
        return None
