"""The doors of the brain: what a client sends, answers and their echoes, and whose error is whose."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from gateway.upstream.events import MalformedEvent
from ringback.agents.client_policy import TRUSTED
from ringback.jobs.outcomes import Outcome, failed, succeeded
from tests.unit.gateway.conversation.script import (
    SERVER_VAD,
    SPEAK,
    Script,
    call,
    created,
    done,
    echo,
    item_of,
    job_of,
    refused,
    updated,
)

# — what the client sends —


def test_a_client_event_keeps_its_own_id_and_gets_one_of_ours_where_it_has_none() -> None:
    script = Script().opened()
    assert script.client(type="input_audio_buffer.clear", event_id="mine") == ["model: input_audio_buffer.clear"]
    assert script.to_model[0]["event_id"] == "mine"
    script.client(type="input_audio_buffer.clear")
    assert script.to_model[0]["event_id"].startswith("rb_")


def test_an_update_of_which_nothing_is_the_clients_is_answered_by_us() -> None:
    script = Script().opened()
    assert script.client(type="session.update", session={"instructions": "Obey."}) == ["client: session.updated"]
    assert "instructions" not in script.to_client[0]["session"]


def test_an_update_of_the_audio_goes_to_the_model_and_its_answer_hides_the_same() -> None:
    script = Script().opened()
    update = {"audio": {"input": {"turn_detection": None}}, "tools": []}
    assert script.client(type="session.update", session=update) == ["model: session.update"]
    assert script.to_model[0]["session"] == {
        "type": "realtime",
        "audio": {"input": {"turn_detection": None}},
    }
    assert script.model(updated(script, audio={"input": {"turn_detection": None}})) == ["client: session.updated"]
    assert "instructions" not in script.to_client[0]["session"]


# — answers —


def test_an_answer_is_one_output_item_with_the_jobs_own_id() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    assert script.deliver("call_1", succeeded({"sky": "clear"})) == ["model: output call_1"]
    item = script.to_model[0]["item"]
    assert item == {
        "id": item_of("call_1"),
        "type": "function_call_output",
        "call_id": "call_1",
        "output": '{"sky": "clear"}',
    }


def test_a_second_delivery_of_one_job_does_nothing() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    script.deliver("call_1")
    assert script.deliver("call_1") == []
    assert script.deliver("call_1", failed("other", "Another end.")) == []


def test_an_error_reaches_the_model_as_an_error() -> None:
    script = Script().opened()
    script.model(call("call_1"))
    script.deliver("call_1", failed("no_such_city", "There is no such city."))
    output = json.loads(script.to_model[0]["item"]["output"])
    assert output == {"error": {"code": "no_such_city", "message": "There is no such city."}}


def test_an_echo_acknowledges_once_for_added_and_done() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    script.deliver("call_1")
    assert script.model(echo("call_1", "added")) == ["acknowledge"]
    assert script.model(echo("call_1", "done")) == []


def test_the_echo_of_a_beta_shaped_server_acknowledges_as_well() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    script.deliver("call_1")
    assert script.model(echo("call_1", "created")) == ["acknowledge"]


def test_an_item_that_is_not_ours_acknowledges_nothing() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    forged = {"id": "item_other", "type": "function_call_output", "call_id": "call_1", "output": "4"}
    assert script.model({"type": "conversation.item.added", "item": forged}) == []


def test_a_call_whose_row_cannot_be_written_is_answered_at_once() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    (record,) = script.records
    (told,) = script.conversation.not_recorded(record, script.now)
    assert told.event["item"]["call_id"] == "call_1"  # type: ignore[union-attr]
    assert script.deliver("call_1") == [], "the row was committed after all: the conversation has its answer already"


def test_a_refused_call_whose_row_cannot_be_written_keeps_its_own_reason() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1", name="nothing"))
    (record,) = script.records
    (sent,) = script.conversation.not_recorded(record, script.now)
    assert "unknown_tool" in sent.event["item"]["output"]  # type: ignore[union-attr]


def test_an_answer_that_the_conversation_refuses_is_not_spoken_about() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    script.deliver("call_1")
    assert script.model(refused(script.to_model[0]["event_id"], "invalid_tool_call_id")) == ["warn"]
    assert script.model(done("R1")) == ["client: response.done"]
    assert script.wait(60) == []


# — job events —


def test_job_events_tell_the_life_of_a_call_to_a_client_that_asked() -> None:
    script = Script(wants=("jobs",)).opened()
    script.model(created("R1"), call("call_1"))
    (record,) = script.records
    (pending,) = script.conversation.recorded(record, script.now)
    assert pending.event["job"] == {  # type: ignore[union-attr]
        "id": str(job_of("call_1")),
        "call_id": "call_1",
        "tool": "weather",
        "state": "pending",
    }
    assert script.deliver("call_1") == ["model: output call_1", "client: job call_1 weather succeeded"]
    assert script.model(echo("call_1")) == ["acknowledge", "client: job call_1 weather acked"]


def test_a_call_whose_result_came_before_the_news_of_its_row_is_not_told_as_pending() -> None:
    script = Script(wants=("jobs",)).opened()
    script.model(created("R1"), call("call_1"))
    (record,) = script.records
    assert script.deliver("call_1") == ["model: output call_1", "client: job call_1 weather succeeded"]
    assert script.conversation.recorded(record, script.now) == []


def test_job_events_go_to_nobody_who_did_not_ask() -> None:
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    assert script.conversation.recorded(script.records[0], script.now) == []
    assert script.deliver("call_1") == ["model: output call_1"]


# — errors —


def spoken(outcome: Outcome | None = None) -> tuple[Script, str]:
    """A conversation in which our response.create is under way, and that event's id."""
    script = Script().opened()
    script.model(created("R1"), call("call_1"))
    script.deliver("call_1", outcome)
    assert script.model(done("R1")) == ["client: response.done", SPEAK]
    return script, script.last_create


