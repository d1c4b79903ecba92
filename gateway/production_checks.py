"""Checks before a gateway starts: settings that cannot work, and in production settings that are unsafe."""

from __future__ import annotations

import ssl

from redis import Redis

from gateway.settings import GatewaySettings
from ringback.config.production import Facts, Front, refuse
from ringback.errors import ConfigurationError
from ringback.redis import check


def facts_of(settings: GatewaySettings) -> Facts:
    """Return what the production rules look at: settings, and whether Redis asks for a password."""
    is_open = check.is_open(settings.redis_url, Redis.from_url)
    return Facts(settings.database_url, settings.redis_url, is_open, front_of(settings))


def front_of(settings: GatewaySettings) -> Front:
    """Return what the gateway is to strangers, by its settings."""
    return Front(
        host=settings.host,
        is_behind_tls=settings.behind_tls == "yes" or settings.tls_certificate is not None,
        tokens={user: token.secret.get_secret_value() for user, token in settings.tokens.items()},
        is_simulated=settings.provider.is_simulated,
        upstream_url=settings.realtime_url,
        api_key=settings.realtime_api_key.get_secret_value(),
    )


def refuse_what_is_unsafe(settings: GatewaySettings) -> None:
    """Raise ConfigurationError if RINGBACK_MODE=production forbids these settings."""
    if settings.mode == "production":
        refuse(settings.mode, facts_of(settings))


def refuse_a_cluster(redis_url: str) -> None:
    """Raise ConfigurationError if Redis is a node of a cluster."""
    check.refuse_a_cluster(redis_url, Redis.from_url)


def prove_certificate(settings: GatewaySettings) -> None:
    """Raise ConfigurationError if the gateway's certificate and its key cannot be used together."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as problem:
        raise ConfigurationError(
            f"RINGBACK_TLS_CERTIFICATE={settings.tls_certificate} and RINGBACK_TLS_KEY={settings.tls_key} cannot be "
            f"used: {problem}. Name two PEM files that belong together, the key without a passphrase"
        ) from None
