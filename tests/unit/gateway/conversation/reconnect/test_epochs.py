"""From one epoch to the next: what the new conversation is told, who is asked to speak, and what the client sees."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation import Conversation
from gateway.conversation.actions import LetClientIn
from gateway.conversation.client_session import merged
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.protocol import ClientFrame
from ringback.agents.client_policy import BROWSER, ClientPolicy
from ringback.jobs.outcomes import succeeded
from ringback.statements.sessions.items import Message
from tests.unit.gateway.conversation.script import (
    SESSION,
    SPEAK,
    STARTED,
    STOPPED,
    Script,
    agent,
    call,
    created,
    done,
    echo,
    item_of,
    job_of,
    updated,
)

Event = dict[str, Any]

HELLO = Message(1, "item_u1", "user", [{"type": "input_text", "text": "hello"}])
SPOKEN = Message(1, "item_u1", "user", [{"type": "input_audio", "text": "hello"}])


class NextEpoch(Script):
    """The conversation that follows another one's end."""

    def __init__(
        self,
        carried: CarriedState,
        *,
        greets: bool = False,
        wants: tuple[str, ...] = (),
        policy: ClientPolicy = BROWSER,
    ) -> None:
        super().__init__(wants=wants, policy=policy)
        more: dict[str, Any] = {"carried": carried, "greets": greets, "wants": wants, "policy": policy}
        self.conversation = Conversation(SESSION, agent(), self.conversation.tools, epoch=2, **more)

    def confirmed(self) -> NextEpoch:
        """As far as it comes without its past."""
        self.model({"type": "session.created", "session": {}})
        assert self.model(updated(self)) == []
        assert self.conversation.wants_past
        assert not self.conversation.is_open
        return self

    def told(self, past: ConversationHistory) -> list[str]:
        return self._do(self.conversation.remember(past, self.now))

    def echoed(self, *item_ids: str) -> list[str]:
        added = ({"type": "conversation.item.added", "item": {"id": item_id}} for item_id in item_ids)
        return self.model(*added)


def past_call(call_id: str, *, position: int = 2, result: Any = None, is_news: bool = False) -> PastCall:
    outcome = None if result is None else succeeded(result)
    return PastCall(job_of(call_id), position, f"item_{call_id}", call_id, "R1", "weather", {}, outcome, is_news)


def resumed(past: ConversationHistory, **options: Any) -> NextEpoch:
    script = NextEpoch(CarriedState(has_past=True), greets=True, **options).confirmed()
    script.told(past)
    return script


def test_a_session_without_a_past_is_open_at_once() -> None:
    script = NextEpoch(CarriedState(has_past=True)).confirmed()
    assert script.told(ConversationHistory()) == ["let the client in"]
    assert script.wait(60) == [], "nobody is answered in an empty session"


def test_the_past_is_told_before_the_client_is_let_in_and_none_of_it_is_shown() -> None:
    script = NextEpoch(CarriedState(has_past=True), greets=True).confirmed()
    told = script.told(ConversationHistory([HELLO], [past_call("a", result="sunny")]))
    assert told == ["model: conversation.item.create", "model: output a", "model: output a"]
    assert [event["item"]["type"] for event in script.to_model] == ["message", "function_call", "function_call_output"]
    assert script.echoed("item_u1", "item_a") == []
    assert script.echoed(item_of("a")) == ["let the client in", "client: session.created"]
    assert script.model({"type": "conversation.item.done", "item": {"id": "item_u1", "type": "message"}}) == []


def test_a_client_that_was_there_before_is_not_greeted_again() -> None:
    script = NextEpoch(CarriedState(has_past=True)).confirmed()
    script.told(ConversationHistory([HELLO]))
    assert script.echoed("item_u1") == ["let the client in"]


def test_an_item_that_is_refused_holds_nobody_up() -> None:
    script = NextEpoch(CarriedState(has_past=True)).confirmed()
    script.told(ConversationHistory([HELLO]))
    refusal = {"type": "error", "error": {"code": "invalid_value", "event_id": script.to_model[-1]["event_id"]}}
    assert script.model(refusal) == ["warn", "let the client in"]


