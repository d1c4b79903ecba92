"""Loops that go on after a failure: a look that is repeated, an attempt until it succeeds, a loop that is restarted.

`repeat` and `until_done` are for what a loop expects, such as a Postgres that does not answer. `restarting` is for what
it does not expect: a defect of the gateway, or a row or file that the gateway cannot read.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from time import monotonic
from typing import Any, TypeAlias

import psycopg

from gateway.backoff import pauses
from ringback.errors import database_reason

FIRST_SECONDS, LONGEST_SECONDS = 1.0, 60.0
"""Between two starts of a loop that fails at once: a lasting fault costs a line in the log a minute."""
STEADY_SECONDS = 60.0
"""If a loop ran for so long, it is restarted at once."""

Loop: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Runs until it is cancelled."""

log = logging.getLogger(__name__)


async def repeat(
    look: Callable[[], Awaitable[object]],
    seconds: float,
    name: str,
    until: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Look until cancelled, with a pause of so many seconds between. If a look returns True, look again at once.

    If Postgres does not answer, log `<name> failed (…); trying again in … s`.

    Args:
        until: waits, after the pause, for a reason to look.
    """
    while True:
        has_more = False
        try:
            has_more = await look() is True
        except (psycopg.Error, OSError) as problem:
            log.warning("%s failed (%s); trying again in %g s", name, database_reason(problem), seconds)
        if has_more:
            continue
        await asyncio.sleep(seconds)
        if until is not None:
            await until()


def once_set(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """Return a function that waits until the event is set, and clears it: the look that follows is for all so far."""

    async def wait() -> None:
        await event.wait()
        event.clear()

    return wait


async def until_done(attempt: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Attempt it until it returns True, with a pause of so many seconds between. The attempt logs why it failed."""
    while True:
        if await attempt():
            return
        await asyncio.sleep(seconds)


async def restarting(loop: Loop, between: Callable[[], Iterator[float]] | None = None) -> None:
    """Run the loop until this is cancelled; if it raises, run it again.

    Args:
        between: makes the pauses, in seconds, of a series of failures.
    """
    begin = between or (lambda: pauses(random.random, FIRST_SECONDS, LONGEST_SECONDS))
    series = begin()
    while True:
        began = monotonic()
        try:
            await loop()
            return
        except Exception:
            series = begin() if monotonic() - began > STEADY_SECONDS else series
            pause = next(series)
            log.exception("%s failed; restarting it in %.1f s", loop.__qualname__, pause)
            await asyncio.sleep(pause)
