"""What a worker looks at before it begins: what it could never work with, and in production what is unsafe."""

from __future__ import annotations

import logging

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, ResponseError
from redis.retry import Retry
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ringback.errors import ConfigurationError
from ringback.postgres import ENCODING, open_engine, refuse_encoding
from ringback.production import Facts, refuse, without_password
from ringback.redis_url import CLUSTER, is_cluster
from workers.settings import WorkerSettings
from workers.store import CONNECT_SECONDS

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""For Redis to say whether it lets anybody in; one that does not answer cannot be entered either."""


def refuse_what_is_unsafe(settings: WorkerSettings) -> None:
    """Raise ConfigurationError where RINGBACK_MODE=production forbids what is so."""
    if settings.mode == "production":
        is_open = _redis_is_open(settings.redis_url)
        refuse(settings.mode, Facts(settings.database_url, settings.redis_url, is_open))


def refuse_a_cluster(redis_url: str) -> None:
    """Raise ConfigurationError where Redis is a node of a cluster; one that does not answer is not waited for."""
    try:
        with _client(redis_url) as client:
            hello = client.execute_command("HELLO")
    except (RedisError, OSError) as problem:
        logger.warning("Redis does not answer yet: %s", problem)
        return
    if is_cluster(hello):
        raise ConfigurationError(CLUSTER)


def refuse_encoding_of(database_url: str) -> None:
    """Raise ConfigurationError where Postgres could not keep every character; one that is away is not waited for."""
    engine = open_engine(database_url, "ringback-worker", CONNECT_SECONDS, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            refuse_encoding(connection.execute(ENCODING).scalar_one())
    except DBAPIError as problem:
        logger.warning("Postgres does not answer yet: %s", problem.orig)


def _redis_is_open(redis_url: str) -> bool | None:
    try:
        with _client(without_password(redis_url)) as stranger:
            return bool(stranger.ping())
    except (AuthenticationError, ResponseError):
        return False
    except (RedisError, OSError):
        return None


def _client(redis_url: str) -> Redis:
    seconds = {"socket_timeout": LOOK_SECONDS, "socket_connect_timeout": LOOK_SECONDS}
    return Redis.from_url(redis_url, retry=Retry(NoBackoff(), 0), **seconds)
