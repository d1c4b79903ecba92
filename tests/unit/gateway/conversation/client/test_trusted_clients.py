"""What a backend of one's own tells the conversation beside the user's words."""

from __future__ import annotations

from ringback.agents.client_policy import TRUSTED
from tests.unit.gateway.conversation.script import Script

ASIDE = {"type": "response.create", "event_id": "mine", "response": {"conversation": "none", "input": []}}


def aside(response_id: str, status: str) -> dict[str, object]:
    return {"id": response_id, "conversation_id": None, "status": status, "output": [], "usage": {"total_tokens": 9}}


def test_a_response_out_of_band_takes_no_slot_and_enters_no_log() -> None:
    script = Script(policy=TRUSTED).opened()
    script.client(**ASIDE)
    (create,) = script.to_model
    assert create["response"] == {"conversation": "none", "input": [], "tool_choice": "none"}
    script.model({"type": "response.created", "response": aside("resp_aside", "in_progress")})
    assert script.conversation.is_quiet(script.now)
    said = {"id": "item_aside", "type": "message", "role": "assistant", "status": "completed"}
    call = {"id": "item_call", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}
    for item in ({**said, "content": [{"type": "output_text", "text": "Cheerful."}]}, {**call, "status": "completed"}):
        script.model({"type": "response.output_item.done", "response_id": "resp_aside", "item": item})
        assert (script.kept, script.records) == ({}, [])
    script.model({"type": "response.done", "response": aside("resp_aside", "completed")})
    assert [type(action).__name__ for action in script.actions] == ["RecordUsage", "SendToClient"]


def test_a_server_that_names_no_conversation_at_all_has_only_the_one() -> None:
    script = Script(policy=TRUSTED).opened()
    script.model({"type": "response.created", "response": aside("resp_1", "in_progress")})
    said = {"id": "item_1", "type": "message", "role": "assistant", "status": "completed"}
    item = {**said, "content": [{"type": "output_text", "text": "Hello."}]}
    script.model({"type": "response.output_item.done", "response_id": "resp_1", "item": item})
    assert script.kept == {"item_1": "Hello."}


def test_what_is_told_of_earlier_talk_is_no_turn_of_the_users() -> None:
    script = Script(policy=TRUSTED).opened()
    for role, kind in (("system", "input_text"), ("assistant", "output_text")):
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": "Hello."}]}
        script.client(type="conversation.item.create", previous_item_id="root", item=item)
        (sent,) = script.to_model
        assert (sent["previous_item_id"], sent["item"]["role"]) == ("root", role)
        assert script.conversation._turns.number == 0
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello."}]}
    script.client(type="conversation.item.create", item=item)
    assert script.conversation._turns.number == 1


def test_no_turns_are_detected_where_their_detection_is_off_as_xai_spells_it() -> None:
    script = Script().opened()
    script.model({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": {"type": None}}}}})
    assert not script.conversation._client.resend_buffer.detects_turns
    assert not script.conversation._scheduler.server_answers
