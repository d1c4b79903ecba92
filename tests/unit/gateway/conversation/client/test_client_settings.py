"""What a client sets of its session, among the updates of our own: each `session.updated` is told of whose it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateway.conversation.reconnect.replay import ConversationHistory
from tests.unit.gateway.conversation.reconnect.test_epochs import HELLO, NextEpoch, past_call
from tests.unit.gateway.conversation.script import ORDER, WEATHER, Script, updated

FAST: dict[str, Any] = {"audio": {"output": {"speed": 1.2}}}
SLOW: dict[str, Any] = {"audio": {"output": {"speed": 0.8}}}
SHOWN = "client: session.updated"


def offering() -> Script:
    """A worker has come with one more function, and the server has not confirmed the offer yet."""
    script = Script(WEATHER).opened()
    assert offer_order(script) == ["model: offer"]
    return script


def offer_order(script: Script) -> list[str]:
    return script._do(script.conversation.tools_came({"order": ORDER}, script.now))


def unnamed(param: str | None, code: str = "invalid_value") -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": "No.", "param": param, "event_id": None}}


def test_a_rejection_of_ours_that_names_no_event_is_known_by_its_order_and_kept_from_the_client() -> None:
    script = offering()
    script.client(type="session.update", session=FAST)
    assert script.model(unnamed("session.tools")) == ["warn"]
    assert script.model(updated(script)) == [SHOWN]
    assert script.conversation.carry(script.now).client_session == FAST


def test_a_rejection_of_the_clients_that_names_no_event_is_the_clients_to_hear() -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST, event_id="mine")
    script.client(type="session.update", session=SLOW, event_id="mine too")
    assert script.model(unnamed("session.audio.output.speed")) == ["client: error", "warn"]
    script.model(updated(script))
    assert script.conversation.carry(script.now).client_session == SLOW


def test_an_error_about_something_else_takes_no_update_with_it() -> None:
    script = offering()
    script.model(unnamed(None), unnamed("item.content"))
    assert script.model(updated(script)) == [], "it answers our own"


def test_a_client_may_use_an_id_twice() -> None:
    script = Script().opened()
    for session in (FAST, SLOW):
        script.client(type="session.update", session=session, event_id="mine")
    assert script.model(updated(script)) == [SHOWN]
    assert script.conversation.carry(script.now).client_session == FAST
    assert script.model(updated(script)) == [SHOWN]
    assert script.conversation.carry(script.now).client_session == SLOW


def test_an_update_of_ours_shows_in_what_an_empty_update_is_answered_with() -> None:
    script = offering()
    script.model(updated(script, expires_at=7))
    script.client(type="session.update", session={})
    assert script.to_client[0]["session"]["expires_at"] == 7


def moved(script: Script) -> NextEpoch:
    """To a new connection that was dialled before what was said last."""
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    script.client(type="session.update", session=FAST)
    script.model(updated(script))
    following.conversation.take_over(script.conversation.carry(script.now))
    return following


def test_what_the_next_conversation_is_set_anew_is_no_news_for_the_client() -> None:
    following = moved(Script().opened())
    following.told(ConversationHistory())
    assert following.model(updated(following)) == []


def test_between_two_updates_of_ours_and_one_of_its_own_the_client_hears_of_its_own() -> None:
    following = moved(Script().opened())
    following.told(ConversationHistory([HELLO], [past_call("a")]))
    assert following.echoed("item_u1", "item_a") == ["let the client in", "model: session.update"]
    tides = {"tides": replace(WEATHER, name="tides")}
    assert following._do(following.conversation.tools_came(tides, following.now)) == ["model: offer"]
    following.client(type="session.update", session=SLOW)
    assert [following.model(updated(following)) for _ in range(3)] == [[], [], [SHOWN]]
    assert following.conversation.carry(following.now).client_session == SLOW


def test_what_was_set_and_not_confirmed_is_set_again_and_its_client_hears_of_it() -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST, event_id="mine")
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    assert following.told(ConversationHistory()) == ["let the client in", "model: session.update"]
    assert following.to_model == [
        {"type": "session.update", "event_id": "mine", "session": FAST | {"type": "realtime"}}
    ]
    assert following.model(updated(following)) == [SHOWN]
    carried = following.conversation.carry(following.now)
    assert carried.client_session == FAST
    assert NextEpoch(carried).confirmed().told(ConversationHistory()) == ["let the client in"]


def test_what_was_set_and_refused_is_not_set_again() -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST, event_id="mine")
    script.model({"type": "error", "error": {"code": "invalid_value", "event_id": "mine"}})
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    assert following.told(ConversationHistory()) == ["let the client in"]
