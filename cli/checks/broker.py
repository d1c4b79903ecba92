"""Checks of Redis: reached, its version, rights, eviction, TLS and persistence."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from cli.checks.check import Check, fail, ok, warn
from ringback.errors import first_line
from ringback.redis.keyspace import KEY_PREFIX, USER, USER_RULES
from ringback.redis.url import CLUSTER, is_cluster, is_verified

ANSWER_SECONDS = 3.0
OLDEST = 7
LIVES_MS = 5_000
"""How long the keys of this check live if it cannot delete them."""


def check(url: str) -> Iterator[Check]:
    """Yield the lines of the Redis at this URL, which `ringback.redis.url` has written."""
    client: Any = Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )
    with client:
        try:
            hello = client.execute_command("HELLO")
        except (RedisError, OSError) as problem:
            said = first_line(problem) or type(problem).__name__
            yield fail("redis", f"not reached: {said}", "start it, or correct REDIS_URL and its password")
            return
        if is_cluster(hello):
            yield fail("redis", "it is a node of a cluster", CLUSTER)
            return
        yield _version(_as_mapping(hello))
        yield from _rights(client)
        yield _tls(url)
        yield from memory(_info(client))


def _version(hello: Mapping[str, Any]) -> Check:
    name, number = f"{hello.get('server', 'redis')}".capitalize(), str(hello.get("version", ""))
    first = number.partition(".")[0]
    if first.isdigit() and int(first) < OLDEST:
        return fail("redis", f"{name} {number}", "upgrade it to Redis 7 or newer, or Valkey")
    return ok("redis", f"{name} {number}")


def _rights(client: Any) -> Iterator[Check]:
    """Do once what gateways and workers do, on keys that end by themselves."""
    key = f"{KEY_PREFIX}doctor:{os.getpid()}"
    for words in _harmless(key):
        try:
            client.execute_command(*words)
        except NoPermissionError:
            do = f"give its user the rights of docs/how-to/deploy.md: ACL SETUSER {USER} {USER_RULES}"
            yield fail("redis rights", f"its user may not {words[0]}", do)
            return
        except (RedisError, OSError) as problem:
            yield fail("redis rights", f"{words[0]}: {first_line(problem)}", "see whether Redis is full or read-only")
            return
    yield ok("redis rights", f"may do what Ringback does under {KEY_PREFIX}*")


def _harmless(key: str) -> Iterator[tuple[Any, ...]]:
    kinds: dict[str, list[tuple[Any, ...]]] = {
        "list": [("LPUSH", "x"), ("RPUSH", "x"), ("LLEN",), ("BRPOP", 1)],
        "set": [("SADD", "x"), ("SMEMBERS",)],
        "zset": [("ZADD", 1, "x"), ("ZRANGE", 0, 1), ("ZREM", "x")],
        "hash": [("HSET", "x", "y"), ("HGET", "x"), ("HDEL", "x")],
        "stream": [("XADD", "MAXLEN", 1, "*", "x", "y")],
    }
    yield ("SET", f"{key}:text", "x", "NX", "PX", LIVES_MS)
    for kind, commands in kinds.items():
        for name, *rest in commands:
            yield (name, f"{key}:{kind}", *rest)
            if name in {"LPUSH", "SADD", "ZADD", "HSET", "XADD"}:
                yield ("PEXPIRE", f"{key}:{kind}", LIVES_MS)


def _tls(url: str) -> Check:
    host = urlsplit(url).hostname or ""
    if url.startswith("rediss://"):
        if is_verified(url):
            return ok("redis TLS", "on")
        return warn("redis TLS", "on, but any certificate is taken", "name its authority with ssl_ca_certs=FILE")
    if host in {"127.0.0.1", "::1", "localhost"}:
        return ok("redis TLS", "off, on this machine")
    return warn("redis TLS", f"off, to {host}", "begin REDIS_URL with rediss://, if the network is shared")


def memory(info: Mapping[str, Any] | None) -> Iterator[Check]:
    """Yield the lines of eviction and persistence. `info` is the reply to INFO; None: its user may not ask."""
    if info is None:
        yield ok("redis eviction", "not known: its user may not ask, as it should be; it must be noeviction")
        return
    policy, most = str(info.get("maxmemory_policy", "noeviction")), int(info.get("maxmemory", 0))
    if policy != "noeviction" and most:
        do = "set maxmemory-policy noeviction: a queue that loses messages costs each call two seconds"
        yield warn("redis eviction", f"{policy}, with a limit", do)
    else:
        yield ok("redis eviction", policy)
    kept = "AOF" if info.get("aof_enabled") else "snapshots, if it is told to"
    yield ok("redis persistence", f"{kept}; none is needed: what is lost is published again from the rows")


def _info(client: Any) -> Mapping[str, Any] | None:
    try:
        found = client.info("everything")
    except (RedisError, OSError):
        return None
    return dict(found)


def _as_mapping(hello: Any) -> Mapping[str, Any]:
    if isinstance(hello, Mapping):
        return hello
    words = list(hello)
    return dict(zip(words[::2], words[1::2], strict=False))
