"""The fake Realtime API is as strict as the checker needs it to be."""

from __future__ import annotations

import json
from typing import Any

from tests.chaos.model import Event, Model

ASKED = {"client": 1, "ask": 1, "calls": [["look_up", "c1.1.0"], ["charge", "c1.1.1"]]}


def said(**text: Any) -> Event:
    content = [{"type": "input_text", "text": json.dumps(text)}]
    return create({"type": "message", "role": "user", "content": content})


def create(item: Event) -> Event:
    return {"type": "conversation.item.create", "event_id": "ours", "item": item}


def output(call_id: str) -> Event:
    return create({"type": "function_call_output", "call_id": call_id, "output": '{"canary": "c1.1.0"}'})


def respond(model: Model) -> list[Event]:
    began = model.receive({"type": "response.create"})
    return [*began, *(event for events in model.play() for event in events)]


def items(events: list[Event], kind: str) -> list[Event]:
    return [e["item"] for e in events if e["type"] == "response.output_item.done" and e["item"]["type"] == kind]


def code(events: list[Event]) -> str:
    return str(events[0]["error"]["code"])


def test_it_makes_the_calls_that_a_message_asks_for_once() -> None:
    model = Model(1)
    model.receive(said(**ASKED))
    assert [call["name"] for call in items(respond(model), "function_call")] == ["look_up", "charge"]
    assert items(respond(model), "function_call") == []


def test_it_goes_on_where_a_rebuilt_conversation_ends() -> None:
    model = Model(2)
    model.receive(said(**ASKED))
    made = {"type": "function_call", "call_id": "call_1_1", "name": "look_up", "arguments": '{"canary": "c1.1.0"}'}
    model.receive(create(made))
    assert [call["name"] for call in items(respond(model), "function_call")] == ["charge"]


def test_it_speaks_of_each_answer_once() -> None:
    model = Model(1)
    model.receive(said(**ASKED))
    first, _ = items(respond(model), "function_call")
    model.receive(output(first["call_id"]))
    spoken, silent = (items(respond(model), "message")[0]["content"][0]["text"] for _ in range(2))
    assert "c1.1.0" in spoken
    assert "c1.1.0" not in silent


def test_it_refuses_an_answer_to_a_call_that_it_does_not_hold() -> None:
    assert code(Model(1).receive(output("call_1_1"))) == "invalid_tool_call_id"


def test_it_refuses_a_second_response_at_a_time() -> None:
    model = Model(1)
    model.receive({"type": "response.create"})
    assert code(model.receive({"type": "response.create"})) == "conversation_already_has_active_response"


def test_it_refuses_long_and_repeated_ids() -> None:
    model = Model(1)
    named = {"type": "message", "role": "user", "content": [], "id": "x" * 32}
    assert model.receive(create(named))[0]["type"] == "conversation.item.added"
    assert code(model.receive(create(named))) == "item_already_exists"
    assert code(model.receive(create({**named, "id": "x" * 33}))) == "string_above_max_length"


def test_it_calls_no_function_where_it_may_not_and_has_forgotten_what_was_deleted() -> None:
    model = Model(5)
    model.receive(said(**ASKED))
    model.receive(create({"id": "rb_say_1", "type": "message", "role": "system", "content": []}))
    began = model.receive({"type": "response.create", "response": {"tool_choice": "none"}})
    assert began[0]["type"] == "response.created"
    events = [event for events in model.play() for event in events]
    assert (len(items(events, "message")), items(events, "function_call")) == (1, [])
    delete = {"type": "conversation.item.delete", "item_id": "rb_say_1"}
    assert model.receive(delete)[0]["type"] == "conversation.item.deleted"
    assert code(model.receive(delete)) == "item_delete_invalid_item_id"
    assert len(items(respond(model), "function_call")) == 2, "what was asked for is called as soon as it may be"
