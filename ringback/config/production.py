"""Checks before production: facts in, sentences out. With `RINGBACK_MODE=production` a process does not start if any
fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ringback.config.proxies import is_loopback
from ringback.errors import ConfigurationError
from ringback.postgres.url import read
from ringback.redis.url import is_verified

MODE = "RINGBACK_MODE"
SHORTEST_TOKEN = 24
"""Least characters of a static token. `ringback token static` makes 35; a made-up token is a word."""
PLACEHOLDERS = frozenset(
    {
        *("admin", "change-me", "changeme", "default", "demo", "example", "guest", "password", "postgres", "redis"),
        *("ringback", "ringback-development", "secret", "test", "token", "your-key", "your-key-here"),
    }
)
"""Secrets of examples, in this project and others. Attackers try them first."""


@dataclass(frozen=True, slots=True)
class Front:
    """Network side of a gateway.

    Args:
        host: the address that it listens on.
        is_behind_tls: it speaks TLS itself, or the operator says that clients reach it only through TLS.
        tokens: the static ones, by user.
        is_simulated: no model answers there, but the simulator.
        upstream_url: the Realtime API's, where it is not the provider's own.
        api_key: for it.
    """

    host: str
    is_behind_tls: bool
    tokens: Mapping[str, str] = field(repr=False)
    is_simulated: bool
    upstream_url: str | None
    api_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that a process knows before it starts.

    Args:
        redis_is_open: True if Redis accepts a client without a password; None: it does not reply.
        front: of a gateway.
    """

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    redis_is_open: bool | None
    front: Front | None = None


def complaints(facts: Facts) -> tuple[str, ...]:
    """Return a sentence for each thing that must be changed first, without any secret in it."""
    return (*_stores(facts), *(_front(facts.front) if facts.front else ()))


def refuse(mode: str, facts: Facts) -> None:
    """Raise ConfigurationError with all sentences if the mode is production and there are any."""
    found = complaints(facts) if mode == "production" else ()
    if found:
        raise ConfigurationError(f"{MODE}=production does not start like this. " + " ".join(found))


def is_placeholder(secret: str) -> bool:
    """Return true for a secret that stands in examples."""
    return secret.strip().lower() in PLACEHOLDERS


def _stores(facts: Facts) -> Iterator[str]:
    database, redis = read(facts.database_url).arguments, urlsplit(facts.redis_url)
    is_remote = not database.get("host", "/").startswith("/")
    if is_remote and _is_known(database.get("user"), database.get("password")):
        yield "DATABASE_URL has a well-known password, or none: give the database's user one of its own."
    if not redis.password:
        yield "REDIS_URL has no password: give Redis a user of its own for Ringback, and its password here."
    elif _is_known(redis.username, unquote(redis.password)):
        yield "REDIS_URL has a well-known password: choose another (REDIS_PASSWORD in compose)."
    if not is_verified(facts.redis_url):
        yield (
            "REDIS_URL turns off the check of the server's certificate, so that any server may say that it is this "
            "Redis: name the authority that signed it with ssl_ca_certs=FILE instead."
        )
    if facts.redis_is_open:
        yield "The Redis at REDIS_URL lets clients in without a password: switch its user `default` off."


def _front(front: Front) -> Iterator[str]:
    for user, token in sorted(front.tokens.items()):
        if is_placeholder(token):
            yield f"RINGBACK_TOKENS gives {user} a well-known token: make one with `ringback token static`."
        elif len(token) < SHORTEST_TOKEN:
            yield (
                f"RINGBACK_TOKENS gives {user} a token of less than {SHORTEST_TOKEN} characters: make one with "
                "`ringback token static`, or leave it out and use `ringback token create`."
            )
    if not is_loopback(front.host) and not front.is_behind_tls:
        yield (
            f"RINGBACK_HOST={front.host} can be reached from elsewhere, and tokens and voices would travel in clear: "
            "put a proxy with TLS in front, and say so with RINGBACK_BEHIND_TLS=yes, or set RINGBACK_TLS_CERTIFICATE."
        )
    if front.is_simulated:
        yield "REALTIME_PROVIDER is the simulator, which is no model: name your provider."
    elif is_placeholder(front.api_key):
        yield "REALTIME_API_KEY is a placeholder: put your provider's key there."
    upstream = urlsplit(front.upstream_url or "")
    if upstream.scheme == "ws" and not is_loopback(upstream.hostname or ""):
        yield "REALTIME_URL begins with ws://, and the key would travel in clear: use wss://."


def _is_known(user: str | None, password: str | None) -> bool:
    return not password or is_placeholder(password) or password == user
