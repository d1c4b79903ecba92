"""Calls that nobody wants any more, or that somebody has yet to agree to: what the user is not told twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS
from ringback.jobs.outcomes import Outcome, cancelled, succeeded
from ringback.jobs.states import JobState
from ringback.tools.behavior import ToolBehavior
from tests.unit.gateway.conversation.script import (
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
    echo,
    job_of,
    refused,
)

DENIED = Outcome(JobState.CANCELLED, code="approval_denied", message="It was not done.")
SILENCE = {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_s"}
TAKEN_IN = {"type": "input_audio_buffer.committed", "item_id": "item_s"}


def own(name: str, response_id: str = "R2", **arguments: Any) -> dict[str, Any]:
    return call("own", response_id, arguments=arguments, name=name)


def running(*wants: str, **behavior: Any) -> Script:
    """R1 asked for `a`, of a tool with these manners, and is over."""
    script = Script(replace(WEATHER, behavior=ToolBehavior.from_data(behavior)), wants=wants).opened()
    script.model(created("R1"), call("a"), done("R1"))
    return script


def asked(**behavior: Any) -> Script:
    """The user was asked, and is silent."""
    script = running(requires_approval=True, **behavior)
    assert script.seen[-1] == WORD
    script.model(created("W1"), done("W1"))
    return script


# — what waits for the same end —


def test_whoever_cancels_a_call_hears_nothing_of_those_that_have_joined_it() -> None:
    script = running()
    script.model(created("R2"), call("b", "R2"), done("R2"))
    script.wait(2)
    script.model(created("R3"), own("cancel_call", "R3"), done("R3"))
    assert script.deliver("own", succeeded({}), "cancel_call") == ["model: output own", SPEAK]
    assert script.deliver("a", cancelled()) == ["model: output a"]
    script.deliver("b", cancelled())
    script.model(echo("own"), created("R4"), done("R4"))
    assert script.wait(60) == [], "the user knows"


def test_what_is_cancelled_because_the_user_speaks_takes_those_along_that_have_joined_it() -> None:
    script = running(on_barge_in="cancel", cancellable=False)
    script.model(created("R2"), call("b", "R2"), done("R2"))
    assert script.model(STARTED)[0] == "cancel a: barge_in"
    script.model(STOPPED, created("R3"), done("R3"))
    script.deliver("a", cancelled())
    script.deliver("b", cancelled())
    assert script.wait(60) == []


def test_two_that_end_together_are_told_together() -> None:
    script = running()
    script.model(created("R2"), call("b", "R2"), done("R2"))
    assert script.deliver("a", more=True) == ["model: output a"]
    assert script.wait(0.5) == [], "the clock waits for the other as well"
    assert script.deliver("b") == ["model: output b", SPEAK]
    script.model(echo("a"), echo("b"), created("R3"), done("R3"))
    assert script.wait(60) == [], "nobody hears the same answer twice"


# — a yes and a no —


def test_the_user_may_say_yes_to_a_call_that_is_not_wanted_when_they_speak() -> None:
    script = asked(on_barge_in="cancel")
    assert script.model(STARTED) == ["client: input_audio_buffer.speech_started"], "it may be the yes"
    script.model(STOPPED, created("R2"))
    assert script.model(own("answer_approval", approved=True))[:2] == ["approve a", "serve own"]


def test_a_no_is_told_once() -> None:
    script = asked()
    script.model(STARTED, STOPPED, created("R2"), own("answer_approval", approved=False), done("R2"))
    assert script.deliver("own", succeeded({}), "answer_approval") == ["model: output own", SPEAK]
    script.model(echo("own"), created("R3"), done("R3"))
    assert script.deliver("a", DENIED) == ["model: output a"]
    assert script.wait(60) == [], "the answer to the no has told it"


def test_what_was_done_in_spite_of_a_no_is_told() -> None:
    script = asked()
    script.model(STARTED, STOPPED, created("R2"), own("answer_approval", approved=False), done("R2"))
    script.deliver("own", succeeded({}), "answer_approval")
    script.model(echo("own"), created("R3"), done("R3"))
    assert script.deliver("a") == ["model: output a", SPEAK], "an operator had said yes before"


def test_nothing_is_said_to_be_running_after_a_no() -> None:
    script = running("approvals", requires_approval=True, say_after=1.0, cancellable=False)
    script.client(type="ringback.approval.respond", job_id=str(job_of("a")), approved=False)
    assert script.wait(60) == []


def test_a_no_of_the_clients_is_told() -> None:
    script = running("approvals", requires_approval=True)
    answer = {"type": "ringback.approval.respond", "job_id": str(job_of("a")), "approved": False}
    assert script.client(**answer) == ["deny a"]
    assert script.deliver("a", DENIED) == ["model: output a", SPEAK]


def test_a_silence_that_the_server_takes_in_is_no_yes() -> None:
    script = asked()
    script.model(SILENCE, TAKEN_IN, created("R2"))
    assert script.model(own("answer_approval", approved=True))[0] == "refuse own: not_answered"


def test_what_is_said_after_such_a_silence_counts() -> None:
    script = asked()
    script.model(SILENCE, TAKEN_IN, created("R2"), done("R2"), STARTED, STOPPED, TAKEN_IN, created("R3"))
    assert script.model(own("answer_approval", "R3", approved=True))[0] == "approve a"


@pytest.mark.parametrize("code", ["conversation_already_has_active_response", "invalid_value"])
def test_a_question_that_was_not_asked_is_not_answered(code: str) -> None:
    script = running(requires_approval=True)
    script.wait(QUIET)
    script.model(refused(script.last_create, code), STARTED, STOPPED, created("R2"))
    assert script.model(own("answer_approval", approved=True))[0] == "refuse own: not_answered"


def test_a_question_that_failed_is_asked_again_after_a_pause_and_no_word_else() -> None:
    question = running(requires_approval=True)
    word = Script(replace(WEATHER, behavior=ToolBehavior(say_after=1.0, cancellable=False))).opened()
    word.model(created("R1"), call("a"), done("R1"))
    assert question.seen[-1] == WORD
    for script, asked, again in ((question, [], [WORD]), (word, [WORD], [])):
        assert script.wait(QUIET) == asked
        script.model(created("W1"), done("W1", "failed"))
        assert script.wait(PAUSE_SECONDS - 0.01) == []
        assert script.wait(0.02) == again


def test_nobody_is_read_a_novel() -> None:
    script = Script(replace(WEATHER, behavior=ToolBehavior(requires_approval=True))).opened()
    script.model(created("R1"), call("a", arguments={"city": "x" * 50_000}), done("R1"))
    script.wait(QUIET)
    assert len(script.asked) < 2_000
    assert "too long to say" in script.asked


def test_the_user_is_not_asked_any_more_when_somebody_else_has_said_yes() -> None:
    script = running(requires_approval=True)
    told = script._do(script.conversation.approved(job_of("a"), script.now))
    assert told == []
    assert WORD not in script.wait(60)
    assert script._do(script.conversation.approved(job_of("a"), script.now)) == [], "that is no news"
    assert script.deliver("a")[0] == "model: output a"
