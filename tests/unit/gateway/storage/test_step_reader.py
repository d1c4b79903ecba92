"""The events of calls are read together, and a caller that is cancelled takes no other with it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.storage import step_reader
from gateway.storage.step_reader import StepReader

pytestmark = pytest.mark.anyio


class Rows:
    """A store that has one event of each job, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[set[UUID]] = []

    async def rows(self, statement: Any) -> list[Any]:
        self.asked.append(set(statement.given["job_ids"]))
        return [SimpleNamespace(job_id=job_id) for job_id in statement.given["job_ids"]]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(step_reader, "GATHER_SECONDS", 0.01)
    return Rows()


def reader_of(store: Rows) -> StepReader:
    return StepReader(store)  # type: ignore[arg-type]


async def test_calls_that_end_at_one_time_are_read_by_one_statement(store: Rows) -> None:
    reader, jobs = reader_of(store), [uuid4() for _ in range(3)]
    found = await asyncio.gather(*(reader.gathered(job) for job in jobs))
    assert [[step.job_id for step in steps] for steps in found] == [[job] for job in jobs]
    assert store.asked == [set(jobs)]
    await reader.gathered(jobs[0])
    assert store.asked[1:] == [{jobs[0]}], "the next read begins anew"


@pytest.mark.parametrize("which", [0, 1])
async def test_a_caller_that_is_cancelled_leaves_the_others_to_be_read(store: Rows, which: int) -> None:
    reader, jobs = reader_of(store), [uuid4() for _ in range(3)]
    tasks = [asyncio.create_task(reader.gathered(job)) for job in jobs]
    await asyncio.sleep(0)
    tasks[which].cancel()
    found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[which], asyncio.CancelledError)
    for at, job in enumerate(jobs):
        if at != which:
            assert [step.job_id for step in found[at]] == [job]
