"""Orders of events at the seams: what comes back, what dies, what is refused late, and what no server ever answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.speaker import HUNG_FACTOR
from gateway.conversation.turn_taking.pacing import CREATE_SECONDS, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS
from gateway.conversation.turn_taking.scheduler import ACTIVE_SECONDS, DYING_SECONDS
from gateway.conversation.turn_taking.user import CLIENT_ASKS_SECONDS, SERVER_ANSWERS_SECONDS
from ringback.agents.client_policy import TRUSTED
from ringback.jobs.outcomes import succeeded
from tests.unit.gateway.conversation.reconnect.test_calls_over_epochs import Following, past
from tests.unit.gateway.conversation.script import (
    GATHER,
    QUIET,
    SPEAK,
    STARTED,
    WORD,
    Script,
    call,
    created,
    done,
    echo,
    refused,
    updated,
)
from tests.unit.gateway.conversation.tool_calls.test_client_tools import LAMP_CALL, announced, trusted, with_lamp
from tests.unit.gateway.conversation.tool_calls.test_questions import NEEDS_YES
from tests.unit.gateway.conversation.tool_calls.test_questions import asked as question
from tests.unit.gateway.conversation.turn_taking.test_odd_servers import NAMELESS, added
from tests.unit.gateway.conversation.turn_taking.test_turn_taking import asked, speaking

BY_HAND = {"input": {"turn_detection": None}}
"""The client says when a turn is over."""
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}
A_WHILE = 3 * LONGEST_PAUSE_SECONDS


def said(response_id: str) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "response_id": response_id, "item_id": "i", "delta": "and "}


# — responses that are given up —


def test_a_response_that_comes_back_has_not_told_what_landed_while_it_was_given_up() -> None:
    script = asked("a", "b")
    script.model(created("R2"), NAMELESS)
    script.wait(DYING_SECONDS)
    script.deliver("a")
    script.model(echo("a"), said("R2"), done("R2"))
    assert SPEAK in script.wait(A_WHILE)


def test_nor_where_its_end_alone_comes_back() -> None:
    script = asked("a", "b")
    script.model(created("R2"), NAMELESS)
    script.wait(DYING_SECONDS)
    script.deliver("a")
    script.model(echo("a"), done("R2"))
    assert script.everything.count(SPEAK) + script.wait(A_WHILE).count(SPEAK) >= 1


def test_a_response_that_comes_back_tells_what_it_was_to_tell() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), NAMELESS)
    script.wait(DYING_SECONDS)
    script.model(said("R2"), done("R2"))
    assert script.wait(A_WHILE) == []


@pytest.mark.parametrize("seconds", [ACTIVE_SECONDS, DYING_SECONDS])
def test_a_call_that_must_not_run_twice_is_answered_although_its_response_never_ends(seconds: float) -> None:
    script = Script().opened()
    script.model(created("R1"), call("a", name="order"))
    if seconds == DYING_SECONDS:
        script.model(NAMELESS)
    assert "refuse a: response_interrupted" in script.wait(seconds)


def test_so_it_is_where_another_response_ends_instead() -> None:
    script = Script().opened()
    script.model(created("R1"), call("a", name="order"), created("R2"), done("R2"))
    assert "refuse a: response_interrupted" in script.everything


def test_a_result_is_told_again_where_two_responses_have_begun_since_and_its_own_was_never_heard() -> None:
    script, _ = speaking()
    script.model(created("R2"), created("R3"), created("R4"), done("R4"))
    assert SPEAK in script.wait(A_WHILE)


# — creates that come to nothing —


def test_a_clients_create_of_which_nothing_is_heard_is_made_on_the_next_connection() -> None:
    script = Script().opened()
    script.client(type="response.create", event_id="mine")
    assert "reopen: upstream_hung" in script.wait(HUNG_FACTOR * CREATE_SECONDS)
    assert [event["event_id"] for event in script.conversation.carry(script.now).creates] == ["mine"]


def test_a_create_that_fails_after_another_response_was_taken_for_it_has_told_nothing() -> None:
    script, create = speaking()
    script.model(created("R2"), echo("a"), refused(create, "rate_limit_exceeded"), done("R2"))
    assert SPEAK in script.wait(A_WHILE)


def test_a_result_that_cannot_be_read_is_told_though_a_create_was_under_way() -> None:
    script = asked("a")
    script.deliver("a")
    output = script.to_model[0]["event_id"]
    script.now += GATHER
    assert script.model(refused(output, "invalid_value")) == ["warn", "model: output a"]
    script.model(created("R2"), echo("a"), done("R2"))
    assert SPEAK in script.wait(A_WHILE)


def test_an_incomplete_response_of_which_nothing_was_heard_has_told_nothing() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), done("R2", "incomplete"))
    assert script.wait(PAUSE_SECONDS - 0.1) == []
    assert SPEAK in script.wait(1.0)


def test_a_response_that_the_server_cancels_by_itself_is_not_asked_for_again_and_again() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), done("R2", "cancelled"))
    assert script.wait(PAUSE_SECONDS - 0.1) == []
    assert SPEAK in script.wait(1.0)


# — what the client and the user do —


def test_a_cancel_of_another_response_says_nothing_of_the_active_one() -> None:
    script = asked("a", policy=TRUSTED)
    script.deliver("a")
    script.model(echo("a"), created("R2"))
    script.client(type="response.cancel", response_id="R9")
    script.model(done("R2", "failed"))
    assert SPEAK in script.wait(A_WHILE)


def test_a_question_that_the_client_cancels_is_not_asked_again_at_once() -> None:
    script = question()
    script.client(type="response.cancel")
    script.model(done("W1", "cancelled"))
    assert script.wait(PAUSE_SECONDS - 0.1) == []
    assert WORD in script.wait(0.2)


def test_a_turn_that_is_committed_is_over_where_the_server_does_not_say_that_speech_stopped() -> None:
    script = asked("a")
    script.model(STARTED, COMMITTED, created("R2"), done("R2"))
    script.deliver("a")
    script.model(echo("a"))
    assert SPEAK in script.wait(SERVER_ANSWERS_SECONDS + QUIET + GATHER)


def test_what_the_client_cuts_short_plays_no_longer() -> None:
    script = Script(NEEDS_YES).opened()
    script.model(created("R1"))
    script.conversation._scheduler.heard_audio(60.0, script.now)
    script.client(type="conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=900)
    assert WORD in script.model(call("a"), done("R1"))


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_call_of_the_clients_that_was_cut_off_with_its_connection_waits_for_no_answer(is_whole: bool) -> None:
    script = announced(with_lamp(trusted()))
    if is_whole:
        script.model({"type": "response.output_item.done", "response_id": "R1", "item": LAMP_CALL})
    following = Following(script)
    following.built()
    assert following.conversation.is_open
    assert following.conversation.is_idle is not is_whole


@pytest.mark.parametrize("arguments", [{"on": True}, None, 7])
def test_a_call_of_the_clients_is_told_as_text_though_the_server_wrote_something_else(arguments: Any) -> None:
    script = announced(with_lamp(trusted()))
    item = {**LAMP_CALL, "arguments": arguments}
    script.model({"type": "response.output_item.done", "response_id": "R1", "item": item})
    following = Following(script)
    following.model({"type": "session.created", "session": {}}, updated(following))
    following._do(following.conversation.remember(ConversationHistory(), script.now))
    (item,) = [event["item"] for event in following.to_model]
    assert item["arguments"] == json.dumps(arguments)


def test_a_button_that_is_held_while_the_connection_is_rebuilt_is_held_on_the_next_one() -> None:
    script = asked("a")
    script.model(updated(script, audio=BY_HAND))
    script.client(type="input_audio_buffer.append", audio="AAAA")
    following = Following(script)
    following.model({"type": "session.created", "session": {}}, updated(following, audio=BY_HAND))
    following._do(
        following.conversation.remember(
            ConversationHistory([], [past(script, outcome=succeeded({}), is_news=True)]), script.now
        )
    )
    items = [event["item"] for event in following.to_model]
    said = following.model(*({"type": "conversation.item.added", "item": item} for item in items))
    assert following.conversation.is_open
    assert SPEAK not in said + following.wait(QUIET)
    following.client(type="input_audio_buffer.commit")
    assert SPEAK in following.wait(CLIENT_ASKS_SECONDS)


# — servers that tell of a response in another order —


def test_a_question_whose_first_item_comes_before_its_announcement_is_asked_once() -> None:
    script = Script(NEEDS_YES).opened()
    script.model(created("R1"), call("a"), done("R1"))
    script.model(added("W1"), created("W1"), done("W1"))
    script.wait(A_WHILE)
    assert script.everything.count(WORD) == 1
