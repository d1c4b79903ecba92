"""What sessions write at one time is one statement, and each hears of its own alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from gateway.session.transcript_writer import TranscriptWriter
from gateway.small_event import Errands
from gateway.storage import gathering
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
    monkeypatch.setattr(gathering, "RUNS_AT_ONCE", 2)
    store = Rows()
    await written(store, FIRST, FIRST, SECOND, THIRD)
    assert sorted(map(len, store.asked)) == [1, 1, 2]
    assert set.union(*store.asked) == {FIRST, SECOND, THIRD}


@pytest.mark.parametrize("which", [0, 1])
async def test_a_session_that_is_cancelled_leaves_the_others_to_be_written(which: int) -> None:
    store = Rows()
    gathered = GatheredWrites(store)  # type: ignore[arg-type]
    sessions = [FIRST, SECOND, THIRD]
    tasks = [asyncio.ensure_future(gathered.of(session)(said(session))) for session in sessions]
    await asyncio.sleep(0)
    tasks[which].cancel()
    found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[which], asyncio.CancelledError)
    for at, session in enumerate(sessions):
        if at != which:
            assert [row.session_id for row in found[at]] == [session]
    assert sessions[which] not in set.union(*store.asked), "it is withdrawn: what is written later would be older"


async def test_a_session_that_is_cancelled_while_it_is_written_ends_after_that() -> None:
    asked, written = asyncio.Event(), asyncio.Event()

    class Slow(Rows):
        async def rows(self, statement: Bound) -> list[Any]:
            asked.set()
            await written.wait()
            return await super().rows(statement)

    gathered = GatheredWrites(Slow())  # type: ignore[arg-type]
    first, second = (asyncio.ensure_future(gathered.of(each)(said(each))) for each in (FIRST, SECOND))
    await asked.wait()
    second.cancel()
    await asyncio.sleep(0)
    assert not second.done(), "what the session writes next must come after this"
    written.set()
    assert isinstance((await asyncio.gather(first, second, return_exceptions=True))[1], asyncio.CancelledError)


async def test_a_newer_message_is_not_overwritten_by_an_older_one_of_a_batch() -> None:
    kept: list[str] = []

    class Kept(Rows):
        async def rows(self, statement: Bound) -> list[Any]:
            await asyncio.sleep(0)
            kept.extend(each["content"][0]["text"] for each in statement.given["messages"])
            return [
                SimpleNamespace(session_id=UUID(each["session_id"]), item_id=each["item_id"])
                for each in statement.given["messages"]
            ]

    store = Kept()
    gathered = GatheredWrites(store)  # type: ignore[arg-type]
    privacy = SimpleNamespace(redaction=SimpleNamespace(data=lambda part: part))
    gateway: Any = SimpleNamespace(store=store, gathered=gathered, row_privacy=privacy, gateway_id="gw")
    session: Any = SimpleNamespace(session_id=FIRST, epoch=1, errands=Errands(asyncio.TaskGroup()))
    writer = TranscriptWriter(gateway, session)
    writer.keep([Message(1, "item_1", "assistant", [{"type": "output_text", "text": "the whole answer"}])])
    behind = asyncio.create_task(writer.flush(gathered.of(FIRST)))
    await asyncio.sleep(0)
    writer.keep([Message(1, "item_1", "assistant", [{"type": "output_text", "text": "the whole"}])])
    assert await writer.flush()
    assert await behind
    assert kept[-1] == "the whole"


async def test_what_postgres_refuses_of_one_session_holds_up_no_other() -> None:
    refused = psycopg.DataError("a character that no text may hold")
    store = Rows(lambda sessions: refused if SECOND in sessions else None)
    first, second, third = await written(store, FIRST, SECOND, THIRD)
    assert second is refused
    assert [row.session_id for row in [*first, *third]] == [FIRST, THIRD]


async def test_a_session_whose_write_fails_is_alone_until_it_succeeds() -> None:
    problems: list[Exception] = [psycopg.errors.LockNotAvailable("locked")] * 3
    store = Rows(lambda sessions: problems.pop() if problems and SECOND in sessions else None)
    gathered = GatheredWrites(store)  # type: ignore[arg-type]
    first, second = gathered.of(FIRST), gathered.of(SECOND)
    for _ in range(4):
        await asyncio.gather(first(said(FIRST)), second(said(SECOND)), return_exceptions=True)
    assert store.asked.count({FIRST, SECOND}) == 2, "with others before it failed, and after it succeeded"
    assert store.asked.count({SECOND}) == 3


async def test_a_defect_in_what_one_session_writes_holds_up_no_other() -> None:
    defect = TypeError("no such parameter")
    store = Rows(lambda sessions: defect if SECOND in sessions else None)
    first, second = await written(store, FIRST, SECOND)
    assert second is defect
    assert [row.session_id for row in first] == [FIRST]


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
