"""What the model says: the demo's sentences, results, errors, and calls that are still pending."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal, calls, said, silence, sound

TOOLS = ("weather", "quote_of_the_day", "random_number", "order_status", "fetch_url")
LONDON = ("weather", {"city": "London, UK"})
QUOTE: tuple[str, Any] = ("quote_of_the_day", {})
ORDER = ("order_status", {"order_id": "A-1042"})
WEATHER_OUTPUT = {"city": "London, UK", "temperature_c": 11, "condition": "light rain", "summary": "Wet."}


def demo(scenario: str = "like: demo", model: str = "gpt-realtime") -> Rehearsal:
    rehearsal = Rehearsal(scenario, model=model)
    rehearsal.tools(*TOOLS)
    return rehearsal


def ask(rehearsal: Rehearsal, text: str) -> dict[str, Any]:
    rehearsal.type_in(text)
    return rehearsal.respond()


def call_ids(response: dict[str, Any]) -> list[str]:
    return [item["call_id"] for item in response["output"] if item["type"] == "function_call"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what is the weather in London UK", [LONDON]),
        ("What's the weather in London?", [LONDON]),
        ("whether in london", [LONDON]),
        ("weather in new york today", [("weather", {"city": "New York"})]),
        ("Give me a quote of the day.", [QUOTE]),
        ("quote", [QUOTE]),
        ("pick a random number between one and ten", [("random_number", {"minimum": 1, "maximum": 10})]),
        ("Pick a number from 5 to 25, please", [("random_number", {"minimum": 5, "maximum": 25})]),
        ("pick a random number", [("random_number", {"minimum": 1, "maximum": 10})]),
        ("random number between twenty and forty two", [("random_number", {"minimum": 20, "maximum": 42})]),
        ("where is my order", [ORDER]),
        ("where is my order b-77?", [("order_status", {"order_id": "B-77"})]),
        ("fetch https://example.com/page", [("fetch_url", {"url": "https://example.com/page"})]),
        ("weather in london and a quote", [LONDON, QUOTE]),
        ("the weather in paris and a quote", [("weather", {"city": "Paris"}), QUOTE]),
        ("tell me a joke", []),
    ],
)
def test_the_demo_understands_its_sentences(text: str, expected: list[tuple[str, Any]]) -> None:
    response = ask(demo(), text)
    assert calls(response) == expected
    assert bool(expected) != ("What would you like?" in said(response))


@pytest.mark.parametrize(
    ("question", "output", "spoken"),
    [
        ("weather in london", WEATHER_OUTPUT, "In London, UK it is 11 degrees with light rain."),
        ("weather in london", {"summary": "Wet."}, "Wet."),
        ("weather in london", {"rain": 1}, 'The answer is: {"rain": 1}'),
        ("weather in london", "foggy", "The answer is: foggy"),
        ("weather in london", "[1, 2]", "The answer is: [1, 2]"),
        (
            "weather in london",
            {"error": {"code": "x", "message": "No such city."}},
            "I could not get the weather: No such city.",
        ),
        ("weather in london", {"error": {}}, "I could not get the weather."),
        ("weather in london", {"error": "timeout"}, "I could not get the weather."),
        ("quote", {"quote": "Be brief.", "author": "Me"}, "Here is your quote: Be brief. That was Me."),
        ("pick a random number", {"number": 7}, "I picked 7."),
        ("where is my order", {"order_id": "A-1042", "status": "packed"}, "Your order A-1042 is packed."),
    ],
)
def test_a_result_is_told_and_an_error_too(question: str, output: Any, spoken: str) -> None:
    rehearsal = demo()
    [call_id] = call_ids(ask(rehearsal, question))
    rehearsal.answer(call_id, output)
    assert said(rehearsal.respond()) == spoken


def test_a_very_long_output_is_not_read_out_to_its_end() -> None:
    rehearsal = demo()
    [call_id] = call_ids(ask(rehearsal, "weather in london"))
    rehearsal.answer(call_id, "x" * 10_000)
    assert len(said(rehearsal.respond())) < 400


def test_results_that_came_together_are_told_together_and_once() -> None:
    rehearsal = demo()
    weather, quote = call_ids(ask(rehearsal, "weather in london and a quote"))
    rehearsal.answer(quote, {"quote": "Be brief.", "author": "Me"})
    rehearsal.answer(weather, {"summary": "Wet."})
    assert said(rehearsal.respond()) == "Here is your quote: Be brief. That was Me. Wet."
    assert said(rehearsal.respond()) == rehearsal.conversation.player.script.scenario.otherwise


def test_a_question_about_a_pending_call_is_answered_with_patience() -> None:
    rehearsal = demo()
    [call_id] = call_ids(ask(rehearsal, "where is my order"))
    assert said(ask(rehearsal, "Are you still there?")) == "I'm still waiting on that."
    assert said(ask(rehearsal, "where is my order")) == "I'm still waiting on that."
    assert said(rehearsal.respond()) == "I'm still waiting on that."
    assert calls(ask(rehearsal, "give me a quote")) == [QUOTE]
    rehearsal.answer(call_id, {"summary": "It is packed."})
    assert said(rehearsal.respond()) == "It is packed."


def test_a_pending_call_can_be_repeated_when_the_scenario_says_so() -> None:
    rehearsal = demo("like: demo\nknobs: {repeat_pending_calls: true}")
    first = call_ids(ask(rehearsal, "where is my order"))
    assert calls(again := ask(rehearsal, "where is my order")) == [ORDER]
    assert call_ids(again) != first


def test_a_result_and_a_new_question_are_dealt_with_in_one_response() -> None:
    rehearsal = demo()
    [call_id] = call_ids(ask(rehearsal, "weather in london"))
    rehearsal.answer(call_id, {"summary": "Wet."})
    response = ask(rehearsal, "and a quote please")
    assert said(response) == "Wet."
    assert calls(response) == [QUOTE]


def test_a_tool_that_the_session_does_not_have_is_not_called() -> None:
    rehearsal = Rehearsal()
    rehearsal.tools("weather")
    response = ask(rehearsal, "weather in london and a quote")
    assert calls(response) == [LONDON]
    assert said(response) == "I would use the tool quote_of_the_day for that, but this session does not have it."


def test_no_tool_is_called_when_the_choice_is_none() -> None:
    rehearsal = demo()
    rehearsal.type_in("weather in london")
    assert calls(rehearsal.respond(tool_choice="none")) == []


def test_only_one_call_is_made_at_a_time_when_parallel_calls_are_off() -> None:
    rehearsal = demo("like: demo\nknobs: {parallel_calls: false}")
    assert calls(ask(rehearsal, "weather in london and a quote")) == [LONDON]


def test_words_to_say_are_said_exactly() -> None:
    rehearsal = demo()
    ask(rehearsal, "where is my order")
    assert said(rehearsal.respond(instructions='Say "This takes a while." and nothing else.')) == "This takes a while."
    assert said(rehearsal.respond(instructions="Tell the user to be patient.")) == "I'm still waiting on that."


def test_a_reasoning_model_comments_on_its_calls_and_marks_its_answer_as_final() -> None:
    rehearsal = demo(model="gpt-realtime-2.1")
    response = ask(rehearsal, "weather in london")
    assert [item.get("phase") for item in response["output"]] == ["commentary", None]
    assert response["output"][1]["arguments"] == '{"city":"London, UK"}'
    rehearsal.answer(response["output"][1]["call_id"], {"summary": "Wet."})
    assert [item["phase"] for item in rehearsal.respond()["output"]] == ["final_answer"]


def test_a_turn_that_was_cut_off_goes_well_when_it_is_tried_again() -> None:
    rehearsal = demo("like: cancelled")
    cut = ask(rehearsal, "weather in london")
    assert (cut["status"], cut["output"][0]["status"]) == ("cancelled", "incomplete")
    with pytest.raises(json.JSONDecodeError):
        calls(cut)
    assert calls(rehearsal.respond()) == [LONDON]


def test_a_call_that_was_cut_off_is_not_pending() -> None:
    rehearsal = demo("like: incomplete")
    ask(rehearsal, "weather in london")
    assert rehearsal.conversation.items.pending_calls() == []


def seed(rehearsal: Rehearsal, *items: dict[str, Any]) -> None:
    for item in items:
        rehearsal.send("conversation.item.create", item=item)


USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "weather in london"}]}
ASSISTANT = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is wet."}]}
SEEDED_CALL = {"type": "function_call", "name": "weather", "call_id": "call_1", "arguments": "{}"}
SEEDED_OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": '{"summary": "Wet."}'}


def test_a_rebuilt_conversation_goes_on_where_it_was() -> None:
    rehearsal = demo()
    seed(rehearsal, USER, SEEDED_CALL, SEEDED_OUTPUT, ASSISTANT)
    assert calls(ask(rehearsal, "quote")) == [QUOTE]


def test_a_result_that_arrives_in_a_rebuilt_conversation_is_told_and_not_asked_for_again() -> None:
    rehearsal = demo()
    seed(rehearsal, USER, SEEDED_CALL)
    assert said(rehearsal.respond()) == "I'm still waiting on that."
    seed(rehearsal, SEEDED_OUTPUT)
    response = rehearsal.respond()
    assert (said(response), calls(response)) == ("Wet.", [])


def test_a_turn_that_nothing_heard_is_known_by_its_number() -> None:
    rehearsal = demo()
    for expected in (LONDON, QUOTE):
        rehearsal.hear(sound(400) + silence(400))
        rehearsal.play_out()
        assert calls(rehearsal.last("response.done")["response"]) == [expected]
