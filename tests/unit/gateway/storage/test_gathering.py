"""What tasks ask at one time is one statement; a task that is alone waits for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from gateway.storage import gathering
from gateway.storage.gathering import GatheredRuns
from ringback.postgres.statement import Bound

pytestmark = pytest.mark.anyio

A, B, C, D, FIRST = (UUID(int=number) for number in range(1, 6))
TEXT = b"one of many"


def run_of(key: UUID) -> Bound:
    return Bound(TEXT, [key])


def together(each: Sequence[Bound]) -> Bound:
    return Bound(b"many", [key for one in each for key in one.parameters])


class Postgres:
    """A store that is slow until it is told to go on, returns a row for each key, and notes what it was asked.

    Args:
        fails: returns why a statement for these keys fails.
        leaves_out: keys of which a joined statement returns no row.
    """

    def __init__(
        self, fails: Callable[[list[UUID]], Exception | None] = lambda _: None, leaves_out: Sequence[UUID] = ()
    ) -> None:
        self.asked: list[list[UUID]] = []
        self.texts: list[bytes] = []
        self.slow: dict[UUID, asyncio.Event] = {}
        """By the first key of a statement, what it waits for."""
        self._fails = fails
        self._leaves_out = leaves_out

    async def rows(self, statement: Bound) -> list[Any]:
        keys = list(statement.parameters)
        self.asked.append(keys)
        self.texts.append(statement.text)
        if keys[0] in self.slow:
            await self.slow[keys[0]].wait()
        if (problem := self._fails(keys)) is not None:
            raise problem
        is_joined = statement.text != TEXT
        return [SimpleNamespace(id=key) for key in keys if not (is_joined and key in self._leaves_out)]


def gathered(postgres: Postgres, *, leaves_out: bool = False) -> GatheredRuns:
    store: Any = postgres
    return GatheredRuns(store, together, "id", leaves_out=leaves_out)


def ask(runs: GatheredRuns, *keys: UUID) -> list[asyncio.Task[list[Any]]]:
    return [asyncio.create_task(runs.rows(key, run_of(key))) for key in keys]


async def ask_behind(postgres: Postgres, runs: GatheredRuns, *keys: UUID) -> list[asyncio.Task[list[Any]]]:
    """Ask while another statement is under way, of which the store notes nothing."""
    postgres.slow[FIRST] = asyncio.Event()
    (first,) = ask(runs, FIRST)
    await turns()
    tasks = ask(runs, *keys)
    await turns()
    postgres.slow[FIRST].set()
    await asyncio.wait([first])
    first.exception()
    postgres.asked.remove([FIRST])
    return tasks


async def turns(number: int = 5) -> None:
    """Let the event loop turn."""
    for _ in range(number):
        await asyncio.sleep(0)


async def all_of(tasks: Sequence[asyncio.Task[list[Any]]]) -> list[Any]:
    return [
        each if isinstance(each, BaseException) else [row.id for row in each]
        for each in await asyncio.gather(*tasks, return_exceptions=True)
    ]


async def test_a_run_that_is_alone_is_run_as_it_is_and_waits_for_nothing() -> None:
    postgres = Postgres()
    (task,) = ask(gathered(postgres), A)
    await turns(3)
    assert await all_of([task]) == [[A]]
    assert postgres.texts == [TEXT]


async def test_of_what_is_asked_in_one_turn_of_the_loop_the_first_is_sent_at_once() -> None:
    postgres = Postgres()
    postgres.slow[A] = asyncio.Event()
    runs = gathered(postgres)
    assert runs.is_idle
    tasks = ask(runs, A, B, C)
    await turns(1)
    assert (postgres.asked, runs.is_idle) == ([[A]], False)
    postgres.slow[A].set()
    assert await all_of(tasks) == [[A], [B], [C]]
    assert postgres.asked == [[A], [B, C]]
    assert runs.is_idle


async def test_what_comes_while_one_is_under_way_is_one_statement_behind_it() -> None:
    postgres = Postgres()
    postgres.slow[A] = asyncio.Event()
    runs = gathered(postgres)
    first = ask(runs, A)
    await turns()
    later = ask(runs, B)
    await turns()
    later += ask(runs, C)
    await turns()
    assert postgres.asked == [[A]], "one statement at a time"
    postgres.slow[A].set()
    assert await all_of([*first, *later]) == [[A], [B], [C]]
    assert postgres.asked == [[A], [B, C]]


async def test_one_that_hangs_does_not_hold_up_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PATIENCE_SECONDS", 0.0)
    postgres = Postgres()
    postgres.slow[A] = asyncio.Event()
    runs = gathered(postgres)
    first = ask(runs, A)
    await turns()
    assert await all_of(ask(runs, B)) == [[B]]
    assert not first[0].done()
    postgres.slow[A].set()
    assert await all_of(first) == [[A]]


async def test_a_statement_has_a_bound_and_a_key_is_in_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "RUNS_AT_ONCE", 2)
    postgres = Postgres()
    assert await all_of(await ask_behind(postgres, gathered(postgres), A, A, B, C)) == [[A], [A], [B], [C]]
    assert sorted(map(sorted, postgres.asked)) == [[A], [A, B], [C]]
    assert max(map(len, postgres.asked)) == 2


@pytest.mark.parametrize("problem", [psycopg.DataError("no such text"), psycopg.errors.LockNotAvailable("locked")])
async def test_what_postgres_refuses_of_one_is_run_alone_and_holds_up_no_other(problem: Exception) -> None:
    postgres = Postgres(lambda keys: problem if B in keys else None)
    assert await all_of(await ask_behind(postgres, gathered(postgres), A, B, C)) == [[A], problem, [C]]
    assert postgres.asked == [[A, B, C], [A], [B], [C]]


async def test_a_run_that_was_alone_is_not_run_again_when_it_is_refused() -> None:
    problem = psycopg.DataError("no such text")
    postgres = Postgres(lambda _: problem)
    assert await all_of(ask(gathered(postgres), A)) == [problem]
    assert postgres.asked == [[A]]


@pytest.mark.parametrize("problem", [psycopg.OperationalError("cut"), OSError("away"), TimeoutError()])
async def test_a_postgres_that_is_away_is_asked_once_for_all_and_each_hears_of_it(problem: Exception) -> None:
    postgres = Postgres(lambda _: problem)
    assert await all_of(await ask_behind(postgres, gathered(postgres), A, B)) == [problem, problem]
    assert postgres.asked == [[A, B]]


async def test_after_a_failure_the_next_ones_are_gathered_again() -> None:
    problems: list[Exception] = [OSError("away")]
    postgres = Postgres(lambda keys: problems.pop() if problems and A in keys else None)
    runs = gathered(postgres)
    await all_of(await ask_behind(postgres, runs, A, B))
    assert await all_of(await ask_behind(postgres, runs, A, B)) == [[A], [B]]
    assert postgres.asked == [[A, B], [A, B]]


@pytest.mark.parametrize(
    ("leaves_out", "asked", "found"),
    [(True, [[A, B], [B]], [[A], [B]]), (False, [[A, B]], [[A], []])],
    ids=["is run alone", "has no row"],
)
async def test_a_run_without_a_row_is_run_alone_if_the_statement_may_leave_one_out(
    leaves_out: bool, asked: list[list[UUID]], found: list[list[UUID]]
) -> None:
    postgres = Postgres(leaves_out=[B])
    assert await all_of(await ask_behind(postgres, gathered(postgres, leaves_out=leaves_out), A, B)) == found
    assert postgres.asked == asked


@pytest.mark.parametrize("which", [0, 1])
async def test_a_task_that_is_cancelled_before_its_statement_begins_is_left_out_of_it(which: int) -> None:
    postgres = Postgres()
    postgres.slow[D] = asyncio.Event()
    runs = gathered(postgres)
    before = ask(runs, D)
    await turns()
    tasks, keys = ask(runs, A, B, C), [A, B, C]
    await turns()
    tasks[which].cancel()
    await turns()
    postgres.slow[D].set()
    found = await all_of(tasks)
    assert isinstance(found.pop(which), asyncio.CancelledError)
    assert found == [[key] for key in keys if key is not keys[which]]
    assert keys[which] not in [key for asked in postgres.asked for key in asked]
    await all_of(before)


async def test_a_task_that_is_cancelled_while_its_statement_runs_for_others_ends_with_it() -> None:
    """A client hangs up: what the others ask of Postgres is neither undone nor asked again."""
    postgres = Postgres()
    postgres.slow[A] = asyncio.Event()
    tasks = await ask_behind(postgres, gathered(postgres), A, B, C)
    for _ in range(2):
        await turns()
        tasks[0].cancel()
    await turns()
    assert not tasks[0].done()
    postgres.slow[A].set()
    cancelled, *found = await all_of(tasks)
    assert isinstance(cancelled, asyncio.CancelledError)
    assert found == [[B], [C]]
    assert postgres.asked == [[A, B, C]]


async def test_a_task_that_is_cancelled_while_its_own_statement_runs_ends_at_once() -> None:
    postgres = Postgres()
    postgres.slow[A] = asyncio.Event()
    (task,) = ask(gathered(postgres), A)
    await turns()
    task.cancel()
    (cancelled,) = await all_of([task])
    assert isinstance(cancelled, asyncio.CancelledError)
