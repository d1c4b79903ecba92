"""What a worker looks at before it begins: what it could never work with, and in production what is unsafe."""

from __future__ import annotations

import logging

from redis import Redis
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ringback.config.production import Facts, refuse, without_password
from ringback.postgres.connections import ENCODING, open_engine, refuse_encoding
from ringback.redis import check
from workers.settings import WorkerSettings
from workers.storage.database import CONNECT_SECONDS

logger = logging.getLogger(__name__)


def refuse_what_is_unsafe(settings: WorkerSettings) -> None:
    """Raise ConfigurationError where RINGBACK_MODE=production forbids what is so."""
    if settings.mode == "production":
        with Redis.from_url(without_password(settings.redis_url), **check.client_options()) as stranger:
            is_open = check.lets_in(stranger)
        refuse(settings.mode, Facts(settings.database_url, settings.redis_url, is_open))


def refuse_a_cluster(redis_url: str) -> None:
    """Raise ConfigurationError where Redis is a node of a cluster."""
    with Redis.from_url(redis_url, **check.client_options()) as client:
        check.refuse_a_cluster(client)


def refuse_encoding_of(database_url: str) -> None:
    """Raise ConfigurationError where Postgres could not keep every character; one that is away is not waited for."""
    engine = open_engine(database_url, "ringback-worker", CONNECT_SECONDS, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            refuse_encoding(connection.execute(ENCODING).scalar_one())
    except DBAPIError as problem:
        logger.warning("Postgres does not answer yet: %s", problem.orig)