def test_a_result_that_nobody_has_told_is_told_once_the_conversation_has_it() -> None:
    script = resumed(ConversationHistory([HELLO], [past_call("a", result="sunny", is_news=True)]))
    assert script.echoed("item_u1", "item_a", item_of("a"))[-1] == SPEAK
    script.model(created("R2"), done("R2"))
    assert script.wait(60) == [], "and once is enough"


def test_a_result_that_was_told_is_not_told_again() -> None:
    script = resumed(ConversationHistory([HELLO], [past_call("a", result="sunny")]))
    assert SPEAK not in script.echoed("item_u1", "item_a", item_of("a"))
    assert script.wait(60) == []


def test_a_client_that_asked_for_job_events_hears_of_results_that_came_meanwhile() -> None:
    script = resumed(ConversationHistory([HELLO], [past_call("a", result="sunny", is_news=True)]), wants=("jobs",))
    heard = script.echoed("item_u1", "item_a", item_of("a"))
    assert heard[:3] == ["let the client in", "client: session.created", "client: job a weather replayed"]


def test_a_call_that_still_runs_is_answered_live_and_once() -> None:
    script = resumed(ConversationHistory([HELLO], [past_call("a")]))
    script.echoed("item_u1", "item_a")
    assert not script.conversation.is_idle
    assert script.deliver("a") == ["model: output a", SPEAK]
    assert script.deliver("a") == []
    assert script.model(echo("a")) == ["acknowledge"]
    assert script.conversation.is_idle


def test_a_call_of_the_past_is_no_new_call() -> None:
    script = resumed(ConversationHistory([HELLO], [past_call("a")]))
    script.echoed("item_u1", "item_a")
    assert script.model(call("a")) == []


def test_a_spoken_question_that_was_not_answered_is_answered_now() -> None:
    assert resumed(ConversationHistory([SPOKEN])).echoed("item_u1")[-1] == SPEAK


# — within one gateway —


def test_a_response_that_was_cut_off_is_asked_for_again_and_the_client_hears_that_it_ended() -> None:
    script = Script().opened()
    script.model(created("R1"))
    told = script._do(script.conversation.cut("upstream_closed", script.now))
    assert told == ["client: response.done"]
    ended = script.to_client[0]["response"]
    assert (ended["id"], ended["status"]) == ("R1", "failed")
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    following.told(ConversationHistory([HELLO]))
    assert following.echoed("item_u1") == ["let the client in", SPEAK]


def test_a_conversation_in_which_nobody_waited_is_left_in_peace() -> None:
    script = Script().opened()
    script.model(created("R1"), done("R1"))
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    following.told(ConversationHistory([SPOKEN]))
    assert following.echoed("item_u1") == ["let the client in"]
    assert following.wait(60) == []


def test_what_was_half_said_is_kept() -> None:
    script = Script().opened()
    item = {"id": "item_a1", "type": "message", "role": "assistant", "content": []}
    script.model({"type": "conversation.item.added", "item": item})
    script.model({"type": "response.output_audio_transcript.delta", "item_id": "item_a1", "delta": "The sun"})
    script._do(script.conversation.cut("upstream_closed", script.now))
    assert script.kept == {"item_a1": "The sun"}


def test_what_the_client_said_into_the_void_is_said_again_before_anything_else() -> None:
    script = Script().opened()
    content = [{"type": "input_text", "text": "hello?"}]
    script.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
    script.client(type="response.create")
    sent = script.to_model
    assert [event["type"] for event in sent] == ["response.create"]
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    assert following.told(ConversationHistory()) == ["let the client in", "model: conversation.item.create", SPEAK]
    assert following.to_model[0]["item"]["content"] == content


def test_a_word_that_was_being_spoken_is_heard_by_the_next_conversation() -> None:
    script = Script().opened()
    script.model(STARTED)
    script.client(type="input_audio_buffer.append", audio="AAAA")
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    assert following.told(ConversationHistory()) == ["let the client in", "model: input_audio_buffer.append"]


def test_a_turn_that_was_over_is_answered_by_the_next_conversation() -> None:
    script = Script().opened()
    script.model(STARTED, STOPPED)
    assert script.conversation.carry(script.now).user_waits
    assert not script.conversation.is_quiet(script.now)


