"""The functions that a trusted client brings: offered beside the server's, called by the model, answered by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.turn_taking.late_results import CLIENT_ANSWERS_SECONDS
from gateway.conversation.turn_taking.user import CLIENT_ASKS_SECONDS
from ringback.agents.client_policy import TRUSTED
from tests.unit.gateway.conversation.reconnect.test_epochs import NextEpoch
from tests.unit.gateway.conversation.script import SPEAK, WEATHER, Script, call, created, done, echo, refused, updated

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
    assert names == [*script.conversation.tools, "lamp"]


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
    again = Script(policy=TRUSTED, carried=replace(script.conversation.carry(script.now), has_past=False))
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
    assert script._do(script.conversation.tools_came(came, script.now)) == ["model: offer"]
    assert "lamp" in [tool["name"] for tool in script.to_model[0]["session"]["tools"]]
    carried = script.conversation.carry(script.now)
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


# — a call of the client's is a call like any other —


def answer(script: Script, event_id: str = "answered") -> list[str]:
    item = {"type": "function_call_output", "call_id": "call_l", **ON}
    return script.client(type="conversation.item.create", event_id=event_id, item=item)


def announced(script: Script) -> Script:
    """The model has begun to ask for the lamp: the item is there, its arguments are not."""
    script.model(created("R1"))
    item = {**LAMP_CALL, "status": "in_progress", "arguments": ""}
    script.model({"type": "response.output_item.added", "response_id": "R1", "item": item})
    return script


def test_an_answer_that_is_sent_as_soon_as_the_arguments_are_there_is_taken() -> None:
    script = announced(with_lamp(trusted()))
    script.model({"type": "response.function_call_arguments.done", "response_id": "R1", "item_id": "item_l"})
    assert answer(script) == ["model: output call_l"]
    done_event = {"type": "response.output_item.done", "response_id": "R1", "item": LAMP_CALL}
    assert script.model(done_event) == ["client: response.output_item.done"]
    assert answer(script) == ["client: error"], "once is enough"


@pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete"])
def test_a_call_that_was_announced_and_cut_off_waits_for_no_answer(status: str) -> None:
    script = announced(with_lamp(trusted()))
    script.model(done("R1", status))
    assert answer(script) == ["client: error"]
    assert script.conversation.is_idle


def test_a_session_is_not_idle_while_the_client_is_to_answer() -> None:
    script = with_lamp(trusted())
    called(script)
    script.model(done("R1"))
    assert not script.conversation.is_idle
    answer(script)
    assert script.conversation.is_idle


def both_called() -> Script:
    """R1 asked for the weather and for the lamp, and is over."""
    script = with_lamp(trusted())
    script.model(created("R1"), call("a"))
    script.model({"type": "response.output_item.done", "response_id": "R1", "item": LAMP_CALL}, done("R1"))
    return script


def test_one_create_tells_the_servers_result_and_the_clients() -> None:
    script = both_called()
    assert script.deliver("a") == ["model: output a"], "the client is about to answer its own, and to ask"
    answer(script)
    assert script.client(type="response.create", event_id="mine") == ["model: response.create"]
    script.model(echo("a"), created("R2"), done("R2"))
    assert script.wait(600) == []


def test_a_client_that_answers_first_is_answered_at_once_and_ours_is_told_when_it_is_there() -> None:
    script = both_called()
    answer(script)
    assert script.client(type="response.create", event_id="mine") == ["model: response.create"]
    script.model(created("R2"), done("R2"))
    assert script.deliver("a") == ["model: output a", SPEAK]


def test_a_client_that_never_answers_holds_the_servers_result_up_for_a_moment() -> None:
    script = both_called()
    script.deliver("a")
    assert script.wait(CLIENT_ANSWERS_SECONDS - 0.01) == []
    assert script.wait(0.02) == [SPEAK]


def test_a_client_that_answers_and_does_not_ask_is_asked_for() -> None:
    script = both_called()
    script.deliver("a")
    answer(script)
    assert script.wait(CLIENT_ASKS_SECONDS) == [SPEAK]


# — and outlives the connection on which it was asked for —


class Following(NextEpoch):
    def __init__(self, script: Script) -> None:
        super().__init__(script.conversation.carry(script.now), policy=TRUSTED)


def test_a_call_that_waits_for_the_client_is_told_to_the_next_conversation_and_can_be_answered_there() -> None:
    script = with_lamp(trusted())
    called(script)
    script.model(done("R1"))
    following = Following(script).confirmed()
    assert following.told(ConversationHistory()) == ["model: output call_l"]
    (asked,) = [event["item"] for event in following.to_model]
    assert asked == {
        "type": "function_call",
        "id": "item_l",
        "call_id": "call_l",
        "name": "lamp",
        "arguments": '{"on": true}',
    }
    following.echoed("item_l")
    assert answer(following) == ["model: output call_l"]
    assert answer(following) == ["client: error"]


def test_a_call_that_the_client_has_answered_is_told_with_its_answer() -> None:
    script = with_lamp(trusted())
    called(script)
    answer(script)
    following = Following(script).confirmed()
    assert following.told(ConversationHistory()) == ["model: output call_l"] * 2
    assert [event["item"].get("output") for event in following.to_model] == [None, "on"]
    assert answer(following) == ["client: error"]


def test_a_call_that_was_announced_and_never_whole_is_forgotten() -> None:
    script = announced(with_lamp(trusted()))
    following = Following(script).confirmed()
    assert following.told(ConversationHistory())[0] == "let the client in"
    assert answer(following) == ["client: error"]


def test_a_create_of_the_client_that_no_response_has_answered_is_sent_to_the_next_conversation() -> None:
    script = trusted()
    script.model(created("R1"))
    script.client(type="response.create", event_id="mine")
    following = Following(script).confirmed()
    assert following.told(ConversationHistory()) == ["let the client in", SPEAK]
    assert following.last_create == "mine"
