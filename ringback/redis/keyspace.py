"""What of Redis is ours, and what the user that our processes are there may do."""

from __future__ import annotations

KEY_PREFIX = "ringback:"
"""Of every key of ours: their user may touch no other."""
USER = "ringback"
USER_RULES = (
    "~ringback:* resetchannels -@all +auth +hello +ping +select "
    "+multi +exec +discard +watch +unwatch +lpush +rpush +brpop +llen +pexpire +expire +persist +set "
    "+sadd +smembers +zadd +zrange +zrem +hset +hget +hdel +xadd +xread"
)
"""In the words of Redis' ACL; docker-compose.yml and docs/how-to/deploy.md say the same. Nothing that runs a script,
reads what others do, changes the server, or empties it. And nothing that Redis 7.0 does not know, which would not
start: clients that may not say who they are (`CLIENT SETINFO`, since 7.2) go on without."""
