"""The connection to Redis beside the broker: notifies other gateways, and runs the commands of a sweep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.storage.answered_within import AnsweredWithin
from ringback.redis import notifications
from ringback.sweeper import Command
from ringback.telemetry import metrics

AT_ONCE = 100
"""Sessions whose commands go in one pipeline: the answers to all of it come within its bound."""
SECONDS = 1.0
"""For all that a pipeline waits for: a gateway that waits for a doorbell reads the table after a second anyway. Two
steps of the clock, so that an event loop that was held up is no Redis that is away.
"""
LONGEST_SECONDS = 10.0
"""The same by redis-py's own clock, which counts hold-ups too."""
REDIS_TROUBLE = (RedisError, OSError, RuntimeError)
"""What calls raise while Redis is away; RuntimeError is how uvloop reports a connection that was just reset."""

Answers: TypeAlias = list[Any] | Exception
"""The answer to each command, which may be a problem; or why Redis has answered none."""

log = logging.getLogger(__name__)


class RedisClient:
    """Client of Redis that never raises, and returns within a bound: twice `SECONDS`, if others are before it.

    Commands that come while a pipeline is under way go together in the next one: sessions whose calls were recorded by
    one statement publish them at one time.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(
            redis_url,
            socket_timeout=LONGEST_SECONDS,
            socket_connect_timeout=LONGEST_SECONDS,
            retry=Retry(NoBackoff(), 1),  # once: the connection may have gone stale since it was last used
        )
        self._doorbells = notifications.Doorbells()
        self._is_busy = False
        """True while a pipeline is under way."""
        self._waiting: list[tuple[Sequence[Command], asyncio.Future[Answers]]] = []
        self._next: asyncio.Task[None] | None = None
        """Runs what has waited."""

    async def notify(self, gateway_id: str, session_id: UUID) -> None:
        """Put an entry into that gateway's stream. If this fails, the gateway hears a second later."""
        if await self.run(self._doorbells.commands(gateway_id, session_id)) is None:
            self._doorbells.failed(gateway_id)

    async def run(self, commands: Sequence[Command]) -> list[Any] | None:
        """Run the commands in one pipeline. Return their answers, or None if Redis does not answer or refuses one."""
        if self._is_busy:
            answer = asyncio.get_running_loop().create_future()
            self._waiting.append((commands, answer))
            return _checked(await answer)
        self._is_busy = True
        try:
            return _checked(await self._pipeline(commands))
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Begin the next pipeline, if any commands wait, in a task that is none of those that wait."""
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            self._next = asyncio.create_task(self._run_waiting())

    async def _run_waiting(self) -> None:
        """Run what has waited, as much as fits. If Redis does not answer, all hear so: they have waited as long."""
        waiting, self._waiting = self._waiting, []
        batch, rest = waiting[:AT_ONCE], waiting[AT_ONCE:]
        try:
            answers = await self._pipeline([command for commands, _ in batch for command in commands])
            told: list[Answers] = [answers] * len(waiting)
            if isinstance(answers, list):
                waiting, self._waiting, each = batch, rest + self._waiting, iter(answers)
                told = [list(islice(each, len(commands))) for commands, _ in batch]
            for (_, answer), its in zip(waiting, told, strict=True):
                if not answer.done():  # a task that is cancelled waits no more
                    answer.set_result(its)
        finally:
            for _, answer in waiting:
                answer.cancel()
            self._go_on()

    async def _pipeline(self, commands: Sequence[Command]) -> Answers:
        """Run the commands now."""
        try:
            async with AnsweredWithin(SECONDS), self._redis.pipeline(transaction=False) as pipe:
                for command in commands:
                    pipe.execute_command(*command)
                return list(await pipe.execute(raise_on_error=False))
        except REDIS_TROUBLE as problem:
            return problem

    async def close(self) -> None:
        await self._redis.aclose()


def _checked(answers: Answers) -> list[Any] | None:
    """Return the answers to some commands; None, and count it, if there is none, or one of them is a problem."""
    if isinstance(answers, list):
        problem = next((each for each in answers if isinstance(each, Exception)), None)
        if problem is None:
            return answers
    else:
        problem = answers
    metrics.REDIS_FAILURES.inc()
    log.debug("redis command failed: %s", problem)
    return None
