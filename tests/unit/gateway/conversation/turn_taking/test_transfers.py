"""What the model is told of a transfer that did not come about, although its connection may be lost meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.speaker import NOT_TRANSFERRED, OTHER_TRANSFER
from tests.unit.gateway.conversation.script import SPEAK, Event, Script, updated


def notices(script: Script) -> list[Event]:
    """The messages about a transfer that were just sent."""
    return [event["item"] for event in script.to_model if event["event_id"].startswith("rb_transfer")]


def failed(script: Script, **of: Any) -> Event:
    """The transfer has failed; return the message that says so."""
    script._do(script.conversation.transfer_failed(script.now, **of))
    (notice,) = notices(script)
    return notice


def goes_on(script: Script, *, joins: bool) -> Script:
    """The connection is lost; return what goes on over the next."""
    script._do(script.conversation.cut("upstream_closed", script.now))
    after = Script(joins=joins, carried=script.conversation.carry(script.now))
    after.conversation.tick(after.now)
    if not joins:
        after.model({"type": "session.created", "session": {}})
    after.model(updated(after))
    after._do(after.conversation.remember(ConversationHistory(), after.now))
    assert after.conversation.is_open
    return after


def shown(item: Event) -> Event:
    return {"type": "conversation.item.added", "item": item, "previous_item_id": None}


@pytest.mark.parametrize(("of", "words"), [({}, NOT_TRANSFERRED), ({"for_another": True}, OTHER_TRANSFER)])
def test_the_model_is_told_why_and_speaks_of_it(of: dict[str, Any], words: str) -> None:
    script = Script().opened()
    notice = failed(script, **of)
    assert (notice["role"], notice["content"][0]["text"]) == ("system", words)
    assert SPEAK in [*script.seen, *script.wait(1.0)]


@pytest.mark.parametrize("joins", [False, True])
def test_what_a_dead_connection_took_is_told_again_by_the_next(joins: bool) -> None:
    script = Script().opened()
    notice = failed(script)
    after = goes_on(script, joins=joins)
    assert notices(after) == [notice], "under the same id: a conversation that has it refuses a second"
    assert SPEAK in [*after.seen, *after.wait(5.0)]


@pytest.mark.parametrize("joins", [False, True])
def test_what_the_server_has_shown_is_not_told_again(joins: bool) -> None:
    script = Script().opened()
    script.model(shown(failed(script)))
    assert not notices(goes_on(script, joins=joins))
