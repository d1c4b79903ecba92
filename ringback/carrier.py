"""kombu's transport over Redis, without the one thing that it needs a script in Redis for.

kombu puts a message that a worker took and never acknowledged back into its queue after an hour, under a lock whose
release is a script. Here nobody waits for that: the row has been published again within seconds. So such a message is
forgotten instead, which needs no lock, and the user that our processes are in Redis may run no scripts at all.
"""

from __future__ import annotations

from time import time
from typing import Any

from kombu.transport import redis

FORGET_AT_ONCE = 100
"""Of the messages that workers which were killed have left behind: each leaves one or two."""

_Quality: Any = redis.QoS  # kombu is typed in part
_Channel: Any = redis.Channel
_Transport: Any = redis.Transport


class Quality(_Quality):  # type: ignore[misc]
    """What is done with messages that were taken."""

    def restore_visible(self, start: int = 0, num: int | None = None, interval: int = 10) -> None:
        """kombu's own hook, called every ten seconds; each `interval`-th time counts."""
        self._vrestore_count += 1
        if (self._vrestore_count - 1) % (interval or 1):
            return
        with self.channel.conn_or_acquire() as client:
            index, long_ago = self.unacked_index_key, time() - self.visibility_timeout
            lost = client.zrange(index, 0, long_ago, byscore=True, offset=start, num=num or FORGET_AT_ONCE)
            if lost:
                client.pipeline().zrem(index, *lost).hdel(self.unacked_key, *lost).execute()


class Channel(_Channel):  # type: ignore[misc]
    QoS = Quality


class Transport(_Transport):  # type: ignore[misc]
    """Named in `ringback.broker`."""

    Channel = Channel
