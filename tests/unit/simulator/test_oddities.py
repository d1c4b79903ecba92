"""Each oddity changes only what its description says."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from simulator.behavior import Knobs
from simulator.oddities import Oddities
from tests.unit.simulator.rehearsal import Rehearsal, calls, said, silence, sound, types

PARIS = "What is the weather in Paris?"


def odd(**switches: Any) -> Rehearsal:
    return Rehearsal(f"like: demo\nknobs: {json.dumps(switches)}")


def asked(rehearsal: Rehearsal) -> str:
    """Have the model call the weather tool; returns the call's id."""
    rehearsal.tools("weather")
    rehearsal.type_in(PARIS)
    response = rehearsal.respond()
    assert calls(response) == [("weather", {"city": "Paris"})]
    return str(response["output"][0]["call_id"])


def kinds(rehearsal: Rehearsal) -> set[str]:
    return set(types(rehearsal.sent))


def collision(rehearsal: Rehearsal) -> dict[str, Any]:
    """The error that answers a second `response.create`."""
    rehearsal.type_in("Hello")
    rehearsal.send("response.create")
    [refused] = rehearsal.send("response.create", event_id="mine")
    error: dict[str, Any] = refused["error"]
    return error


def test_with_no_switch_turned_nothing_is_odd() -> None:
    event = {"type": "session.created", "event_id": "e", "session": {"tools": [], "expires_at": 1}}
    assert Oddities().shown(event) == event


def expires_at(how: str) -> float:
    return float(odd(expires_at=how).last("session.created")["session"]["expires_at"])


def test_a_session_is_over_before_it_begins_or_tells_how_many_seconds_it_has() -> None:
    assert expires_at("past") < time.time()
    assert 0 < expires_at("relative") <= 3_600


@pytest.mark.parametrize(
    ("tools_shown", "shown"),
    [
        ("nested", [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]),
        ("empty", []),
        ("missing", None),
    ],
)
def test_tools_are_shown_another_way_and_in_force_all_the_same(tools_shown: str, shown: Any) -> None:
    rehearsal = odd(tools_shown=tools_shown)
    asked(rehearsal)
    assert rehearsal.last("session.updated")["session"].get("tools") == shown


def test_a_field_of_the_session_can_be_missing() -> None:
    assert "expires_at" not in odd(expires_at="missing").last("session.created")["session"]


@pytest.mark.parametrize("knob", ["session_created", "response_created"])
def test_a_first_event_is_not_sent(knob: str) -> None:
    rehearsal = odd(**{knob: False})
    asked(rehearsal)
    assert kinds(Rehearsal()) | {"response.created"} > {knob.replace("_", ".")}
    assert knob.replace("_", ".") not in kinds(rehearsal)


@pytest.mark.parametrize("kind", ["invalid_request_error", "server_error", "rate_limit_exceeded"])
def test_an_error_comes_before_the_update(kind: str) -> None:
    rehearsal = odd(before_updated=kind)
    events = rehearsal.send("session.update", event_id="mine", session={"type": "realtime", "instructions": "Hi"})
    assert types(events) == ["error", "session.updated"]
    assert (events[0]["error"]["type"], events[0]["error"]["event_id"]) == (kind, "mine")
    assert events[1]["session"]["instructions"] == "Hi"


def test_a_warning_names_a_field() -> None:
    [warning, _] = odd(before_updated="warning").send("session.update", session={"type": "realtime"})
    assert (warning["error"]["type"], warning["error"]["param"]) == ("invalid_request_error", "session.audio")


def test_an_update_that_only_an_error_answers_is_not_in_force() -> None:
    rehearsal = odd(before_updated="server_error", updated_follows=False)
    before = rehearsal.conversation.player.session
    assert types(rehearsal.send("session.update", session={"type": "realtime", "instructions": "Hi"})) == ["error"]
    assert rehearsal.conversation.player.session == before


def test_an_item_is_echoed_under_another_id_or_not() -> None:
    added, done = odd(item_echo="renamed").send("conversation.item.create", item=HELLO)
    assert added["item"]["id"] == done["item"]["id"] != "mine"
    mute = odd(item_echo="missing")
    assert mute.send("conversation.item.create", item=HELLO) == []
    assert mute.conversation.items.last_id == "mine"


