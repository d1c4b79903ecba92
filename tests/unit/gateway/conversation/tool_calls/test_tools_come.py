"""Functions that come while a conversation runs: the model may call them, and the client hears nothing of it."""

from __future__ import annotations

from dataclasses import replace

from gateway.conversation import Conversation
from ringback.tools.spec import ToolSpec
from tests.unit.gateway.conversation.script import SESSION, WEATHER, Script, agent, call, created, updated

TIDES = replace(WEATHER, name="tides")
OFFER = "model: offer"


def offered(script: Script) -> list[str]:
    return [tool["name"] for event in script.to_model for tool in event["session"]["tools"]]


def came(script: Script, *tools: ToolSpec) -> list[str]:
    return script._do(script.conversation.tools_came({tool.name: tool for tool in tools}, script.now))


def test_what_comes_is_offered_beside_what_there_was_and_can_be_called() -> None:
    script = Script(WEATHER).opened()
    assert came(script, TIDES) == [OFFER]
    assert offered(script) == ["weather", "tides"]
    assert script.model(updated(script)) == [], "the client is not told"
    script.model(created("R1"))
    assert script.model(call("a", name="tides")) == ["record a"]


def test_a_newer_one_takes_the_place_of_the_old_one_and_its_arguments_are_checked_as_it_says() -> None:
    script = Script(WEATHER).opened()
    script.model(created("R1"), call("a"))
    newer = replace(WEATHER, parameters={"type": "object", "required": ["country"], "properties": {}})
    assert came(script, newer) == [OFFER]
    assert offered(script) == ["weather"]
    assert script.model(call("b")) == ["refuse b: invalid_arguments"]


def test_what_came_before_the_conversation_was_open_is_offered_as_soon_as_it_is() -> None:
    script = Script(WEATHER)
    script.model({"type": "session.created", "session": {}})
    assert came(script, TIDES) == []
    script.conversation.tools.pop("tides")
    confirmed = updated(script)
    script.conversation.tools["tides"] = TIDES
    assert OFFER in script.model(confirmed)
    assert "tides" in [tool["name"] for event in script.to_model for tool in event["session"].get("tools", [])]


def test_with_nothing_new_nothing_is_said() -> None:
    assert came(Script(WEATHER).opened(), WEATHER) == []


def test_the_next_epoch_begins_with_all_of_them() -> None:
    tools = {"weather": WEATHER}
    conversation = Conversation(SESSION, agent(), tools)
    conversation.tools_came({"tides": TIDES}, 0.0)
    assert set(tools) == {"weather", "tides"}, "the session's own, which the next brain is given"
