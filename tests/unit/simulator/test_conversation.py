"""The server's brain: what each client event leads to, without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal, calls, error_of, types

TEXT_TURN = "turns: [{hears: ., says: One two three four five.}]"
SPOKEN_TURN = "turns: [{hears: ., spoken: 1, says: Good day.}]"
CALL_TURN = "turns: [{hears: ., calls: [{tool: weather, arguments: {city: London}}]}]"
LONG_ID = "x" * 33


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ({}, "invalid_event", "type"),
        ({"type": "no.such.event"}, "invalid_value", "type"),
        ({"type": "session.update"}, "missing_required_parameter", "session"),
        ({"type": "session.update", "session": {}}, "missing_required_parameter", "session.type"),
        ({"type": "input_audio_buffer.append"}, "missing_required_parameter", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "not base64!"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "conversation.item.create"}, "missing_required_parameter", "item"),
        ({"type": "conversation.item.create", "item": {}}, "missing_required_parameter", "item.type"),
        ({"type": "conversation.item.create", "item": {"type": "poem"}}, "invalid_value", "item.type"),
        ({"type": "conversation.item.retrieve"}, "missing_required_parameter", "item_id"),
        ({"type": "conversation.item.retrieve", "item_id": "no"}, "item_retrieve_invalid_item_id", "item_id"),
        ({"type": "conversation.item.delete", "item_id": "no"}, "item_delete_invalid_item_id", "item_id"),
        ({"type": "conversation.item.truncate", "item_id": "no"}, "item_truncate_invalid_item_id", "item_id"),
        ({"type": "response.cancel"}, "response_cancel_not_active", None),
        ({"type": "response.create", "response": {"speed": 2}}, "unknown_parameter", "response.speed"),
        ({"type": "response.create", "response": {"conversation": "mine"}}, "invalid_value", "response.conversation"),
    ],
)
def test_a_wrong_event_is_answered_with_an_error_that_names_it(
    event: dict[str, Any], code: str, param: str | None
) -> None:
    rehearsal = Rehearsal()
    rehearsal.perform(rehearsal.conversation.receive(json.dumps({**event, "event_id": "mine"})))
    error = rehearsal.sent[-1]["error"]
    assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("frame", "code"), [("{", "invalid_json"), ("[1]", "invalid_event"), (b"\xff", "invalid_json")]
)
def test_a_frame_that_is_no_event_is_answered_with_an_error(frame: str | bytes, code: str) -> None:
    rehearsal = Rehearsal()
    rehearsal.perform(rehearsal.conversation.receive(frame))
    assert rehearsal.sent[-1]["error"]["code"] == code


@pytest.mark.parametrize(
    ("item", "code", "param"),
    [
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "role": "robot", "content": []}, "invalid_value", "item.role"),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "Hi"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        ({"type": "function_call_output", "call_id": "call_1"}, "missing_required_parameter", "item.output"),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "invalid_type", "item.output"),
        ({"type": "function_call_output", "call_id": "c", "output": ""}, "invalid_tool_call_id", "item.call_id"),
        ({"type": "function_call_output", "call_id": LONG_ID, "output": ""}, "string_above_max_length", "item.call_id"),
        (
            {"id": LONG_ID, "type": "message", "role": "user", "content": []},
            "string_above_max_length",
            "item.id",
        ),
    ],
)
def test_a_wrong_item_is_refused_and_not_added(item: dict[str, Any], code: str, param: str) -> None:
    rehearsal = Rehearsal()
    error = error_of(rehearsal.send("conversation.item.create", item=item))
    assert (error["code"], error["param"]) == (code, param)
    assert rehearsal.conversation.items.items == []


def test_an_unknown_previous_item_is_refused() -> None:
    error = error_of(Rehearsal().type_in("Hi", previous_item_id="item_no"))
    assert "item_no" in error["message"]


def test_an_item_goes_where_the_client_says() -> None:
    rehearsal = Rehearsal()
    first = rehearsal.type_in("first")[0]["item"]["id"]
    rehearsal.type_in("last")
    assert rehearsal.type_in("second", previous_item_id=first)[0]["previous_item_id"] == first
    assert rehearsal.type_in("zeroth", previous_item_id="root")[0]["previous_item_id"] is None
    texts = [item["content"][0]["text"] for item in rehearsal.conversation.items.items]
    assert texts == ["zeroth", "first", "second", "last"]


def test_an_item_id_cannot_be_taken_twice() -> None:
    rehearsal = Rehearsal()
    item = {"id": "item_1", "type": "message", "role": "user", "content": []}
    rehearsal.send("conversation.item.create", item=item)
    assert error_of(rehearsal.send("conversation.item.create", item=item))["param"] == "item.id"


def test_a_session_update_is_answered_with_the_whole_session() -> None:
    rehearsal = Rehearsal()
    audio = {"input": {"transcription": {"model": "whisper-1"}, "turn_detection": {"silence_duration_ms": 900}}}
    [updated] = rehearsal.send("session.update", session={"type": "realtime", "audio": audio})
    listening = updated["session"]["audio"]["input"]
    assert listening["transcription"] == {"model": "whisper-1", "language": None, "prompt": None}
    assert listening["turn_detection"]["silence_duration_ms"] == 900
    assert listening["turn_detection"]["create_response"] is True
    assert updated["session"]["audio"]["output"] == rehearsal.sent[0]["session"]["audio"]["output"]


def test_the_voice_is_locked_once_the_assistant_has_spoken_and_the_whole_update_is_refused() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    change = {"type": "realtime", "instructions": "New.", "audio": {"output": {"voice": "cedar"}}}
    assert types(rehearsal.send("session.update", session=change)) == ["session.updated"]
    rehearsal.type_in("Hello")
    rehearsal.respond()
    change["audio"] = {"output": {"voice": "marin"}}
    change["instructions"] = "Newer."
    assert error_of(rehearsal.send("session.update", session=change))["code"] == "cannot_update_voice"
    assert rehearsal.conversation.player.session["instructions"] == "New."
    assert rehearsal.conversation.player.session["audio"]["output"]["voice"] == "cedar"


def test_a_second_response_is_refused_while_one_is_active() -> None:
    rehearsal = Rehearsal(TEXT_TURN)
    rehearsal.tools()
    rehearsal.type_in("Hello")
    first = rehearsal.send("response.create")[0]["response"]["id"]
    error = error_of(rehearsal.send("response.create", event_id="mine"))
    assert error["code"] == "conversation_already_has_active_response"
    assert first in error["message"]
    assert error["event_id"] == "mine"
    rehearsal.play_out()
    assert rehearsal.last("response.done")["response"]["status"] == "completed"
    assert types(rehearsal.send("response.create")) == ["response.created"]


def test_an_error_names_no_event_when_the_scenario_says_so() -> None:
    rehearsal = Rehearsal("knobs: {error_event_id: 'null'}")
    assert error_of(rehearsal.send("response.cancel", event_id="mine"))["event_id"] is None


def test_an_item_created_during_a_response_is_acknowledged_after_it() -> None:
    rehearsal = Rehearsal(CALL_TURN)
    rehearsal.tools("weather")
    rehearsal.type_in("Weather?")
    rehearsal.send("response.create")
    call_id = rehearsal.play_until("response.function_call_arguments.done")["call_id"]
    assert rehearsal.answer(call_id, "Foggy.") == []
    assert types(rehearsal.play_out()) == ["response.done", "conversation.item.added", "conversation.item.done"]


def test_an_item_created_during_a_response_can_be_acknowledged_at_once() -> None:
    rehearsal = Rehearsal(f"{TEXT_TURN}\nknobs: {{items_during_response: at_once}}")
    rehearsal.tools()
    rehearsal.type_in("Hello")
    rehearsal.send("response.create")
    assert types(rehearsal.type_in("And you?")) == ["conversation.item.added", "conversation.item.done"]


def test_acknowledgements_come_late_when_the_scenario_says_so() -> None:
    rehearsal = Rehearsal("knobs: {ack_delay_ms: 250}")
    assert rehearsal.type_in("Hello") == []
    [later] = rehearsal.later
    assert later.after_ms == 250
    rehearsal.perform(later.then())
    assert types(rehearsal.sent[-2:]) == ["conversation.item.added", "conversation.item.done"]


@pytest.mark.parametrize(("knob", "answer"), [("accept", "conversation.item.added"), ("error", "error")])
def test_a_second_output_for_one_call_is_accepted_or_refused(knob: str, answer: str) -> None:
    rehearsal = Rehearsal(f"{CALL_TURN}\nknobs: {{second_output: {knob}}}")
    rehearsal.tools("weather")
    rehearsal.type_in("Weather?")
    call_id = rehearsal.respond()["output"][0]["call_id"]
    assert rehearsal.answer(call_id, "Foggy.")[0]["type"] == "conversation.item.added"
    assert rehearsal.answer(call_id, "Sunny.")[0]["type"] == answer


def test_an_output_after_its_call_was_deleted_is_refused() -> None:
    rehearsal = Rehearsal(CALL_TURN)
    rehearsal.tools("weather")
    rehearsal.type_in("Weather?")
    [call] = rehearsal.respond()["output"]
    assert types(rehearsal.send("conversation.item.delete", item_id=call["id"])) == ["conversation.item.deleted"]
    assert error_of(rehearsal.answer(call["call_id"], "Foggy."))["code"] == "invalid_tool_call_id"


def test_truncation_removes_the_transcript_and_cannot_exceed_the_audio() -> None:
    rehearsal = Rehearsal(SPOKEN_TURN)
    rehearsal.type_in("Hello")
    item_id = rehearsal.respond()["output"][0]["id"]
    cut = {"item_id": item_id, "content_index": 0}
    beyond = error_of(rehearsal.send("conversation.item.truncate", **cut, audio_end_ms=301))
    assert beyond["message"] == "Audio content of 300ms is already shorter than 301ms"
    [truncated] = rehearsal.send("conversation.item.truncate", **cut, audio_end_ms=100)
    assert truncated["audio_end_ms"] == 100
    [retrieved] = rehearsal.send("conversation.item.retrieve", item_id=item_id)
    assert retrieved["item"]["content"] == [{"type": "output_audio"}]


def test_a_session_expires_with_an_error_and_then_a_close() -> None:
    rehearsal = Rehearsal()
    rehearsal.perform(rehearsal.conversation.expire())
    assert rehearsal.sent[-1]["error"]["code"] == "session_expired"
    assert rehearsal.hung_up is not None
    assert rehearsal.hung_up.code == 1001


def test_usage_grows_with_the_conversation() -> None:
    rehearsal = Rehearsal(TEXT_TURN)
    rehearsal.tools()
    totals = []
    for _ in range(2):
        rehearsal.type_in("Hello")
        usage = rehearsal.respond()["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        totals.append(usage["input_tokens"])
    assert totals[1] > totals[0] > 0


def test_calls_of_one_response_have_their_own_items_and_places() -> None:
    rehearsal = Rehearsal()
    rehearsal.tools("weather", "quote_of_the_day")
    rehearsal.type_in("the weather in london and a quote")
    response = rehearsal.respond()
    assert calls(response) == [("weather", {"city": "London, UK"}), ("quote_of_the_day", {})]
    added = [e for e in rehearsal.sent if e["type"] == "response.output_item.added"]
    assert [event["output_index"] for event in added] == [0, 1]
    assert len({event["item"]["call_id"] for event in added}) == 2


def test_lenient_items_keep_their_status_and_an_output_needs_no_call() -> None:
    rehearsal = Rehearsal("knobs: {lenient_items: true}")
    content = [{"type": "input_text", "text": "Hi"}]
    for item in (
        {"type": "function_call_output", "call_id": "c", "output": ""},
        {"type": "message", "role": "system", "status": "incomplete", "content": content},
    ):
        event = {"type": "conversation.item.create", "item": item}
        rehearsal.perform(rehearsal.conversation.receive(json.dumps(event)))
    shown = [event["item"] for event in rehearsal.sent if event["type"] == "conversation.item.added"]
    assert [item.get("status") for item in shown] == [None, "incomplete"]