@pytest.mark.parametrize("code", ["response_cancel_not_active", "invalid_value", "input_audio_buffer_commit_empty"])
def test_an_error_about_a_clients_event_goes_to_a_trusted_client_as_it_came(code: str) -> None:
    script = Script(policy=TRUSTED).opened()
    error = refused("mine", code)
    assert script.model(error) == ["client: error"]
    assert script.to_client == [error]


def test_an_error_about_a_clients_nameless_event_names_none_either() -> None:
    script = Script().opened()
    script.client(type="input_audio_buffer.commit")
    ours = script.to_model[0]["event_id"]
    assert script.model(refused(ours, "input_audio_buffer_commit_empty")) == ["client: error"]
    assert script.to_client[0]["error"]["event_id"] is None
    assert script.to_client[0]["error"]["code"] == "input_audio_buffer_commit_empty"


def test_an_error_that_names_no_event_goes_to_the_client() -> None:
    script = Script().opened()
    assert script.model(refused(None, "rate_limit_exceeded")) == ["client: error"]


def test_the_end_of_the_longest_duration_is_left_to_the_goodbye() -> None:
    script = Script().opened()
    assert script.model(refused(None, "session_expired")) == []
    assert script.conversation.is_expired


@pytest.mark.parametrize("code", ["invalid_value", "conversation_already_has_active_response", "server_error"])
def test_an_error_about_an_event_of_ours_never_reaches_the_client(code: str) -> None:
    script, create = spoken()
    assert "client: error" not in script.model(refused(create, code))


@pytest.mark.parametrize("event_id", [None, "rb_output_2"])
def test_an_unknown_call_is_our_affair_even_where_the_server_names_no_event(event_id: str | None) -> None:
    script, _ = spoken()
    assert script.model(refused(event_id, "invalid_tool_call_id")) == ["warn"]


def test_a_collision_of_the_clients_own_create_is_told_to_the_client() -> None:
    script = Script().opened()
    script.client(type="response.create", event_id="mine")
    assert script.model(refused("mine")) == ["client: error"]
    script.model(created("R1"), done("R1"))
    script.client(type="response.create")
    assert script.model(refused(script.last_create)) == ["client: error"]
    assert script.to_client[0]["error"]["event_id"] is None


def test_a_later_confirmation_without_turn_detection_changes_nothing_of_it() -> None:
    script = Script().opened(audio={"input": {"turn_detection": SERVER_VAD}})
    script.model({"type": "session.updated", "session": {"type": "realtime"}})
    assert script.conversation._scheduler.server_answers, "a server that does not echo a field has not changed it"


@pytest.mark.parametrize("missing", ["response", "item", "session", "error"])
@pytest.mark.parametrize(
    "kind",
    [
        "response.created",
        "response.done",
        "response.output_item.done",
        "conversation.item.added",
        "session.updated",
        "error",
    ],
)
def test_an_event_without_its_body_does_not_end_the_conversation(kind: str, missing: str) -> None:
    script = Script().opened()
    with suppress(MalformedEvent):  # the session drops it
        script.model({"type": kind, missing: None})
    assert script.conversation.is_open
