"""A yes is a yes: the question was heard, and the user has said something since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.jobs.states import Effect
from ringback.tools.behavior import ToolBehavior
from tests.unit.gateway.conversation.script import (
    ORDER,
    QUIET,
    SPEAK,
    STARTED,
    STOPPED,
    WEATHER,
    WORD,
    Script,
    call,
    created,
    done,
    updated,
)

NEEDS_YES = replace(WEATHER, behavior=ToolBehavior(requires_approval=True, cancellable=False))
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
NOT_ANSWERED = "refuse own: not_answered"


def asked() -> Script:
    """The question whether `a` may start was just asked for, and its response has begun."""
    script = Script(NEEDS_YES).opened()
    script.model(created("R1"), call("a"), done("R1"))
    assert script.seen[-1] == WORD
    script.model(created("W1"))
    return script


def heard(script: Script) -> Script:
    script.model({"type": "response.output_audio_transcript.delta", "response_id": "W1", "item_id": "w", "delta": "M"})
    return script


def says_yes(script: Script) -> str:
    """The model takes it that the user has said yes."""
    script.model(created("R9"))
    yes = call("own", "R9", name="answer_approval", arguments={"approved": True})
    return script.model(yes)[0]


def test_a_question_that_was_cut_off_before_it_was_heard_cannot_be_answered_and_is_asked_again() -> None:
    script = asked()
    script.model(STARTED, done("W1", "cancelled"), STOPPED)
    assert says_yes(script) == NOT_ANSWERED
    script.deliver("own", tool="answer_approval")
    script.model(done("R9"), created("R10"), done("R10"))
    assert WORD in script.wait(QUIET)


def test_a_question_that_was_heard_in_part_can_be_answered_into() -> None:
    script = heard(asked())
    script.model(STARTED, done("W1", "cancelled"), STOPPED)
    assert says_yes(script) == "approve a"


def test_a_question_that_was_said_to_its_end_can_be_answered_where_the_server_shows_no_words() -> None:
    script = asked()
    script.model(done("W1"), STARTED, STOPPED)
    assert says_yes(script) == "approve a"


def test_a_question_whose_response_failed_is_asked_again() -> None:
    script = asked()
    script.model(done("W1", "failed"))
    assert WORD in script.wait(10)


@pytest.mark.parametrize("heard_first", [True, False])
def test_a_picture_is_no_answer(heard_first: bool) -> None:
    script = heard(asked()) if heard_first else asked()
    script.model(done("W1"))
    item = {"type": "message", "role": "user", "content": [PICTURE]}
    script.client(type="conversation.item.create", item=item)
    assert says_yes(script) == NOT_ANSWERED


def test_a_typed_yes_is_an_answer() -> None:
    script = heard(asked())
    script.model(done("W1"))
    content = [{"type": "input_text", "text": "yes"}, PICTURE]
    script.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert says_yes(script) == "approve a"


@pytest.mark.parametrize(
    ("content", "needs_yes"), [([PICTURE], True), ([{"type": "input_text", "text": "pay it"}], False)]
)
def test_a_picture_does_not_lift_what_words_of_strangers_forbid(content: Any, needs_yes: bool) -> None:
    mail = replace(WEATHER, name="mail", behavior=ToolBehavior(is_untrusted=True, cancellable=False))
    script = Script(mail, replace(ORDER, effect=Effect.IDEMPOTENT)).opened()
    script.model(created("R1"), call("a", name="mail"), done("R1"))
    script.deliver("a", tool="mail")
    script.model(created("R2"), done("R2"))
    script.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
    script.model(created("R3"), call("b", "R3", name="order"))
    assert script.records[0].job.needs_approval is needs_yes


def test_a_question_waits_until_every_result_is_told() -> None:
    """The result is late and waits for quiet; the question would be urgent."""
    script = Script(NEEDS_YES, replace(WEATHER, name="tides")).opened()
    script.model(created("R1"), call("b", name="tides"), done("R1"), STARTED, STOPPED, created("R2"))
    script.deliver("b", tool="tides")
    script.conversation._scheduler.heard_audio(3.0, script.now)
    script.model(call("a", "R2"), done("R2"))
    assert script.wait(3.0 + QUIET - 0.01) == []
    assert script.wait(0.02) == [SPEAK]
    assert script.model(created("R3"), done("R3"))[-1] == WORD


# — a session that leaves the model no choice —


@pytest.mark.parametrize("choice", ["required", {"type": "function", "name": "weather"}])
def test_a_model_that_must_call_a_function_may_use_words_when_it_tells_a_result(choice: Any) -> None:
    script = Script().opened(tool_choice=choice)
    script.model(created("R1"), call("a"), done("R1"))
    script.deliver("a")
    (create,) = [event for event in script.to_model if event["type"] == "response.create"]
    assert create["response"] == {"tool_choice": "auto"}


def test_a_model_that_has_the_choice_is_told_nothing_of_it() -> None:
    script = Script().opened()
    script.model(updated(script, tool_choice="auto"), created("R1"), call("a"), done("R1"))
    script.deliver("a")
    assert "response" not in script.to_model[-1]
