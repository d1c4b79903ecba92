"""What sessions write at one time is one statement, and each hears of its own alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from gateway.storage import gathered_writes
from gateway.storage.gathered_writes import GatheredWrites, until_beat
from ringback.postgres.statement import Bound, joined
from ringback.statements.sessions import items
from ringback.statements.sessions.items import Message

pytestmark = pytest.mark.anyio

FIRST, SECOND, THIRD = (uuid4() for _ in range(3))


def said(session_id: UUID, text: str = "hello", gateway: str = "gw") -> Bound:
    content = [{"type": "input_text", "text": text}]
    return items.save(session_id, gateway, 1, [Message(1, "item_1", "user", content)])


class Rows:
    """A store that returns a row for each message, and keeps of which sessions it was given some."""

    def __init__(self, fails: Callable[[list[UUID]], Exception | None] = lambda _: None) -> None:
        self.asked: list[set[UUID]] = []
        self._fails = fails

    async def rows(self, statement: Bound) -> list[Any]:
        sessions = statement.given["session_ids"]
        self.asked.append(set(sessions))
        await asyncio.sleep(0)
        if (problem := self._fails(sessions)) is not None:
            raise problem
        return [SimpleNamespace(session_id=UUID(each["session_id"])) for each in statement.given["messages"]]


async def written(store: Rows, *sessions: UUID) -> list[Any]:
    gathered = GatheredWrites(store)  # type: ignore[arg-type]
    runs = (gathered.of(session)(said(session)) for session in sessions)
    return await asyncio.gather(*runs, return_exceptions=True)


async def test_what_sessions_write_at_one_time_is_one_statement_and_each_has_its_own_rows() -> None:
    store = Rows()
    found = await written(store, FIRST, SECOND, THIRD)
    assert [[row.session_id for row in rows] for rows in found] == [[FIRST], [SECOND], [THIRD]]
    assert store.asked == [{FIRST, SECOND, THIRD}]


async def test_a_session_is_in_a_statement_once_and_a_full_one_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_writes, "SESSIONS_AT_ONCE", 2)
    store = Rows()
    await written(store, FIRST, FIRST, SECOND, THIRD)
    assert sorted(map(len, store.asked)) == [2, 2]
    assert set.union(*store.asked) == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize("which", [0, 1])
async def test_a_session_that_is_cancelled_leaves_the_others_to_be_written(which: int) -> None:
    gathered = GatheredWrites(Rows())  # type: ignore[arg-type]
    sessions = [FIRST, SECOND, THIRD]
    tasks = [asyncio.create_task(gathered.rows(session, said(session))) for session in sessions]
    await asyncio.sleep(0)
    tasks[which].cancel()
    found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[which], asyncio.CancelledError)
    for at, session in enumerate(sessions):
        if at != which:
            assert [row.session_id for row in found[at]] == [session]


async def test_what_postgres_refuses_of_one_session_holds_up_no_other() -> None:
    refused = psycopg.DataError("a character that no text may hold")
    store = Rows(lambda sessions: refused if SECOND in sessions else None)
    first, second, third = await written(store, FIRST, SECOND, THIRD)
    assert second is refused
    assert [row.session_id for row in [*first, *third]] == [FIRST, THIRD]


@pytest.mark.parametrize("problem", [psycopg.OperationalError("cut"), OSError("away"), TimeoutError()])
async def test_a_postgres_that_is_away_is_asked_once_for_all(problem: Exception) -> None:
    store = Rows(lambda _: problem)
    assert await written(store, FIRST, SECOND) == [problem, problem]
    assert store.asked == [{FIRST, SECOND}]


@pytest.mark.parametrize("now", [10.0, 10.1, 10.24])
def test_a_beat_is_the_same_moment_for_all_who_wait_for_it(now: float) -> None:
    assert now + until_beat(now, 0.25) == pytest.approx(10.25)
    assert now + until_beat(now, 0.5) == pytest.approx(10.5)


def test_only_runs_of_one_statement_that_differ_in_lists_are_joined() -> None:
    both = joined([said(FIRST), said(SECOND, "good-bye")])
    assert both.text is said(FIRST).text
    assert both.given["session_ids"] == [FIRST, SECOND]
    for other in (said(SECOND, gateway="another"), items.replay(SECOND, "gw", 1)):
        with pytest.raises(ValueError, match="differ"):
            joined([said(FIRST), other])
    with pytest.raises(ValueError, match="Statement"):
        joined([Bound(b"SELECT 1", [])])
