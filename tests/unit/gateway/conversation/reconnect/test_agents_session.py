"""What an agent's file says of the session: offered with every list of tools, in force where nothing is echoed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.agents.client_policy import TRUSTED
from tests.unit.gateway.conversation.script import WEATHER, Script, call, created, done, updated

DOCS = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp", "require_approval": "never"}
SEARCH = {"type": "web_search"}
NAMED = {**DOCS, "authorization_env": "DOCS_TOKEN"}
SESSION: dict[str, Any] = {"tools": [NAMED], "provider": {"tools": [SEARCH]}}
LAMP = {"type": "function", "name": "lamp"}
TIDES = replace(WEATHER, name="tides")


def labels(script: Script) -> list[str]:
    """Of all tools that the model was just told of."""
    [update] = [event for event in script.to_model if event["type"] == "session.update"]
    return [tool.get("name") or tool.get("server_label") or tool["type"] for tool in update["session"]["tools"]]


def test_hosted_tools_are_offered_whenever_tools_are_told() -> None:
    script = Script(WEATHER, policy=TRUSTED, session=SESSION)
    script.model({"type": "session.created", "session": {}})
    assert labels(script) == ["weather", "docs", "web_search"]
    script.model(updated(script, tools=[WEATHER.for_model(), DOCS, SEARCH]))
    assert script.conversation.is_open
    script.client(type="session.update", session={"tools": [LAMP]})
    assert labels(script) == ["weather", "docs", "web_search", "lamp"]
    script._do(script.conversation.tools_came({"tides": TIDES}, script.now))
    assert labels(script) == ["weather", "tides", "docs", "web_search", "lamp"]


def test_a_choice_that_names_a_hosted_server_is_sent() -> None:
    choice = {"type": "mcp", "server_label": "docs"}
    script = Script(WEATHER, tool_choice=choice, session=SESSION)
    script.model({"type": "session.created", "session": {}})
    assert script.to_model[0]["session"]["tool_choice"] == choice


def test_no_client_is_shown_what_opens_a_hosted_server() -> None:
    script = Script(WEATHER, policy=TRUSTED, session=SESSION)
    script.model({"type": "session.created", "session": {}})
    echoed = {**DOCS, "authorization": "token-1", "headers": {"X-Key": "key-1"}}
    script.model(updated(script, tools=[WEATHER.for_model(), echoed]))
    [shown] = script.to_client
    assert shown["session"]["tools"] == [WEATHER.for_model(), DOCS]
    response = created("R1")
    response["response"]["tools"] = [echoed]
    script.model(response)
    assert script.to_client[0]["response"]["tools"] == [DOCS]


@pytest.mark.parametrize("echoed", [{}, {"output": {"format": {"type": "audio/pcmu"}}}])
def test_audio_is_counted_in_the_format_of_the_file_also_where_the_server_does_not_echo_it(echoed: Any) -> None:
    script = Script(session={"audio": {"output": {"format": {"type": "audio/pcmu"}}}}).opened(audio=echoed)
    item = {"id": "item_m", "type": "message", "role": "assistant", "content": []}
    script.model(created("R1"), {"type": "response.output_item.added", "response_id": "R1", "item": item})
    script.model({"type": "conversation.item.added", "item": item})
    words = {"type": "response.output_audio_transcript.delta", "item_id": "item_m", "delta": "one two three four"}
    script.model({**words, "response_id": "R1"})
    first = {"type": "response.output_audio.delta", "response_id": "R1", "item_id": "item_m", "delta": "A" * 1_000}
    script.model(first)
    assert script.conversation.audio_passed("item_m", 8_000 * 4 // 3 - 1_000, 1_000.0)  # a second
    cut = {"type": "conversation.item.truncated", "item_id": "item_m", "content_index": 0, "audio_end_ms": 500}
    script.model(cut)
    assert script.kept == {"item_m": "one two"}


def told_after_a_turn(answers: bool, echoed: Any) -> list[list[str]]:
    """What is asked for in each quarter of a second after the user's turn, while a result waits to be told."""
    detection = {"type": "server_vad", "create_response": answers}
    script = Script(WEATHER, turn_detection=detection, quiet_seconds=0).opened(audio=echoed)
    script.model(created("R1"), call("a"), done("R1"))
    script.model({"type": "input_audio_buffer.speech_started"}, {"type": "input_audio_buffer.speech_stopped"})
    script.deliver("a")
    return [script.wait(0.25) for _ in range(8)]


@pytest.mark.parametrize("answers", [False, True])
def test_who_answers_a_turn_is_known_from_the_file_where_the_server_does_not_echo_it(answers: bool) -> None:
    echoed = {"input": {"turn_detection": {"type": "server_vad", "create_response": answers}}}
    assert told_after_a_turn(answers, {}) == told_after_a_turn(answers, echoed)
    assert told_after_a_turn(answers, {}) != told_after_a_turn(not answers, {})
