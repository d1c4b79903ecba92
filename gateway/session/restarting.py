"""A loop that no conversation hangs on begins again when it fails: the process, and all who talk through it, go on.

What each loop expects (Postgres or Redis away, a receiver that hangs) it survives by itself. This is for what it does
not expect: a fault of ours, or a row or file that none of ours could read.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from time import monotonic
from typing import Any, TypeAlias

from gateway.upstream.backoff import pauses

FIRST_SECONDS, MAX_SECONDS = 1.0, 60.0
"""Between two beginnings of a loop that fails at once: a fault that stays costs a line in the log a minute."""
STEADY_SECONDS = 60.0
"""A loop that ran for so long is begun again at once."""

Loop: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
"""Runs until it is cancelled."""

log = logging.getLogger(__name__)


async def restarting(loop: Loop, between: Callable[[], Iterator[float]] | None = None) -> None:
    """Run the loop until this is cancelled.

    Args:
        between: makes the pauses, in seconds, of a series of failures.
    """
    begin = between or (lambda: pauses(random.random, FIRST_SECONDS, MAX_SECONDS))
    series = begin()
    while True:
        began = monotonic()
        try:
            await loop()
            return
        except Exception:
            series = begin() if monotonic() - began > STEADY_SECONDS else series
            pause = next(series)
            log.exception("%s has failed; it begins again in %.1f s", loop.__qualname__, pause)
            await asyncio.sleep(pause)
