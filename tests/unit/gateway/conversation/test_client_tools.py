"""The functions that a trusted client brings: offered beside the server's, called by the model, answered by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.clients import TRUSTED
from tests.unit.gateway.conversation.script import WEATHER, Script, call, created, done, echo, refused, updated

LAMP = {"type": "function", "name": "lamp", "description": "Turn on the lamp.", "parameters": {"type": "object"}}
ASKED = {"type": "function_call", "status": "completed", "id": "item_l", "call_id": "call_l", "name": "lamp"}
LAMP_CALL = {**ASKED, "arguments": '{"on": true}'}

OPENED = ["let the client in", "client: session.created"]
ON = {"output": "on"}
NOT_YOURS = "item.call_id: no call of a function that this client brought waits for an answer under this id."


def trusted(**fields: Any) -> Script:
    return Script(policy=TRUSTED, **fields).opened()


def with_lamp(script: Script) -> Script:
    script.client(type="session.update", session={"tools": [LAMP]})
    script.model(updated(script))
    return script


def called(script: Script) -> list[str]:
    script.model(created("R1"))
    done_event = {"type": "response.output_item.done", "response_id": "R1", "item": LAMP_CALL}
    return script.model(done_event)


def test_they_stand_beside_the_servers() -> None:
    script = trusted()
    assert script.client(type="session.update", session={"tools": [LAMP]}) == ["model: session.update"]
    names = [tool["name"] for tool in script.to_model[0]["session"]["tools"]]
    assert names == [*script.brain.tools, "lamp"]


def test_a_name_of_the_servers_is_the_servers() -> None:
    script = trusted()
    mine = {**LAMP, "name": WEATHER.name}
    assert script.client(type="session.update", event_id="mine", session={"tools": [mine]}) == ["client: error"]
    assert script.to_client[0]["error"]["code"] == "invalid_value"
    assert script.to_client[0]["error"]["event_id"] == "mine"


@pytest.mark.parametrize("name", ["cancel_call", "answer_approval"])
def test_so_is_one_of_the_gateways_own(name: str) -> None:
    script = trusted()
    assert script.client(type="session.update", session={"tools": [{**LAMP, "name": name}]}) == ["client: error"]


def test_their_call_is_the_clients_to_answer_and_no_row_tells_of_it() -> None:
    script = with_lamp(trusted())
    assert called(script) == ["client: response.output_item.done"]
    item = {"type": "function_call_output", "call_id": "call_l", "output": "on"}
    assert script.client(type="conversation.item.create", item=item) == ["model: output call_l"]
    sent = script.to_model[0]["item"]
    assert {key: sent[key] for key in item} == item
    assert script.model(done("R1")) == ["client: response.done"]
    assert script.client(type="response.create") == ["model: response.create"]


@pytest.mark.parametrize("call_id", ["call_l", "a", "of_somebody_else"])
def test_nothing_else_is_the_clients_to_answer(call_id: str) -> None:
    script = with_lamp(trusted())
    script.model(created("R1"), call("a"))
    item = {"type": "function_call_output", "call_id": call_id, "output": "{}"}
    assert script.client(type="conversation.item.create", item=item) == ["client: error"]
    error = script.to_client[0]["error"]
    assert error["code"] == "forbidden_event"
    assert error["message"] == NOT_YOURS, "one refusal for all of them"


def test_a_call_is_answered_once() -> None:
    script = with_lamp(trusted())
    called(script)
    item = {"type": "function_call_output", "call_id": "call_l", "output": "on"}
    script.client(type="conversation.item.create", item=item)
    assert script.client(type="conversation.item.create", item=item) == ["client: error"]


def test_an_answer_that_a_lost_conversation_has_not_confirmed_is_not_said_to_the_next_one() -> None:
    """Which knows nothing of the call: no row tells of it."""
    script = with_lamp(trusted())
    called(script)
    script.client(type="conversation.item.create", item={"type": "function_call_output", "call_id": "call_l", **ON})
    again = Script(policy=TRUSTED, carried=replace(script.brain.carry(script.now), has_past=False))
    again.model({"type": "session.created", "session": {}})
    assert again.model(updated(again, tools=again.to_model[0]["session"]["tools"])) == OPENED


def test_an_answer_of_theirs_that_the_conversation_does_not_take_is_theirs_to_know() -> None:
    script = with_lamp(trusted())
    called(script)
    item = {"type": "function_call_output", "call_id": "call_l", **ON}
    script.client(type="conversation.item.create", event_id="mine", item=item)
    assert script.model(refused("mine", "invalid_tool_call_id")) == ["client: error"]
    assert script.to_client[0]["error"]["event_id"] == "mine"


def test_a_servers_call_stays_hidden_beside_it() -> None:
    script = with_lamp(trusted())
    script.model(created("R1"))
    assert script.model(call("a")) == ["record a"]


def test_they_are_still_offered_when_our_own_functions_come_and_in_the_next_epoch() -> None:
    script = with_lamp(trusted())
    came = {"tides": replace(WEATHER, name="tides")}
    assert script._do(script.brain.tools_came(came, script.now)) == ["model: offer"]
    assert "lamp" in [tool["name"] for tool in script.to_model[0]["session"]["tools"]]
    carried = script.brain.carry(script.now)
    again = Script(policy=TRUSTED, carried=carried)
    again.model({"type": "session.created", "session": {}})
    assert "lamp" in [tool["name"] for tool in again.to_model[0]["session"]["tools"]]


def test_a_client_that_asks_for_calls_and_may_is_shown_the_servers_too() -> None:
    asking = Script(policy=TRUSTED, wants=("calls",)).opened()
    asking.model(created("R1"))
    assert asking.model(call("a")) == ["record a", "client: response.output_item.done"]
    stranger = Script(wants=("calls",)).opened()
    stranger.model(created("R1"))
    assert stranger.model(call("a")) == ["record a"]
    assert stranger.deliver("a") == ["model: output a"]
    assert stranger.model(echo("a")) == ["acknowledge"]
