"""What a gateway looks at before it opens in production."""

from __future__ import annotations

from redis import Redis, RedisError
from redis.exceptions import AuthenticationError, ResponseError

from gateway.settings import GatewaySettings
from ringback.production import Facts, Front, refuse, without_password

LOOK_SECONDS = 2.0
"""For Redis to say whether it lets anybody in; one that does not answer cannot be entered either."""


def facts_of(settings: GatewaySettings) -> Facts:
    """Asks Redis; everything else is in the settings."""
    front = Front(
        host=settings.host,
        is_behind_tls=settings.behind_tls == "yes" or settings.tls_certificate is not None,
        tokens={user: token.get_secret_value() for user, token in settings.tokens.items()},
        provider=settings.realtime_provider,
        upstream_url=settings.realtime_url,
        api_key=settings.realtime_api_key.get_secret_value(),
    )
    return Facts(settings.database_url, settings.redis_url, redis_is_open(settings.redis_url), front)


def refuse_what_is_unsafe(settings: GatewaySettings) -> None:
    """Raise ConfigurationError where RINGBACK_MODE=production forbids what is so."""
    if settings.mode == "production":
        refuse(settings.mode, facts_of(settings))


def redis_is_open(redis_url: str) -> bool | None:
    """Whether it answers somebody without a password; None where it does not answer."""
    seconds = {"socket_timeout": LOOK_SECONDS, "socket_connect_timeout": LOOK_SECONDS}
    try:
        with Redis.from_url(without_password(redis_url), **seconds) as stranger:
            return bool(stranger.ping())
    except (AuthenticationError, ResponseError):
        return False
    except (RedisError, OSError):
        return None
