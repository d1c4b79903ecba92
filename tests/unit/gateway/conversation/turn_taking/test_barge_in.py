"""What was asked for a moment too early, written in vain, or done although it was cancelled."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ringback.jobs.outcomes import cancelled, succeeded
from ringback.jobs.states import Effect
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
    refused,
)

HUSH = "model: response.cancel"


def asked(**behavior: Any) -> Script:
    """R1 asked for `a`, and is over."""
    script = Script(replace(WEATHER, behavior=ToolBehavior.from_data({"cancellable": False} | behavior))).opened()
    script.model(created("R1"), call("a"), done("R1"))
    return script


def test_a_result_that_begins_to_be_told_when_the_user_has_begun_to_speak_is_hushed_and_told_later() -> None:
    script = asked()
    assert script.deliver("a")[-1] == SPEAK
    script.model(STARTED)
    assert script.model(created("R2"))[0] == HUSH
    assert script.to_model[0]["response_id"] == "R2"
    script.model(done("R2", "cancelled"), STOPPED)
    assert script.wait(5) == [SPEAK]


def test_what_slips_through_before_it_is_hushed_has_told_nothing() -> None:
    script = asked()
    script.deliver("a")
    script.model(echo("a"), STARTED, created("R2"))
    word = {"type": "response.output_audio_transcript.delta", "response_id": "R2", "item_id": "i", "delta": "It"}
    script.model(word, done("R2", "cancelled"), STOPPED)
    assert script.wait(5) == [SPEAK]


def test_a_response_that_the_user_cut_off_is_no_failure_although_its_end_is_told_late() -> None:
    """The server's answer to the user has begun by then, and the next result waits for nothing."""
    script = asked()
    script.model(created("R2"), call("b", "R2"), STARTED, STOPPED, created("R3"), done("R2", "cancelled"), done("R3"))
    assert SPEAK in script.deliver("b") + script.wait(1)


def test_the_answer_to_what_the_user_then_says_tells_it_instead() -> None:
    script = asked()
    script.deliver("a")
    script.model(echo("a"), STARTED, created("R2"), done("R2", "cancelled"), STOPPED, created("R3"), done("R3"))
    assert script.wait(60) == []


def test_a_word_is_hushed_as_well_and_a_question_asked_again() -> None:
    script = asked(requires_approval=True)
    assert script.seen[-1] == WORD
    begun = created("W1")
    begun["response"]["metadata"] = {"ringback": script.last_create}
    script.model(STARTED)
    assert script.model(begun)[0] == HUSH
    script.model(done("W1", "cancelled"), STOPPED, created("R2"))
    yes = call("own", "R2", name="answer_approval", arguments={"approved": True})
    assert script.model(yes)[0] == "refuse own: not_answered", "the user has not heard the question"
    script.model(done("R2"))
    script.deliver("own", succeeded({}), "answer_approval")
    script.model(created("R3"), done("R3"))
    assert script.wait(QUIET) == [WORD]


def test_a_response_that_the_client_asked_for_is_its_own_to_stop() -> None:
    script = Script().opened()
    script.client(type="response.create")
    script.model(STARTED)
    assert HUSH not in script.model(created("R1"))


def test_the_servers_own_response_is_the_servers_to_stop() -> None:
    script = Script().opened()
    script.model(STARTED)
    assert HUSH not in script.model(created("R1"))


def test_to_hush_what_has_ended_by_itself_is_routine() -> None:
    script = asked()
    script.deliver("a")
    script.model(STARTED, created("R2"))
    (cut,) = script.to_model
    assert script.model(refused(cut["event_id"], "response_cancel_not_active")) == []


# — an answer that the conversation does not take —


def test_an_answer_that_is_not_taken_is_written_once_more_as_one_that_cannot_be_read() -> None:
    script = asked()
    script.deliver("a")
    (output, _) = script.to_model
    assert script.model(refused(output["event_id"], "string_above_max_length")) == ["warn", "model: output a"]
    assert script.outputs["a"]["error"]["code"] == "unreadable_result"
    assert script.to_model[0]["item"]["id"] == output["item"]["id"]
    assert script.model(echo("a")) == ["acknowledge"]


def test_one_that_is_not_taken_twice_is_given_up() -> None:
    script = asked()
    script.deliver("a")
    script.model(refused(script.to_model[0]["event_id"], "string_above_max_length"))
    assert script.model(refused(script.to_model[0]["event_id"], "string_above_max_length")) == ["warn"]


def test_one_whose_call_is_not_there_is_not_written_again() -> None:
    script = asked()
    script.deliver("a")
    assert script.model(refused(script.to_model[0]["event_id"], "invalid_tool_call_id")) == ["warn"]


# — done although it was cancelled —


@pytest.mark.parametrize(
    ("effect", "told"), [(Effect.PURE, []), (Effect.IDEMPOTENT, [SPEAK]), (Effect.AT_MOST_ONCE, [SPEAK])]
)
def test_an_action_that_nobody_could_stop_any_more_is_told(effect: Effect, told: list[str]) -> None:
    script = Script(replace(WEATHER, effect=effect, behavior=ToolBehavior(cancellable=True))).opened()
    script.model(created("R1"), call("a"), done("R1"), created("R2"), call("own", "R2", name="cancel_call"), done("R2"))
    script.deliver("own", succeeded({}), "cancel_call")
    script.model(echo("own"), created("R3"), done("R3"))
    assert script.deliver("a", succeeded({"booked": True}))[1:] == told


def test_one_that_was_stopped_is_not() -> None:
    script = Script(replace(WEATHER, effect=Effect.IDEMPOTENT, behavior=ToolBehavior(cancellable=True))).opened()
    script.model(created("R1"), call("a"), done("R1"), created("R2"), call("own", "R2", name="cancel_call"), done("R2"))
    script.deliver("own", succeeded({}), "cancel_call")
    script.model(echo("own"), created("R3"), done("R3"))
    assert script.deliver("a", cancelled())[1:] == []
