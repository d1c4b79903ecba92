"""What is known of a call's row when Postgres does not answer, and what the model is told of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from msgspec import structs

from gateway.conversation.actions import RecordCall
from gateway.conversation.tool_calls.intake import as_answered, unrecorded
from gateway.session import call_recorder
from gateway.session.call_recorder import CallRecorder, Recorded
from gateway.storage.database import NotSent, may_be_written
from ringback.jobs.outcomes import failed
from ringback.jobs.states import Effect, JobState
from ringback.statements.jobs.admission import NewJob
from ringback.tools.spec import ToolSpec
from tests.session_parts import gateway_context, session_state

TOOL = ToolSpec("pay", "Pay.", {"type": "object"})


NOT_SENT = NotSent("Postgres is not reached")
CUT = psycopg.OperationalError("server closed the connection unexpectedly")
NO_ANSWER = TimeoutError()
REFUSED = psycopg.errors.QueryCanceled("canceling statement due to statement timeout")
NEVER_WILL = psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")


class Attempts:
    """A store whose attempts to insert a row end so, the last end again and again."""

    def __init__(self, *ends: Exception | bool) -> None:
        self.ends = list(ends)

    async def rows(self, _statement: Any) -> list[bool]:
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return [end] if end else []


def _record(effect: Effect) -> RecordCall:
    tool = replace(TOOL, effect=effect)
    return RecordCall(NewJob(uuid4(), uuid4(), "call_1", "R1", "pay", {}, tool=tool))


def _known(effect: Effect, *ends: Exception | bool) -> Recorded:
    gateway = gateway_context(Attempts(*ends), call_wait_seconds=0.0)
    return asyncio.run(CallRecorder(gateway, session_state()).record(_record(effect), 1))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_recorder, "AGAIN_SECONDS", 0.0)


@pytest.mark.parametrize(
    ("ends", "known"),
    [
        ([True], Recorded.NEW),
        ([False], Recorded.NOT_NEW),
        ([NOT_SENT], Recorded.ABSENT),
        ([REFUSED], Recorded.ABSENT),
        ([NEVER_WILL], Recorded.ABSENT),
        ([CUT], Recorded.UNKNOWN),
        ([NO_ANSWER], Recorded.UNKNOWN),
    ],
)
def test_what_is_known_of_a_row_after_one_attempt_is_what_that_attempt_says(
    ends: list[Exception | bool], known: Recorded
) -> None:
    assert _known(Effect.PURE, *ends) is known


@pytest.mark.parametrize("effect", [Effect.IDEMPOTENT, Effect.AT_MOST_ONCE])
@pytest.mark.parametrize(
    ("ends", "known"),
    [
        ([CUT, NOT_SENT, True], Recorded.NEW),
        ([NO_ANSWER, NOT_SENT, REFUSED, False], Recorded.NOT_NEW),
        ([CUT, NEVER_WILL], Recorded.ABSENT),
    ],
)
def test_a_call_that_may_be_running_and_must_not_be_repeated_waits_until_it_is_known(
    effect: Effect, ends: list[Exception | bool], known: Recorded
) -> None:
    assert _known(effect, *ends) is known


def test_what_an_earlier_attempt_may_have_written_is_not_forgotten_for_a_later_one_that_was_never_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_recorder, "UNHEARD_SECONDS", 0.01)
    assert _known(Effect.AT_MOST_ONCE, NO_ANSWER, NOT_SENT) is Recorded.UNKNOWN


def test_a_call_that_was_tried_before_is_tried_again_alone() -> None:
    """What it may have to wait for, a row that its lost attempt is about to write, holds up no other session."""
    sizes: list[int] = []

    class Cut(Attempts):
        async def rows(self, statement: Any) -> list[bool]:
            sizes.append(len(statement.given.get("calls", "1")))
            await asyncio.sleep(0)  # the others ask meanwhile
            return await super().rows(statement)

    async def record_three() -> list[Recorded]:
        gateway = gateway_context(Cut(True, CUT, True))
        recorders = [CallRecorder(gateway, session_state(uuid4())) for _ in range(3)]
        return await asyncio.gather(*(each.record(_record(Effect.PURE), 1) for each in recorders))

    assert asyncio.run(record_three()) == [Recorded.NEW] * 3
    assert sizes == [1, 2, 1, 1]


@pytest.mark.parametrize(
    ("problem", "may_be"), [(NOT_SENT, False), (REFUSED, False), (CUT, True), (NO_ANSWER, True), (OSError(), True)]
)
def test_only_a_statement_that_was_sent_and_not_refused_may_be_written(problem: Exception, may_be: bool) -> None:
    assert may_be_written(problem) is may_be


@pytest.mark.parametrize(
    ("effect", "may_be_running", "code"),
    [
        (Effect.PURE, False, "temporarily_unavailable"),
        (Effect.PURE, True, "temporarily_unavailable"),
        (Effect.IDEMPOTENT, False, "temporarily_unavailable"),
        (Effect.IDEMPOTENT, True, "outcome_unknown"),
        (Effect.AT_MOST_ONCE, False, "temporarily_unavailable"),
        (Effect.AT_MOST_ONCE, True, "outcome_unknown"),
    ],
)
def test_the_model_is_told_that_it_may_try_later_only_where_a_second_call_changes_nothing(
    effect: Effect, may_be_running: bool, code: str
) -> None:
    told = json.loads(unrecorded(_record(effect), may_be_running=may_be_running).output())
    assert told["error"]["code"] == code
    assert ("Do not repeat it" in told["error"]["message"]) is (code == "outcome_unknown")


@pytest.mark.parametrize("may_be_running", [False, True])
def test_a_call_that_joins_one_which_runs_is_told_to_wait_for_that_one(may_be_running: bool) -> None:
    record = _record(Effect.AT_MOST_ONCE)
    joined = structs.replace(record, job=structs.replace(record.job, joined_to=uuid4()))
    assert unrecorded(joined, may_be_running=may_be_running).code == "already_running"


def test_a_call_that_was_refused_keeps_its_own_reason() -> None:
    refused = structs.replace(_record(Effect.AT_MOST_ONCE), outcome=failed("busy", "Later."))
    assert unrecorded(refused, may_be_running=True).code == "busy"


def test_the_row_of_a_call_that_turns_out_to_be_unrecorded_says_that_it_was_not_run() -> None:
    outcome = as_answered(_record(Effect.AT_MOST_ONCE)).outcome
    assert outcome is not None
    assert (outcome.state, outcome.code) == (JobState.FAILED, "temporarily_unavailable")


class Noting:
    """A store that notes which calls it was asked to insert, in order."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def rows(self, statement: Any) -> list[bool]:
        self.asked.append(statement.given["id"])
        return [True]


