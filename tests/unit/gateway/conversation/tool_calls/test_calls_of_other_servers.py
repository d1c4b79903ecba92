"""Calls as servers unlike OpenAI's show them: without a status, under ids of any length. They are answered."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.actions import RecordCall
from gateway.conversation.event_ids import MAX_NAME_CHARS
from ringback.jobs.outcomes import succeeded
from tests.unit.gateway.conversation.script import Script, created, done, finished, function_call

UNSAID = [{"status": None}, {"status": "in_progress"}, {}]


def item(said: dict[str, Any], name: str = "weather") -> dict[str, Any]:
    """A finished item that says this of its status."""
    return {key: value for key, value in function_call("call_1", name=name).items() if key != "status"} | said


@pytest.mark.parametrize("name", ["weather", "order"])
@pytest.mark.parametrize("said", UNSAID, ids=str)
def test_an_item_that_does_not_say_that_it_is_complete_is_as_complete_as_its_response(
    said: dict[str, Any], name: str
) -> None:
    script = Script().opened()
    script.model(created("R1"))
    assert script.model(finished(item(said, name))) == []
    assert script.model(done("R1")) == ["record call_1", "client: response.done"]


@pytest.mark.parametrize("said", UNSAID, ids=str)
def test_an_item_that_its_response_shows_again_is_one_call(said: dict[str, Any]) -> None:
    script = Script().opened()
    script.model(created("R1"), finished(item(said)), done("R1", "completed", item(said)))
    assert len(script.records) == 1


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
@pytest.mark.parametrize("said", UNSAID, ids=str)
def test_of_a_broken_response_it_is_nothing(said: dict[str, Any], status: str) -> None:
    script = Script().opened()
    assert script.model(created("R1"), finished(item(said)), done("R1", status, item(said))) == [
        "client: response.created",
        "client: response.done",
    ]


def test_an_unknown_function_without_a_status_is_answered_too() -> None:
    script = Script().opened()
    script.model(created("R1"), finished(item({"status": None}, "wether")))
    assert script.model(done("R1"))[0] == "refuse call_1: unknown_tool"


def test_an_item_of_no_response_is_complete_unless_it_says_otherwise() -> None:
    script = Script().opened()
    alone = {key: value for key, value in finished(item({"status": "in_progress"})).items() if key != "response_id"}
    assert script.model(alone) == []
    assert script.model({**alone, "item": item({"status": None})}) == ["record call_1"]


@pytest.mark.parametrize("call_id", ["c" * (MAX_NAME_CHARS + 1), "c" * 100_000, "ü" * 300])
def test_a_call_under_an_id_that_no_row_holds_is_answered_under_that_id(call_id: str) -> None:
    script = Script().opened()
    long_item = {**function_call("call_1"), "call_id": call_id, "id": "i" * 1_000}
    script.model(created("R1"), finished(long_item), done("R1", "completed", long_item))
    (record,) = script.records
    kept = record.job.call_id
    assert len(kept) == 32
    assert record.job.item_id == "i" * 1_000
    output = answer(script, record)
    assert output["call_id"] == call_id
    # Known by its echo, also where the server gives the item an id of its own.
    echoed = {"type": "conversation.item.added", "item": {**output, "id": "another"}}
    assert script.model(echoed)[0].startswith("ack")


def test_two_long_ids_that_begin_alike_are_two_calls() -> None:
    script = Script().opened()
    script.model(*(finished({**function_call("call_1"), "call_id": "c" * 300 + end}) for end in "ab"))
    first, second = (record.job.call_id for record in script.records)
    assert first != second


def answer(script: Script, record: RecordCall) -> dict[str, Any]:
    """What the model is sent as the answer of the recorded call."""
    job = record.job
    actions = script.conversation.deliver(job.id, job.call_id, "weather", succeeded({"sky": "clear"}), script.now)
    (output,) = [
        sent["item"]
        for action in actions
        if (sent := getattr(action, "event", {})).get("type") == "conversation.item.create"
    ]
    return dict(output)
