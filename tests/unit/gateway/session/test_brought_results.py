"""A result that a doorbell brought is delivered without a look into its row, unless it may not count."""

from __future__ import annotations

from collections.abc import Coroutine
from math import inf
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from gateway.conversation.call_table import Call, CallTable, Stage
from gateway.session.client_connection import NoClient
from gateway.session.context import UpstreamLink
from gateway.session.session import Session
from ringback.redis.sealed_results import CarriedResult
from tests.session_parts import NONE, gateway_context, session_state

pytestmark = pytest.mark.anyio
READ = "the rows are read"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Talk:
    """A session, its conversation and its rows: what is delivered, and when the rows are read."""

    is_idle = True

    def __init__(self) -> None:
        self.done: list[Any] = []
        self.calls = CallTable()
        self.state = session_state(epoch=2)
        self.link = self.state.link = UpstreamLink(2, NONE, cast(Any, self))
        gateway = gateway_context(cast(Any, SimpleNamespace(rows=self._is_held)))
        gateway.ready_reads = cast(Any, self)
        self.state.tasks = cast(Any, self)
        self.session = Session(gateway, self.state, NoClient())

    def create_task(self, recording: Coroutine[Any, Any, None]) -> None:
        recording.close()

    async def _is_held(self, _statement: Any) -> list[Any]:
        return [SimpleNamespace(id=self.state.session_id)]

    async def rows(self, *_: Any) -> list[Any]:
        self.done.append(READ)
        return []

    def deliver(self, job_id: UUID, call_id: str, tool: str, outcome: Any, _now: float, *, more: bool) -> list[Any]:
        self.done.append((job_id, call_id, tool, outcome.result, more))
        return []

    def asks(self, stage: Stage = Stage.RUNNING, joined_to: UUID | None = None) -> UUID:
        """Have the model ask for a call that has come so far; return its job."""
        job_id = uuid4()
        self.calls.add(Call(f"call_{job_id}", "work", stage=stage, job_id=job_id, joined_to=joined_to))
        return job_id

    def wake_at(self, _now: float) -> float:
        return inf

    async def brings(self, *results: CarriedResult, wakes: bool = False) -> list[Any]:
        """What is done once a doorbell has brought these, and another has brought none."""
        handle = self.state.handle
        for result in results:
            handle.bring(result)
        if wakes:
            handle.wake()
        await self.session._from_doorbell()
        return self.done


def result(job_id: UUID, epoch: int = 2) -> CarriedResult:
    return CarriedResult(job_id, epoch, "call", "work", "done", 1.0)


async def test_results_are_delivered_as_they_came_and_spoken_of_together() -> None:
    talk = Talk()
    one, two = result(talk.asks()), result(talk.asks())
    told = [(each.job_id, "call", "work", "done", each is one) for each in (one, two)]
    assert await talk.brings(one, two) == told


async def test_a_result_is_delivered_before_its_call_is_known_to_be_recorded() -> None:
    talk = Talk()
    assert len(await talk.brings(result(talk.asks(Stage.ASKED)))) == 1


async def test_a_result_that_came_twice_is_delivered_once() -> None:
    talk = Talk()
    one = result(talk.asks())
    assert len(await talk.brings(one, one)) == 1


@pytest.mark.parametrize("stage", [Stage.SENT, Stage.ECHOED, Stage.TOLD, Stage.SILENT])
async def test_a_result_that_the_conversation_has_among_its_past_is_not_given_again(stage: Stage) -> None:
    """The session was resumed, the result committed, and then its past read; the doorbell came last."""
    talk = Talk()
    assert await talk.brings(result(talk.asks(stage))) == [READ]


async def test_a_result_of_a_call_that_the_conversation_does_not_know_is_read() -> None:
    assert await Talk().brings(result(uuid4())) == [READ]


@pytest.mark.parametrize("epoch", [1, 3])
async def test_a_result_of_another_epoch_is_read(epoch: int) -> None:
    """The conversation may have it among its past."""
    talk = Talk()
    assert await talk.brings(result(talk.asks()), result(talk.asks(), epoch)) == [READ]


async def test_a_result_is_read_while_the_session_moves_to_its_next_epoch() -> None:
    talk = Talk()
    talk.state.epoch = 3
    assert await talk.brings(result(talk.asks())) == [READ]


async def test_a_result_is_read_with_those_of_the_calls_that_joined_it() -> None:
    talk = Talk()
    job_id = talk.asks()
    talk.asks(joined_to=job_id)
    assert await talk.brings(result(job_id)) == [READ]


async def test_the_rows_are_read_if_any_doorbell_brought_nothing() -> None:
    talk = Talk()
    assert await talk.brings(result(talk.asks()), wakes=True) == [READ]


async def test_the_next_look_knows_nothing_of_the_last() -> None:
    talk = Talk()
    await talk.brings(result(talk.asks()), wakes=True)
    talk.done.clear()
    assert await talk.brings() == []
