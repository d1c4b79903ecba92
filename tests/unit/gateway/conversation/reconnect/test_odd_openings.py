"""A connection becomes a conversation at servers that say more, less, or other things than OpenAI's on the way."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation import Conversation
from gateway.conversation.actions import KeepSettings
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.handshake import CREATED_SECONDS, DOUBT_SECONDS, ECHO_SECONDS
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.speaker import HUNG_FACTOR
from gateway.upstream.quirks import Quirks
from ringback.statements.sessions.items import Message
from tests.unit.gateway.conversation.reconnect.test_epochs import HELLO, NextEpoch, past_call
from tests.unit.gateway.conversation.script import (
    SESSION,
    SPEAK,
    Script,
    agent,
    call,
    created,
    done,
    updated,
)

Event = dict[str, Any]

LET_IN = ["let the client in", "client: session.created"]
WRONG: Event = {"type": "invalid_request_error", "code": "invalid_value", "message": "No."}
BUSY: dict[str, Event] = {
    "server_error": {"type": "server_error", "code": None},
    "a rate limit": {"type": "invalid_request_error", "code": "rate_limit_exceeded"},
    "no code and no type": {},
    "a status of HTTP": {"type": "invalid_request_error", "code": 503},
    "too many requests": {"type": "error", "code": "429"},
    "a code by its type": {"type": "overloaded_error"},
    "its longest duration": {"type": "invalid_request_error", "code": "session_expired"},
}
FAST: Event = {"audio": {"output": {"speed": 1.2}}}


def error(said: Event, event_id: str | None = None) -> Event:
    return {"type": "error", "error": {**said, "event_id": event_id}}


def began() -> Script:
    script = Script()
    script.model({"type": "session.created", "session": {"instructions": "theirs"}})
    return script


def standby(session: Event | None = None) -> NextEpoch:
    """The conversation that is to follow one that goes on."""
    script = NextEpoch(CarriedState(has_past=True, client_session=session or {}))
    script.model({"type": "session.created", "session": {}})
    return script


def named(script: Script, said: Event) -> Event:
    return error(said, script.to_model[-1]["event_id"])


# — before the confirmation —


def test_a_server_that_says_no_session_created_is_configured_after_a_moment() -> None:
    script = Script()
    assert script._do(script.conversation.tick(script.now)) == []
    assert script.wait(CREATED_SECONDS) == ["model: session.update"]
    assert script.model(updated(script)) == LET_IN


def test_a_session_created_that_comes_late_asks_for_nothing_more() -> None:
    script = Script()
    script.conversation.tick(script.now)
    script.wait(CREATED_SECONDS)
    assert script.model({"type": "session.created", "session": {"instructions": "theirs"}}) == []
    assert script.model(updated(script, instructions="theirs")) == ["warn", "close 1011 upstream_refused"]


def test_what_is_confirmed_before_it_was_asked_for_is_somebody_elses() -> None:
    script = Script()
    assert script.model(updated(script)) == []
    assert not script.conversation.is_open


@pytest.mark.parametrize("said", [WRONG, *BUSY.values()])
def test_an_error_that_a_confirmation_follows_was_a_warning(said: Event) -> None:
    script = began()
    assert script.model(error(said)) == []
    assert script.model(updated(script)) == ["warn", *LET_IN]
    assert script.wait(DOUBT_SECONDS) == []


@pytest.mark.parametrize("said", BUSY.values(), ids=BUSY)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_may_pass_by_itself_costs_the_connection_alone(said: Event, is_first: bool) -> None:
    script = began() if is_first else standby()
    assert script.model(named(script, said)) == ["warn", "reopen: upstream_unavailable"]


@pytest.mark.parametrize("said", BUSY.values(), ids=BUSY)
def test_so_does_an_error_that_names_no_event_and_that_no_confirmation_follows(said: Event) -> None:
    script = standby()
    assert script.model(error(said)) == []
    assert script.wait(DOUBT_SECONDS) == ["warn", "reopen: upstream_unavailable"]


def test_a_refusal_ends_the_session_that_has_not_begun_and_no_other() -> None:
    script = began()
    assert script.model(named(script, WRONG)) == ["warn", "close 1011 upstream_refused"]
    script = standby()
    assert script.model(named(script, WRONG)) == ["warn", "reopen: upstream_refused"]


def test_a_connection_that_ends_after_an_error_was_refused() -> None:
    script = began()
    script.model(error(WRONG))
    assert script._do(script.conversation.cut("upstream_closed", script.now)) == ["warn", "close 1011 upstream_refused"]
    assert began().conversation.cut("upstream_closed", 0.0) == [], "without one nothing is known"


# — what the client has set —


def test_what_the_client_has_set_is_left_out_where_it_is_refused_and_the_client_hears_what_holds() -> None:
    script = standby(FAST)
    assert script.model(named(script, WRONG)) == ["warn", "model: session.update"]
    assert "speed" not in script.to_model[0]["session"]["audio"].get("output", {})
    script.model(updated(script))
    assert script.told(ConversationHistory()) == ["let the client in", "client: session.updated"]
    assert [action.session for action in script.actions if isinstance(action, KeepSettings)] == [{}]
    assert script.conversation.carry(script.now).client_session == {}


def test_it_is_left_out_once() -> None:
    script = standby(FAST)
    script.model(named(script, WRONG))
    assert script.model(named(script, WRONG)) == ["warn", "reopen: upstream_refused"]


def test_the_next_attempt_begins_without_it() -> None:
    script = standby(FAST)
    script.model(named(script, WRONG))
    following = NextEpoch(script.conversation.carry(script.now))
    following.model({"type": "session.created", "session": {}})
    assert "speed" not in following.to_model[0]["session"]["audio"].get("output", {})
    following.model(updated(following))
    assert following.told(ConversationHistory()) == ["let the client in", "client: session.updated"]


def test_what_was_refused_is_not_said_again_by_the_conversation_that_went_on_meanwhile() -> None:
    script = standby(FAST)
    script.model(named(script, WRONG))
    script.model(updated(script))
    script.conversation.take_over(CarriedState(has_past=True, client_session=FAST))
    assert script.told(ConversationHistory()) == ["let the client in", "client: session.updated"]


# — the past —


def told(*messages: Message, **past: Any) -> NextEpoch:
    script = NextEpoch(CarriedState(has_past=True)).confirmed()
    script.told(ConversationHistory(list(messages or (HELLO,)), **past))
    return script


def shown(item_id: str, kind: str = "added", **item: Any) -> Event:
    fields = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}], **item}
    return {"type": f"conversation.item.{kind}", "item": {"id": item_id, **fields}}


def test_items_that_are_shown_under_other_ids_are_known_by_their_order() -> None:
    script = told(HELLO, calls=[past_call("a", result="sunny", is_news=True)])
    assert script.model(shown("own_1")) == []
    call: Event = {"type": "function_call", "role": None, "call_id": "a"}
    assert script.model(shown("own_2", **call)) == []
    output: Event = {"type": "function_call_output", "role": None, "call_id": "a"}
    assert script.model(shown("own_3", **output)) == ["let the client in", SPEAK], "the result is there, and told"
    assert script.model(shown("own_1", "done"), shown("own_3", "done", **output)) == [], "the client has had them"
    assert script.kept == {}, "and so has the log"


def test_an_event_that_points_at_such_an_item_points_at_the_one_that_the_client_knows() -> None:
    script = told()
    script.model(shown("own_1"))
    answer = shown("item_a", role="assistant", content=[]) | {"previous_item_id": "own_1"}
    script.model(answer)
    assert script.to_client[0]["previous_item_id"] == "item_u1"


def test_a_server_that_shows_nothing_of_the_past_is_waited_for_a_moment() -> None:
    script = told()
    assert script.wait(ECHO_SECONDS - 0.1) == []
    assert script.wait(0.1) == ["warn", "let the client in"]


def test_as_long_as_items_are_shown_the_others_are_waited_for() -> None:
    second = Message(2, "item_u2", "user", HELLO.content)
    third = Message(3, "item_u3", "user", HELLO.content)
    script = told(HELLO, second, third)
    for item_id in ("item_u1", "item_u2"):
        assert script.wait(ECHO_SECONDS - 0.1) == []
        script.echoed(item_id)
    assert script.wait(ECHO_SECONDS) == ["warn", "let the client in"]


def test_an_error_while_the_past_is_told_ends_nothing() -> None:
    script = told()
    assert script.model(error(WRONG), error({"type": "server_error"})) == ["warn", "warn"]
    assert script.echoed("item_u1") == ["let the client in"]


def test_an_item_whose_id_is_longer_than_a_client_may_give_keeps_it_for_the_client_and_the_log() -> None:
    long_id = "item-" + "7" * 31
    script = NextEpoch(CarriedState(has_past=True)).confirmed()
    script.told(
        ConversationHistory([Message(1, long_id, "assistant", [{"type": "output_text", "text": "one two three"}])])
    )
    (sent,) = (event["item"]["id"] for event in script.to_model)
    assert len(sent) <= 32
    assert script.model(shown(sent, role="assistant")) == ["let the client in"]
    assert script.model(shown(sent, "done", role="assistant")) == []
    assert script.kept == {}
    assert script.conversation._handshake.seeds.ids == {long_id}, "by which the client cuts it short"


# — how long a server may be silent —


def slow(*, create_seconds: float) -> Script:
    script = Script()
    quirks = Quirks(create_seconds=create_seconds)
    script.conversation = Conversation(SESSION, agent(), script.conversation.tools, quirks=quirks)
    return script.opened()


def test_a_server_that_may_take_long_for_its_first_word_is_not_called_again_before() -> None:
    script = slow(create_seconds=30.0)
    script.client(type="response.create")
    assert "reopen: upstream_hung" not in script.wait(HUNG_FACTOR * 30.0 - 0.1)
    assert "reopen: upstream_hung" in script.wait(0.1)


def test_the_result_of_a_call_is_not_told_twice_meanwhile() -> None:
    script = slow(create_seconds=30.0)
    script.model(created("R1"), call("a"), done("R1"))
    assert script.deliver("a") == ["model: output a", SPEAK]
    assert script.wait(29.9) == []
    assert script.wait(0.1) == [SPEAK], "the first request may be lost"
