"""A client that asks to see an item again is answered with what it was shown, and the model hears nothing of it."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.client.item_retrieval import MAX_FIELD_CHARS, MAX_SHOWN
from ringback.agents.client_policy import BROWSER, TRUSTED
from tests.unit.gateway.conversation.script import Script

HIDDEN = {"id": "item_call", "type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"}


def item(item_id: str, role: str, *content: dict[str, Any]) -> dict[str, Any]:
    return {"id": item_id, "object": "realtime.item", "type": "message", "role": role, "content": list(content)}


def shown(script: Script, *items: dict[str, Any]) -> None:
    for each in items:
        script.model({"type": "conversation.item.done", "previous_item_id": None, "item": each})


def retrieved(script: Script, item_id: str) -> dict[str, Any]:
    script.client(type="conversation.item.retrieve", event_id="mine", item_id=item_id)
    (event,) = script.to_client
    assert script.to_model == []
    return event


def test_the_users_speech_comes_back_with_what_was_transcribed_of_it() -> None:
    script = Script().opened()
    shown(script, item("item_1", "user", {"type": "input_audio", "transcript": None}))
    kind = "conversation.item.input_audio_transcription.completed"
    script.model({"type": kind, "item_id": "item_1", "content_index": 0, "transcript": "What is it?"})
    event = retrieved(script, "item_1")
    assert event["type"] == "conversation.item.retrieved"
    assert event["item"]["content"] == [{"type": "input_audio", "transcript": "What is it?"}]
    assert event["item"]["role"] == "user"


def test_of_what_was_cut_off_comes_back_what_was_heard() -> None:
    script = Script().opened()
    said = {"type": "output_audio", "transcript": "One two three four."}
    shown(script, item("item_1", "assistant", said))
    assert retrieved(script, "item_1")["item"]["content"] == [said]
    script.conversation.audio_passed("item_1", 64_000, script.now)
    script.model({"type": "conversation.item.truncated", "item_id": "item_1", "content_index": 0, "audio_end_ms": 500})
    assert retrieved(script, "item_1")["item"]["content"] == [{"type": "output_audio", "transcript": "One two"}]


def test_an_item_of_an_earlier_epoch_comes_back_in_words() -> None:
    script = Script().opened()
    shown(script, item("item_1", "user", {"type": "input_text", "text": "Hello"}))
    following = Script(carried=script.conversation.carry(script.now))
    following.conversation._handshake.has_past = False
    following.opened()
    assert retrieved(following, "item_1")["item"]["content"] == [{"type": "input_text", "text": "Hello"}]


@pytest.mark.parametrize("item_id", ["item_call", "item_of_nobody"])
def test_what_a_client_was_not_shown_is_not_there_for_it(item_id: str) -> None:
    script = Script().opened()
    shown(script, HIDDEN)
    error = retrieved(script, item_id)["error"]
    assert (error["code"], error["event_id"]) == ("item_retrieve_invalid_item_id", "mine")
    assert error["message"] == f"The conversation has no item {item_id!r} that this client was shown."


def test_a_client_that_sees_calls_retrieves_them() -> None:
    script = Script(wants=("calls",), policy=TRUSTED).opened()
    shown(script, HIDDEN)
    assert retrieved(script, "item_call")["item"] == HIDDEN


def test_a_backend_deletes_what_it_was_shown_and_no_later_conversation_is_told_of_it() -> None:
    script = Script(policy=TRUSTED).opened()
    shown(script, item("item_1", "user", {"type": "input_text", "text": "Hello"}), HIDDEN)
    script.client(type="conversation.item.delete", item_id="item_call")
    assert [event["error"]["code"] for event in script.to_client] == ["item_delete_invalid_item_id"]
    script.client(type="conversation.item.delete", item_id="item_1")
    assert [event["type"] for event in script.to_model] == ["conversation.item.delete"]
    script.model({"type": "conversation.item.deleted", "item_id": "item_1"})
    assert script.kept == {"item_1": ""}


def test_what_is_kept_for_it_is_bounded() -> None:
    script = Script(policy=BROWSER).opened()
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * MAX_FIELD_CHARS}
    shown(script, *(item(f"item_{number}", "user", picture) for number in range(MAX_SHOWN + 1)))
    last = retrieved(script, f"item_{MAX_SHOWN}")["item"]
    assert last["content"] == [{"type": "input_image"}]
