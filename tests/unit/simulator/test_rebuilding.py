"""A conversation that its client rebuilds from an earlier one: what is taken, and what is said next."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal, calls, error_of, said, silence, sound, types

QUESTION = "where is my order"
OUTPUT = '{"summary": "It is baked and on its way."}'
TOLD = "It is baked and on its way."
WAITING = "I'm still waiting on that."


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def assistant(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def call(call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call", "name": "order_status", "call_id": call_id, "arguments": "{}"}


def output(call_id: str = "call_1", text: str = OUTPUT) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


def rebuilt(*items: dict[str, Any], scenario: str = "like: demo") -> Rehearsal:
    rehearsal = Rehearsal(scenario)
    rehearsal.tools("order_status", "quote_of_the_day")
    for item in items:
        acknowledged = rehearsal.send("conversation.item.create", item=item)
        assert types(acknowledged) == ["conversation.item.added", "conversation.item.done"]
    return rehearsal


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([user(QUESTION), call(), output()], TOLD),
        ([user(QUESTION), call(), output(), assistant("One moment, please.")], TOLD),
        ([user(QUESTION), call(), output(), assistant(f"So: {TOLD} What else?")], None),
        ([user(QUESTION), call(), output(), assistant("It is baked and on")], None),
        ([user(QUESTION), call(), assistant("One moment, please."), output()], TOLD),
        ([user(QUESTION), call(), output(), call("call_2"), output("call_2", "Two."), assistant(TOLD)], "Two."),
        ([user(QUESTION), call(), assistant(WAITING)], WAITING),
        ([assistant("Good day!")], None),
        ([], None),
    ],
)
def test_what_was_not_told_before_is_told_after_a_rebuild(items: list[dict[str, Any]], expected: str | None) -> None:
    rehearsal = rebuilt(*items)
    otherwise = rehearsal.conversation.player.script.scenario.otherwise
    first = said(rehearsal.respond())
    assert (expected or otherwise) in first
    assert TOLD not in said(rehearsal.respond()), "told once"


def test_a_last_turn_that_nobody_answered_is_answered() -> None:
    rehearsal = rebuilt(user(QUESTION), call(), output(), assistant(TOLD), user("give me a quote"))
    response = rehearsal.respond()
    assert (calls(response), said(response)) == ([("quote_of_the_day", {})], "")


def test_a_result_and_a_last_turn_are_both_dealt_with_in_one_response() -> None:
    response = rebuilt(user(QUESTION), call(), output(), assistant("One moment."), user("give me a quote")).respond()
    assert (calls(response), said(response)) == ([("quote_of_the_day", {})], TOLD)


def test_an_output_cannot_come_before_its_call() -> None:
    rehearsal = rebuilt(user(QUESTION))
    error = error_of(rehearsal.send("conversation.item.create", item=output()))
    assert error["code"] == "invalid_tool_call_id"


def test_an_item_id_that_was_taken_while_a_response_ran_is_refused_too() -> None:
    rehearsal = rebuilt(scenario="turns: [{hears: ., says: One two three.}]")
    rehearsal.type_in("Hello")
    rehearsal.send("response.create")
    for _ in range(2):
        assert rehearsal.send("conversation.item.create", item={"id": "item_1", **user("again")}) == []
    assert [e["error"]["param"] for e in rehearsal.play_out() if e["type"] == "error"] == ["item.id"]


def test_the_assistants_text_cannot_be_truncated() -> None:
    rehearsal = rebuilt({"id": "item_1", **assistant(TOLD)})
    cut = {"item_id": "item_1", "content_index": 0, "audio_end_ms": 0}
    assert error_of(rehearsal.send("conversation.item.truncate", **cut))["param"] == "item_id"


def test_speech_is_answered_by_itself_only_after_the_client_said_so_again() -> None:
    rehearsal = Rehearsal("turns: [{hears: ., spoken: 2, says: Good day.}]")
    for create in (False, True):
        detection = {"type": "server_vad", "create_response": create}
        rehearsal.tools(audio={"input": {"turn_detection": detection}})
        rehearsal.hear(sound(400) + silence(400))
        assert ("response.created" in types(rehearsal.sent)) is create
        rehearsal.play_out()
    assert "Good day." in said(rehearsal.last("response.done")["response"])


@pytest.mark.parametrize(
    ("knobs", "seconds"),
    [("{}", 3600), ("{expire_after_ms: 2500}", 2.5), ("{expire_after_ms: 9000, lifetime_ms: 4000}", 4)],
)
def test_a_session_tells_when_it_expires(knobs: str, seconds: float) -> None:
    before = time.time()
    promised = Rehearsal(f"knobs: {knobs}").sent[0]["session"]["expires_at"]
    assert before + seconds <= promised <= time.time() + seconds + 1