def test_a_joined_call_is_sent_once_the_row_that_it_joins_is_known() -> None:
    first = _record(Effect.PURE)
    joined = structs.replace(
        first, job=structs.replace(first.job, id=uuid4(), call_id="call_2", joined_to=first.job.id)
    )

    async def run() -> list[Any]:
        store = Noting()
        recorder = CallRecorder(gateway_context(store), session_state())
        known = await asyncio.gather(recorder.record(first, 1), recorder.record(joined, 1))
        assert set(known) == {Recorded.NEW}
        return store.asked

    assert asyncio.run(run()) == [first.job.id, joined.job.id]


def test_the_rows_that_are_owed_have_a_bound_and_one_that_is_settled_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(call_recorder, "MAX_OWED", 2)

    class Hanging:
        answers = asyncio.Event()

        async def rows(self, _statement: Any) -> list[bool]:
            await self.answers.wait()
            return [True]

    async def settle() -> list[bool]:
        store = Hanging()
        recorder = CallRecorder(gateway_context(store), session_state())
        owed = [asyncio.create_task(recorder.settle_unrecorded(as_answered(_record(Effect.PURE)))) for _ in range(3)]
        await asyncio.sleep(0)  # each waits for Postgres, or is over
        store.answers.set()
        return [*await asyncio.gather(*owed), await recorder.settle_unrecorded(as_answered(_record(Effect.PURE)))]

    assert asyncio.run(settle()) == [True, True, False, True]
