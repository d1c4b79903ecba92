"""What a process asks Redis before it starts. The process says how to make a client; this module opens none itself."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry

from ringback.errors import ConfigurationError
from ringback.redis.url import CLUSTER, is_cluster, without_password

ANSWER_SECONDS = 2.0
"""For Redis to answer: if it does not answer, no stranger gets in either."""

MakeClient: TypeAlias = Callable[..., Redis]
"""`Redis.from_url`."""

log = logging.getLogger(__name__)


def refuse_a_cluster(redis_url: str, make_client: MakeClient) -> None:
    """Raise ConfigurationError if Redis is a node of a cluster. If it does not answer, this does not wait for it."""
    with make_client(redis_url, **_options()) as client:
        try:
            hello = client.execute_command("HELLO")
        except (RedisError, OSError) as problem:
            log.warning("Redis does not answer yet: %s", problem)
            return
    if is_cluster(hello):
        raise ConfigurationError(CLUSTER)


def is_open(redis_url: str, make_client: MakeClient) -> bool | None:
    """Return whether Redis answers a client without a password; None if it does not answer."""
    with make_client(without_password(redis_url), **_options()) as stranger:
        try:
            return bool(stranger.ping())
        except (AuthenticationError, ResponseError):
            return False
        except (RedisError, OSError):
            return None


def _options() -> dict[str, Any]:
    """One attempt, and not a long one."""
    return {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
