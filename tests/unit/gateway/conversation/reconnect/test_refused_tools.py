"""A tool that the Realtime API refuses costs itself alone: it is left out, and the session goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.actions import LeaveOut
from gateway.conversation.tool_calls.client_tools import MAX_LEFT_OUT
from ringback.agents.client_policy import TRUSTED
from ringback.jobs.states import Effect
from tests.unit.gateway.conversation.script import ORDER, WEATHER, Script, call, created, done, updated

TIDES = replace(WEATHER, name="tides")
LAMP = {"type": "function", "name": "lamp", "description": "Turn on the lamp.", "parameters": {"type": "object"}}
REFUSED = "Invalid schema for function '{}': In context=('properties', 'where'), array schema missing items."
LET_IN = ["let the client in", "client: session.created"]
OFFER = "model: offer"


def refusal(script: Script, name: str = "tides", event_id: str | None = "sent", **error: Any) -> dict[str, Any]:
    """As OpenAI words it; by default it is about the last event that was sent."""
    sent = script.to_model[-1]["event_id"] if event_id == "sent" else event_id
    said = {"code": "invalid_function_parameters", "message": REFUSED.format(name), "param": "session.tools[1].x"}
    return {"type": "error", "error": {"type": "invalid_request_error", "event_id": sent, **said, **error}}


def names(script: Script) -> list[list[str]]:
    return [[tool["name"] for tool in event["session"]["tools"]] for event in script.to_model]


def left_out(script: Script) -> list[str]:
    return [action.tool.name for action in script.actions if isinstance(action, LeaveOut)]


def began(*tools: Any, **more: Any) -> Script:
    script = Script(*(tools or (WEATHER, TIDES)), **more)
    script.model({"type": "session.created", "session": {"instructions": "theirs", "tools": []}})
    return script


def came(script: Script, *tools: Any) -> list[str]:
    return script._do(script.conversation.tools_came({tool.name: tool for tool in tools}, script.now))


def test_a_session_is_configured_anew_without_the_tool_that_was_refused() -> None:
    script = began()
    assert script.model(refusal(script)) == ["leave out tides", "model: session.update"]
    assert names(script) == [["weather"]]
    assert script.to_model[0]["session"]["instructions"] == "Be kind."
    assert script.model(updated(script)) == LET_IN


def test_one_after_the_other_is_left_out() -> None:
    script = began(ORDER, TIDES, WEATHER)
    for name in ("order", "weather"):
        assert script.model(refusal(script, name)) == [f"leave out {name}", "model: session.update"]
    assert names(script) == [["tides"]]
    assert script.model(updated(script)) == LET_IN


@pytest.mark.parametrize(
    ("error", "left"),
    [
        ({"message": 'Invalid schema for function "tides": no.', "param": None}, ["tides"]),
        ({"message": "Tool `tides` has a schema that is not supported", "param": ""}, ["tides"]),
        ({"message": "Array schema missing items.", "param": "session.tools[1].parameters"}, ["tides"]),
        ({"message": "Array schema missing items.", "param": "session.tools.0.parameters"}, ["weather"]),
        ({"message": "Array schema missing items.", "param": "tools[0]"}, ["weather"]),
        ({"message": "Invalid schema for function 'another'.", "param": "session.tools[1]"}, []),
        ({"message": "Array schema missing items.", "param": "session.tools[2].parameters"}, []),
        ({"message": "The voice 'tides' is not supported.", "param": "session.audio.output.voice"}, []),
        ({"message": None, "param": None}, []),
        ({"message": ["function 'tides'"], "param": 7}, ["tides"]),
    ],
)
def test_the_tool_is_known_by_its_name_or_else_by_its_place(error: dict[str, Any], left: list[str]) -> None:
    script = began()
    script.model(refusal(script, **error))
    assert left_out(script) == left
    if not left:
        assert script.seen == ["warn", "close 1011 upstream_refused"]


def test_a_realtime_api_that_refuses_every_tool_is_not_asked_for_ever() -> None:
    tools = [replace(WEATHER, name=f"tool_{number}") for number in range(MAX_LEFT_OUT + 1)]
    script = began(*tools)
    for tool in tools[:-1]:
        script.model(refusal(script, tool.name))
        assert left_out(script) == [tool.name]
    assert script.model(refusal(script, tools[-1].name)) == ["warn", "close 1011 upstream_refused"]


def test_a_tool_that_comes_while_the_session_runs_and_is_refused_is_withdrawn_and_the_rest_is_offered() -> None:
    script = Script(WEATHER).opened()
    assert came(script, TIDES, ORDER) == [OFFER]
    assert script.model(refusal(script)) == ["leave out tides", OFFER]
    assert names(script) == [["weather", "order"]]
    assert script.model(updated(script)) == [], "the client is not told"
    script.model(created("R1"))
    assert script.model(call("a")) == ["record a"]
    assert script.model(call("b", name="tides")) == ["refuse b: unknown_tool"]


def test_a_refusal_that_names_no_event_is_about_the_offer_that_waits() -> None:
    script = Script(WEATHER).opened()
    came(script, TIDES)
    assert script.model(refusal(script, event_id=None)) == ["leave out tides", OFFER]


def test_an_error_about_anything_else_costs_no_tool() -> None:
    script = Script(WEATHER, TIDES).opened()
    script.model(refusal(script, "tides", "event_of_the_client", param="item.call_id"))
    assert left_out(script) == []
    assert set(script.conversation.tools) == {"weather", "tides"}


def test_an_update_of_the_clients_that_is_refused_for_a_tool_of_the_servers_is_made_anew() -> None:
    script = Script(WEATHER, policy=TRUSTED).opened()
    came(script, TIDES)
    late = refusal(script)  # of the offer, and on its way
    script.client(type="session.update", event_id="mine", session={"tools": [LAMP]})
    script.model(late)
    script.conversation.tools["tides"] = TIDES  # as where the offer were still in flight
    again = script.model(refusal(script, event_id="mine"))
    assert again == ["leave out tides", "model: session.update"]
    assert names(script) == [["weather", "lamp"]]
    assert script.to_model[0]["event_id"] == "mine"


def test_a_tool_of_the_clients_that_is_refused_is_the_clients_to_hear_of() -> None:
    script = Script(WEATHER, policy=TRUSTED).opened()
    script.client(type="session.update", event_id="mine", session={"tools": [LAMP]})
    assert "client: error" in script.model(refusal(script, "lamp", "mine"))
    assert left_out(script) == []


def test_a_call_that_waits_for_its_response_outlives_the_tool() -> None:
    order = replace(ORDER, effect=Effect.AT_MOST_ONCE)
    script = Script(WEATHER, order).opened()
    script.model(created("R1"), call("a", name="order"))
    came(script, replace(order, description="Newer."))
    assert script.model(refusal(script, "order")) == ["leave out order", OFFER]
    assert "refuse a: unknown_tool" in script.model(done("R1"))
