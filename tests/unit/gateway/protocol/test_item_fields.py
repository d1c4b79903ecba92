"""Which items a client may create, and which it may name."""

from __future__ import annotations

from typing import Any

import pytest

from ringback.agents.client_policy import BROWSER, TRUSTED
from tests.unit.gateway.protocol.client_frames import TEXT, refused_by, said_by, user_message

HISTORY: dict[str, dict[str, Any]] = {
    "system": {"type": "message", "role": "system", "content": [TEXT]},
    "assistant": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I am Bob."}]},
}


@pytest.mark.parametrize("role", HISTORY)
def test_a_backend_tells_what_was_said_elsewhere_and_a_browser_does_not(role: str) -> None:
    event = {"type": "conversation.item.create", "previous_item_id": "root", "item": HISTORY[role]}
    assert said_by(TRUSTED, **event).event == event
    assert refused_by(BROWSER, event).rule == "forbidden_event"
    alone = TRUSTED.model_copy(update={"roles": ("user",)})
    assert refused_by(alone, event).rule == "forbidden_event"


@pytest.mark.parametrize(("role", "other"), [("system", "assistant"), ("assistant", "system"), ("user", "assistant")])
def test_a_part_that_the_role_does_not_have_is_named(role: str, other: str) -> None:
    item = {**HISTORY[other], "role": role}
    refusal = refused_by(TRUSTED, {"type": "conversation.item.create", "item": item})
    assert refusal.param == "item.content[0].type"


def test_where_an_item_of_a_browsers_stands_is_the_servers_to_say() -> None:
    frame = said_by(BROWSER, type="conversation.item.create", previous_item_id="root", item=user_message(TEXT))
    assert "previous_item_id" not in frame.event
    assert frame.left_out == ("previous_item_id",)


@pytest.mark.parametrize("kind", ["conversation.item.truncate", "conversation.item.retrieve"])
def test_ids_that_a_server_has_made_may_be_longer_than_a_clients_own(kind: str) -> None:
    event = {"type": kind, "item_id": "i" * 36}
    more = {"content_index": 0, "audio_end_ms": 1234.0} if kind.endswith("truncate") else {}
    written = said_by(BROWSER, **event, **more).event
    assert written == {**event, **({"content_index": 0, "audio_end_ms": 1234} if more else {})}
    assert isinstance(written.get("audio_end_ms", 0), int)
