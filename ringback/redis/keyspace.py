"""Key prefix of Ringback in Redis, and the rights of its Redis user."""

from __future__ import annotations

KEY_PREFIX = "ringback:"
"""Prefix of every key of Ringback: its user may touch no other."""
USER = "ringback"
USER_RULES = (
    "~ringback:* resetchannels -@all +auth +hello +ping +select "
    "+multi +exec +discard +watch +unwatch +lpush +rpush +brpop +llen +pexpire +expire +persist +set "
    "+sadd +smembers +zadd +zrange +zrem +hset +hget +hdel +xadd +xread"
)
"""In the syntax of Redis' ACL; docker-compose.yml and docs/how-to/deploy.md say the same. The user may run no script,
read no other keys, and neither change nor empty the server. No command is listed that Redis 7.0 does not know, as it
would not start. Clients that may not identify themselves (`CLIENT SETINFO`, since 7.2) go on without.
"""
