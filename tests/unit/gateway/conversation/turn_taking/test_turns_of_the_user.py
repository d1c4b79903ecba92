"""The user goes first: with a button held, typing, speaking for long, or muted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.turn_taking.user import CLIENT_ASKS_SECONDS, QUIET_LINE_SECONDS
from ringback.tools.behavior import Late, ToolBehavior
from tests.unit.gateway.conversation.script import (
    PLAIN,
    SPEAK,
    STARTED,
    STOPPED,
    WEATHER,
    WORD,
    Script,
    call,
    created,
    done,
    echo,
    updated,
)

BY_HAND = {"audio": {"input": {"turn_detection": None}}}
SLOW = replace(WEATHER, behavior=replace(PLAIN, say_after=3.0, late=Late.SPEAK))
SOUND = {"type": "input_audio_buffer.append", "audio": "AAAA"}
CLEAR = {"type": "input_audio_buffer.clear"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "item_u"}


def asked(tool: Any = SLOW, **session: Any) -> Script:
    """R1 asked for `a`, of a slow tool, and is over."""
    script = Script(tool).opened(**session)
    script.model(created("R1"), call("a"), done("R1"))
    return script


def typed(script: Script, *content: dict[str, Any]) -> list[str]:
    words = content or ({"type": "input_text", "text": "And tomorrow?"},)
    item = {"type": "message", "role": "user", "content": list(words)}
    return script.client(type="conversation.item.create", item=item)


def hold(script: Script, seconds: float) -> list[str]:
    """Audio is appended, five times a second; what the gateway asks for meanwhile."""
    asked_for = []
    for _ in range(int(seconds * 5)):
        script.client(**SOUND)
        asked_for += script.wait(0.2)
    return asked_for


# — push to talk —


def test_no_result_is_told_and_no_filler_said_while_a_button_is_held() -> None:
    script = asked(**BY_HAND)
    assert hold(script, 1.0) == []
    assert script.deliver("a") == ["model: output a"]
    assert hold(script, 40.0) == [], "however long it is held"


def test_what_was_held_back_is_told_with_the_answer_to_what_was_said() -> None:
    script = asked(**BY_HAND)
    hold(script, 1.0)
    script.deliver("a")
    script.model(echo("a"))
    assert script.client(type="input_audio_buffer.commit") == ["model: input_audio_buffer.commit"]
    assert script.client(type="response.create") == [SPEAK]
    script.model(COMMITTED, created("R2"), done("R2"))
    assert script.wait(600) == [], "one response has answered both"


def test_after_the_button_the_client_has_a_moment_to_ask() -> None:
    script = asked(**BY_HAND)
    hold(script, 1.0)
    script.deliver("a")
    script.client(type="input_audio_buffer.commit")
    script.model(COMMITTED)
    assert script.wait(CLIENT_ASKS_SECONDS - 0.01) == []
    assert script.wait(0.02) == [SPEAK], "a client that does not ask holds no result up"


def test_a_button_that_is_let_go_without_a_word_holds_nothing_up() -> None:
    script = asked(**BY_HAND)
    hold(script, 1.0)
    script.deliver("a")
    assert script.client(**CLEAR) == ["model: input_audio_buffer.clear", SPEAK]


def test_a_question_that_is_asked_while_a_filler_is_said_is_answered() -> None:
    script = asked(**BY_HAND)
    assert script.wait(3.0) == [WORD]
    script.model(created("F1"))
    hold(script, 1.0)
    script.client(type="input_audio_buffer.commit")
    assert script.client(type="response.create", event_id="mine") == ["model: response.cancel"], "the filler gives way"
    assert script.model(COMMITTED, done("F1", "cancelled"))[-1] == SPEAK
    assert script.last_create == "mine"


def test_a_question_that_is_asked_while_a_result_is_told_is_answered_after_it() -> None:
    script = asked(**BY_HAND)
    script.deliver("a")
    script.model(echo("a"), created("R2"))
    hold(script, 1.0)
    script.client(type="input_audio_buffer.commit")
    assert script.client(type="response.create", event_id="mine") == []
    assert script.model(COMMITTED, done("R2"))[-1] == SPEAK
    assert script.last_create == "mine"


def test_a_filler_that_is_on_its_way_gives_way_as_soon_as_it_begins() -> None:
    script = asked(**BY_HAND)
    assert script.wait(3.0) == [WORD]
    script.client(type="response.create", event_id="mine")
    assert script.model(created("F1"))[0] == "model: response.cancel"
    assert script.model(done("F1", "cancelled"))[-1] == SPEAK


def test_a_result_that_the_client_stops_before_it_is_heard_is_not_begun_again() -> None:
    script = asked()
    script.deliver("a")
    script.model(echo("a"), created("R2"))
    assert script.client(type="response.cancel") == ["model: response.cancel"]
    script.model(done("R2", "cancelled"))
    assert script.wait(600) == []


# — typing —


def test_a_typed_question_is_answered_and_takes_the_result_along() -> None:
    script = asked()
    typed(script)
    assert script.deliver("a") == ["model: output a"], "the client is about to ask"
    assert script.client(type="response.create") == [SPEAK]
    script.model(echo("a"), created("R2"), done("R2"))
    assert script.wait(600) == []


def test_a_typed_question_during_a_result_is_answered() -> None:
    script = asked()
    script.deliver("a")
    script.model(created("R2"))
    typed(script)
    assert script.client(type="response.create", event_id="mine") == []
    assert script.model(done("R2"))[-1] == SPEAK
    assert script.last_create == "mine"


@pytest.mark.parametrize("detection", [None, {"type": "server_vad", "create_response": False}])
def test_a_client_that_asks_for_each_answer_itself_is_given_a_moment_for_it(detection: Any) -> None:
    script = asked(audio={"input": {"turn_detection": detection}})
    script.model(STARTED)
    script.deliver("a")
    script.model(STOPPED)
    assert script.client(type="response.create") == [SPEAK]
    assert script.last_create.startswith("rb_client")


# — speaking for long, and muted —


def test_one_who_speaks_for_a_minute_is_not_talked_over() -> None:
    script = asked()
    script.model(STARTED)
    script.deliver("a")
    assert hold(script, 60.0) == []
    assert script.wait(QUIET_LINE_SECONDS) == [SPEAK], "the line has been silent since"


@pytest.mark.parametrize("how", ["the client clears", "the server has cleared", "turn detection goes off"])
def test_one_who_is_muted_in_mid_sentence_is_silent(how: str) -> None:
    script = asked()
    script.model(STARTED)
    script.deliver("a")
    if how == "the client clears":
        assert SPEAK in script.client(**CLEAR)
    elif how == "the server has cleared":
        assert SPEAK in script.model({"type": "input_audio_buffer.cleared"})
    else:
        assert SPEAK in script.model(updated(script, **BY_HAND))


def test_silence_before_the_user_speaks_is_no_turn_where_the_server_listens() -> None:
    script = asked()
    hold(script, 2.0)
    assert script.deliver("a") == ["model: output a", SPEAK]


# — the server is slower than others —


def test_a_server_that_answers_slowly_is_given_the_time_that_it_takes() -> None:
    script = Script(replace(WEATHER, behavior=ToolBehavior(cancellable=False, late=Late.SPEAK))).opened()
    script.model(STARTED, STOPPED)
    script.wait(3.0)
    script.model(created("R1"), call("a"), done("R1"), STARTED)
    script.deliver("a")
    script.model(echo("a"), STOPPED)
    assert script.wait(5.9) == [], "its answer to the turn before took three seconds"
    script.model(created("R2"), done("R2"))
    assert script.wait(600) == []
