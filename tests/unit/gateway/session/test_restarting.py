"""A loop that fails for a reason that it did not expect begins again, and the log says so."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import repeat

import pytest

from gateway.session import restarting as module
from gateway.session.restarting import FIRST_SECONDS, MAX_SECONDS, restarting
from gateway.upstream.backoff import pauses

pytestmark = pytest.mark.anyio

PATIENCE = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def at_once() -> Iterator[float]:
    return repeat(0.0)


class Shaky:
    """Fails so many times, and then runs on."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.begun = 0
        self.goes_on = asyncio.Event()

    async def look(self) -> None:
        self.begun += 1
        if self.begun <= self.failures:
            raise LookupError(f"the {self.begun}. row cannot be read")
        self.goes_on.set()
        await asyncio.Event().wait()


async def test_a_loop_that_fails_begins_again_and_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, "gateway.session.restarting")
    shaky = Shaky(3)
    task = asyncio.create_task(restarting(shaky.look, at_once))
    async with asyncio.timeout(PATIENCE):
        await shaky.goes_on.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record.getMessage() for record in caplog.records] == ["Shaky.look has failed; it begins again in 0.0 s"] * 3
    assert "the 2. row cannot be read" in str(caplog.records[1].exc_text or caplog.text)


async def test_a_loop_that_ran_for_long_is_begun_at_once_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STEADY_SECONDS", -1.0)
    shaky, series = Shaky(5), []

    def between() -> Iterator[float]:
        series.append(True)
        return iter([0.0])

    task = asyncio.create_task(restarting(shaky.look, between))
    async with asyncio.timeout(PATIENCE):
        await shaky.goes_on.wait()
    task.cancel()
    assert len(series) == 6, "a series each"


def test_pauses_grow_to_a_bound() -> None:
    first = [pause for pause, _ in zip(pauses(lambda: 1.0, FIRST_SECONDS, MAX_SECONDS), range(9), strict=False)]
    assert first == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