def test_the_client_keeps_what_it_has_set_once_the_server_has_taken_it() -> None:
    script = Script().opened()
    script.client(type="session.update", session={"audio": {"output": {"speed": 1.2}}})
    assert script.conversation.carry(script.now).client_session == {}, "not before"
    script.model(updated(script))
    following = NextEpoch(script.conversation.carry(script.now))
    following.model({"type": "session.created", "session": {}})
    assert following.to_model[0]["session"]["audio"]["output"] == {"speed": 1.2}


def test_what_the_server_refused_is_not_set_again() -> None:
    script = Script().opened()
    script.client(type="session.update", session={"audio": {"output": {"speed": 1.2}}}, event_id="mine")
    script.model({"type": "error", "error": {"code": "invalid_value", "event_id": "mine"}})
    script.model(updated(script))
    assert script.conversation.carry(script.now).client_session == {}


def test_what_the_client_sets_while_the_next_conversation_is_being_opened_reaches_it() -> None:
    script = Script().opened()
    following = NextEpoch(script.conversation.carry(script.now)).confirmed()
    script.client(type="session.update", session={"audio": {"output": {"speed": 1.2}}})
    script.model(updated(script))
    following.conversation.take_over(script.conversation.carry(script.now))
    assert following.told(ConversationHistory()) == ["let the client in", "model: session.update"]
    assert following.to_model[0]["session"] == {"type": "realtime", "audio": {"output": {"speed": 1.2}}}


def test_what_a_client_cuts_short_of_a_rebuilt_conversation_stands_in_the_log() -> None:
    answer = Message(1, "item_a1", "assistant", [{"type": "output_text", "text": "one two three"}])
    script = resumed(ConversationHistory([answer]))
    script.echoed("item_a1")
    cut = {"type": "conversation.item.truncate", "item_id": "item_a1", "content_index": 0, "audio_end_ms": 0}
    assert script.client(**cut) == ["client: conversation.item.truncated"], "the server has no audio of it"


def test_an_answer_with_an_id_too_long_to_be_told_again_is_cut_short_under_it_and_not_logged_twice() -> None:
    long_id = "50993d4c-8b18-42f0-a54e-dc847687bec1"
    answer = Message(1, long_id, "assistant", [{"type": "output_text", "text": "one two three"}])
    script = resumed(ConversationHistory([answer]))
    (told,) = (event["item"] for event in script.to_model)
    assert len(told["id"]) <= 32
    script.echoed(told["id"])
    done = {"type": "conversation.item.done", "item": {**told, "content": [{"type": "output_text", "text": "one"}]}}
    assert script.model(done) == [], "what the server says of it later is no message, and nothing for the client"
    cut = ClientFrame({"type": "conversation.item.truncate", "item_id": long_id, "content_index": 0, "audio_end_ms": 0})
    assert script._do(script.conversation.receive_client(cut, script.now)) == ["client: conversation.item.truncated"]


def test_two_epochs_give_no_id_twice() -> None:
    first, second = Script().opened(), NextEpoch(CarriedState())
    second.opened()
    content = [{"type": "input_text", "text": "hello?"}]
    said: Event = {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
    ids = []
    for script in (first, second):
        script.client(**said)
        ids.append(script.to_model[0]["item"]["id"])
    assert len(set(ids)) == 2
    assert all(len(item_id) <= 32 for item_id in ids)


def test_an_expiry_that_the_server_names_is_told_to_who_must_move_in_time() -> None:
    script = Script()
    script.model({"type": "session.created", "session": {}})
    script.model(updated(script, expires_at=1_800_000_000))
    (let_in,) = [action for action in script.actions if isinstance(action, LetClientIn)]
    assert let_in.expires_at == 1_800_000_000


@pytest.mark.parametrize(
    ("session", "update", "result"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"audio": {"input": {"x": 1}}}, {"audio": {"input": {"y": 2}}}, {"audio": {"input": {"x": 1, "y": 2}}}),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.5}}}},
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}},
        ),
        ({"audio": {"input": {"x": 1}}}, {"audio": {"input": {"x": None}}}, {"audio": {"input": {"x": None}}}),
    ],
)
def test_an_update_leaves_what_it_does_not_name(session: Event, update: Event, result: Event) -> None:
    assert merged(session, update) == result