HELLO = {"id": "mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}


@pytest.mark.parametrize(
    ("item_event", "events"),
    [
        ("added", ["conversation.item.added", "conversation.item.done"]),
        ("created", ["conversation.item.created"]),
    ],
)
def test_an_item_is_shown_by_the_event_of_today_or_of_the_beta(item_event: str, events: list[str]) -> None:
    shown = odd(item_event=item_event).send("conversation.item.create", item=HELLO)
    assert types(shown) == events
    assert {event["item"]["id"] for event in shown} == {"mine"}


def test_a_server_that_deletes_no_item_says_so_about_an_event_that_was_never_sent() -> None:
    rehearsal = odd(deletes_items=False, error_event_id="other")
    rehearsal.send("conversation.item.create", item=HELLO)
    [refused] = rehearsal.send("conversation.item.delete", event_id="ours", item_id="mine")
    assert (refused["error"]["code"], refused["error"]["event_id"]) == ("not_implemented", "event_TODO")
    assert rehearsal.conversation.items.last_id == "mine"


RECEIPT = {"status": "accepted", "note": "It follows."}


def test_a_call_that_was_only_accepted_is_still_waited_for_and_its_result_is_told_as_a_later_equal_call() -> None:
    rehearsal = odd()
    rehearsal.answer(asked(rehearsal), RECEIPT)
    rehearsal.type_in("Are you still there?")
    assert "waiting" in said(rehearsal.respond())
    again = {"type": "function_call", "call_id": "call_2", "name": "weather", "arguments": '{"city":"Paris"}'}
    rehearsal.send("conversation.item.create", item=again)
    rehearsal.answer("call_2", {"city": "Paris", "temperature_c": 21})
    assert "21" in said(rehearsal.respond())
    assert "waiting" not in said(rehearsal.respond())


@pytest.mark.parametrize(
    ("done_events", "left"),
    [
        ("no_item_done", {"response.output_item.done", "response.function_call_arguments.done", "response.done"}),
        ("response_done_only", {"response.done"}),
    ],
)
def test_some_done_events_are_not_sent(done_events: str, left: set[str]) -> None:
    rehearsal = odd(done_events=done_events)
    asked(rehearsal)
    assert {kind for kind in kinds(rehearsal) if kind.endswith(".done")} == left


@pytest.mark.parametrize(("metadata_echo", "shown"), [(True, {"a": "b"}), (False, None)])
def test_metadata_comes_back_or_not(metadata_echo: bool, shown: Any) -> None:
    rehearsal = odd(metadata_echo=metadata_echo)
    rehearsal.tools()
    assert rehearsal.respond(metadata={"a": "b"})["metadata"] == shown
    assert rehearsal.last("response.created")["response"]["metadata"] == shown


def test_a_response_dies_by_an_error_and_the_next_one_tells_what_it_was_to_tell() -> None:
    rehearsal = odd(dies_at=2)
    rehearsal.answer(asked(rehearsal), {"city": "Paris", "temperature_c": 21})
    events = rehearsal.send("response.create") + rehearsal.play_out()
    assert types(events) == ["response.created", "error"]
    assert (events[1]["error"]["type"], events[1]["error"]["event_id"]) == ("server_error", None)
    assert "21" in said(rehearsal.respond())


def test_a_rate_limit_stands_for_a_while_and_is_told() -> None:
    rehearsal = odd(rate_limited_ms=8_000, rate_limited_from=2)
    rehearsal.answer(asked(rehearsal), {"city": "Paris", "temperature_c": 21})
    assert [rehearsal.respond()["status"] for _ in range(2)] == ["failed"] * 2
    assert rehearsal.last("rate_limits.updated")["rate_limits"][0]["reset_seconds"] == 8.0
    [lift] = rehearsal.later
    rehearsal.perform(lift.then())
    assert "21" in said(rehearsal.respond())


def test_a_response_needs_the_outputs_of_all_calls() -> None:
    rehearsal = odd(create_needs_outputs=True)
    call_id = asked(rehearsal)
    [refused] = rehearsal.send("response.create")
    assert refused["error"]["code"] == "function_call_output_pending"
    rehearsal.answer(call_id, {})
    assert rehearsal.respond()["status"] == "completed"


REFUSED = "conversation_already_has_active_response"


@pytest.mark.parametrize(
    ("error_names", "kind", "code"),
    [("code", "invalid_request_error", REFUSED), ("type", REFUSED, None), ("number", "invalid_request_error", 409)],
)
def test_a_collision_is_named_in_one_of_three_ways(error_names: str, kind: str, code: Any) -> None:
    error = collision(odd(error_names=error_names))
    assert (error["type"], error["code"]) == (kind, code)


def test_other_errors_are_numbered_as_bad_requests() -> None:
    rehearsal = odd(error_names="number", error_event_id="null")
    [refused] = rehearsal.send("response.cancel", event_id="mine")
    assert (refused["error"]["code"], refused["error"]["event_id"]) == (400, None)


def test_the_type_of_an_event_can_stand_last() -> None:
    rehearsal = odd(type_place="last")
    rehearsal.tools(output_modalities=["audio"])
    rehearsal.respond()
    assert {list(event)[-1] for event in rehearsal.sent} == {"type"}
    assert next(iter(rehearsal.last("response.output_audio.delta"))) == "content_index"


def test_ids_of_36_characters_are_given_and_taken() -> None:
    rehearsal = odd(id_style="uuid", max_id_length=64)
    assert len(asked(rehearsal)) == 43
    assert len(rehearsal.last("response.done")["response"]["output"][0]["id"]) == 36
    item = {"id": "x" * 64, "type": "message", "role": "user", "content": []}
    assert types(rehearsal.send("conversation.item.create", item=item))[0] == "conversation.item.added"
    rehearsal.hear(sound(400) + silence(800))
    assert len(rehearsal.last("input_audio_buffer.committed")["item_id"]) == 36


@pytest.mark.parametrize(("connection", "item_echo"), [(1, "as_sent"), (2, "missing"), (3, "missing")])
def test_oddities_can_begin_at_a_later_connection(connection: int, item_echo: str) -> None:
    knobs = Knobs(item_echo="missing", odd_from_connection=2, think_ms=7).at_connection(connection)
    assert (knobs.item_echo, knobs.think_ms) == (item_echo, 7)


def test_a_retrieved_item_bears_its_transcript() -> None:
    rehearsal = Rehearsal(words=["good day"])
    rehearsal.tools(audio={"input": {"transcription": {"model": "whisper-1"}}})
    rehearsal.hear(sound(400) + silence(800))
    item_id = rehearsal.last("input_audio_buffer.committed")["item_id"]
    [retrieved] = rehearsal.send("conversation.item.retrieve", item_id=item_id)
    assert retrieved["item"]["content"][0]["transcript"] == "good day"
