"""What a worker looks at before it begins in production."""

from __future__ import annotations

from redis import Redis, RedisError
from redis.exceptions import AuthenticationError, ResponseError

from ringback.production import Facts, refuse, without_password
from workers.settings import WorkerSettings

LOOK_SECONDS = 2.0
"""For Redis to say whether it lets anybody in; one that does not answer cannot be entered either."""


def refuse_what_is_unsafe(settings: WorkerSettings) -> None:
    """Raise ConfigurationError where RINGBACK_MODE=production forbids what is so."""
    if settings.mode == "production":
        is_open = _redis_is_open(settings.redis_url)
        refuse(settings.mode, Facts(settings.database_url, settings.redis_url, is_open))


def _redis_is_open(redis_url: str) -> bool | None:
    seconds = {"socket_timeout": LOOK_SECONDS, "socket_connect_timeout": LOOK_SECONDS}
    try:
        with Redis.from_url(without_password(redis_url), **seconds) as stranger:
            return bool(stranger.ping())
    except (AuthenticationError, ResponseError):
        return False
    except (RedisError, OSError):
        return None
