"""A loop goes on whatever fails, and the log says what failed and what happens next."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import repeat as always

import psycopg
import pytest

from gateway import retry
from gateway.backoff import pauses
from gateway.retry import FIRST_SECONDS, LONGEST_SECONDS, once_set, repeat, restarting, until_done

pytestmark = pytest.mark.anyio

PATIENCE = 20


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def at_once() -> Iterator[float]:
    return always(0.0)


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
    caplog.set_level(logging.ERROR, "gateway.retry")
    shaky = Shaky(3)
    task = asyncio.create_task(restarting(shaky.look, at_once))
    async with asyncio.timeout(PATIENCE):
        await shaky.goes_on.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [record.getMessage() for record in caplog.records] == ["Shaky.look failed; restarting it in 0.0 s"] * 3
    assert "the 2. row cannot be read" in str(caplog.records[1].exc_text or caplog.text)


async def test_a_loop_that_ran_for_long_is_begun_at_once_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "STEADY_SECONDS", -1.0)
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
    first = [pause for pause, _ in zip(pauses(lambda: 1.0, FIRST_SECONDS, LONGEST_SECONDS), range(9), strict=False)]
    assert first == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


class Answers:
    """Answers each question from a list, and raises what is an error in it; then it asks no more."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.is_over = asyncio.Event()

    async def ask(self) -> object:
        self.asked += 1
        if not self._answers:
            self.is_over.set()
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none of them takes time."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return pauses


async def test_a_look_is_repeated_after_a_pause_and_at_once_where_there_is_more(slept: list[float]) -> None:
    answers = Answers(True, True, False, None, [1])
    task = asyncio.create_task(repeat(answers.ask, 2.0, "look for work"))
    async with asyncio.timeout(PATIENCE):
        await answers.is_over.wait()
    task.cancel()
    assert (answers.asked, slept) == (6, [2.0, 2.0, 2.0])


async def test_a_look_that_postgres_does_not_answer_is_repeated_and_the_log_says_so(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    answers = Answers(OSError("Connection refused"), psycopg.OperationalError("gone"))
    task = asyncio.create_task(repeat(answers.ask, 2.0, "look for work"))
    async with asyncio.timeout(PATIENCE):
        await answers.is_over.wait()
    task.cancel()
    assert [record.getMessage() for record in caplog.records] == [
        "look for work failed (OSError: Connection refused); trying again in 2 s",
        "look for work failed (OperationalError: gone); trying again in 2 s",
    ]
    assert slept == [2.0, 2.0]


async def test_a_defect_of_a_look_ends_the_loop() -> None:
    with pytest.raises(LookupError):
        await repeat(Answers(LookupError("a defect")).ask, 2.0, "look for work")


async def test_an_attempt_is_made_until_it_succeeds(slept: list[float]) -> None:
    answers = iter([False, False, True, False])

    async def attempt() -> bool:
        return next(answers)

    await until_done(attempt, 0.5)
    assert slept == [0.5, 0.5]


async def test_a_look_waits_for_its_reason_and_one_look_is_for_all_reasons_so_far() -> None:
    due, looked = asyncio.Event(), asyncio.Semaphore(0)

    async def look() -> None:
        looked.release()

    task = asyncio.create_task(repeat(look, 0.0, "look-up", once_set(due)))
    async with asyncio.timeout(PATIENCE):
        await looked.acquire()
        for _ in range(10):
            await asyncio.sleep(0)
        assert looked.locked(), "the first look needs no reason, the second one does"
        due.set()
        due.set()
        await looked.acquire()
        for _ in range(10):
            await asyncio.sleep(0)
    assert looked.locked()
    assert not due.is_set()
    task.cancel()
    await asyncio.wait([task])
