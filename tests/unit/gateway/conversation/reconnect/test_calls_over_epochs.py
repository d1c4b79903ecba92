"""What is known of running calls when the conversation moves to a new connection: nothing is said or asked twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation import Conversation
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.tool_calls.past_call import PastCall
from ringback.jobs.outcomes import cancelled
from ringback.statements.sessions.items import Message
from ringback.tools.behavior import ToolBehavior
from tests.unit.gateway.conversation.script import (
    SESSION,
    SPEAK,
    STARTED,
    STOPPED,
    WEATHER,
    WORD,
    Script,
    agent,
    call,
    created,
    done,
    job_of,
    updated,
)

HELLO = Message(1, "item_u1", "user", [{"type": "input_text", "text": "hello"}])
OUTPUT = "model: output a"


class Following(Script):
    """The conversation that goes on where another one was."""

    def __init__(self, earlier: Script, carried: CarriedState | None = None, *, wants: tuple[str, ...] = ()) -> None:
        super().__init__(*earlier.conversation.tools.values())
        self.now = earlier.now
        carried = carried or earlier.conversation.carry(self.now)
        tools = earlier.conversation.tools
        self.conversation = Conversation(SESSION, agent(), tools, epoch=2, carried=carried, greets=False, wants=wants)

    def built(self, *calls: PastCall) -> list[str]:
        """It is told of these calls, and has echoed everything; what came of the last echo."""
        self.model({"type": "session.created", "session": {}}, updated(self))
        self._do(self.conversation.remember(ConversationHistory([HELLO], calls), self.now))
        items = [event["item"] for event in self.to_model]
        return self.model(*({"type": "conversation.item.added", "item": item} for item in items))


def first(**behavior: Any) -> Script:
    """R1 asked for `a`, of a tool with these manners, and is over."""
    script = Script(replace(WEATHER, behavior=ToolBehavior.from_data(behavior))).opened()
    script.model(created("R1"), call("a"), done("R1"))
    return script


def past(script: Script, name: str = "a", **fields: Any) -> PastCall:
    """The call as its row has it."""
    behavior = next(iter(script.conversation.tools.values())).behavior
    return replace(
        PastCall(job_of(name), 2, f"item_{name}", name, "R1", "weather", {"city": "Rome"}, behavior=behavior), **fields
    )


def resumed(script: Script, **fields: Any) -> Following:
    """On another gateway, which knows the rows alone."""
    following = elsewhere(script)
    following.built(past(script, **fields))
    return following


def elsewhere(script: Script) -> Following:
    return Following(script, CarriedState(has_past=True))


# — what was cancelled —


def test_what_the_caller_cancelled_is_not_brought_up_by_the_next_conversation() -> None:
    script = first()
    script.wait(2)
    script.model(created("R2"), call("own", "R2", name="cancel_call", arguments={}), done("R2"))
    following = Following(script)
    assert following.built(past(script)) == ["let the client in"], "there is nothing left to cancel"
    assert following.deliver("a", cancelled()) == [OUTPUT]
    assert following.wait(60) == []


def test_nor_where_it_was_over_by_then() -> None:
    script = first(on_barge_in="cancel", cancellable=False)
    script.model(STARTED, STOPPED, created("R2"), done("R2"))
    following = Following(script)
    following.built(past(script, outcome=cancelled(), is_news=True))
    assert following.wait(60) == []


def test_nor_where_only_the_rows_know_that_it_was_cancelled() -> None:
    following = resumed(first(), is_unwanted=True)
    assert following.deliver("a", cancelled()) == [OUTPUT]
    assert following.wait(60) == []


def test_a_call_that_is_made_again_does_not_join_one_that_was_cancelled() -> None:
    following = resumed(first(), is_unwanted=True)
    following.model(created("R2"), call("b", "R2"))
    assert following.records[0].job.joined_to is None


def test_a_call_that_is_made_again_joins_the_one_of_the_earlier_conversation() -> None:
    script = first()
    for following in (Following(script), elsewhere(script)):
        following.built(past(script))
        following.model(created("R2"), call("b", "R2"))
        assert following.records[0].job.joined_to == job_of("a")


# — what is late —


@pytest.mark.parametrize("is_here", [True, False], ids=["in this gateway", "by the rows"])
def test_a_silent_result_stays_silent(is_here: bool) -> None:
    script = first(late="silent", cancellable=False)
    script.model(STARTED, STOPPED, created("R2"), done("R2"))
    following = Following(script) if is_here else elsewhere(script)
    following.built(past(script, is_late=True))
    assert following.deliver("a") == [OUTPUT]
    assert following.wait(60) == []


def test_a_result_in_time_is_told_at_once() -> None:
    script = first()
    following = Following(script)
    following.built(past(script))
    assert following.deliver("a")[-1] == SPEAK


# — words —


def test_a_word_that_was_said_is_not_repeated() -> None:
    script = first(say_after=3.0, cancellable=False)
    assert script.wait(3) == [WORD]
    script.model(created("W1"), done("W1"))
    following = Following(script)
    following.built(past(script, age=3.0))
    assert following.wait(60) == []


def test_a_word_that_was_cut_off_is_said_again() -> None:
    script = first(say_after=3.0, cancellable=False)
    assert script.wait(3) == [WORD]
    script.model(created("W1"))
    script._do(script.conversation.cut("upstream_closed", script.now))
    following = Following(script)
    assert following.built(past(script, age=3.0)) == ["let the client in", WORD]


def test_a_call_that_no_row_tells_of_is_waited_for_no_longer() -> None:
    script = first(say_after=3.0)
    following = Following(script)
    following.built()
    assert following.wait(60) == [], "its conversation is gone, and it was never begun"


def test_what_an_older_conversation_still_hears_is_no_business_of_the_next_one() -> None:
    script = first(cancellable=False)
    following = Following(script)
    following.built(past(script))
    script.model(created("R2"), call("b", "R2", arguments={"city": "Oslo"}))
    following.deliver("a")
    following.model(created("R2"), done("R2"))
    assert following.wait(60) == []
    assert following.conversation.is_idle


# — questions —


def asked() -> Script:
    script = first(requires_approval=True)
    assert script.seen[-1] == WORD
    script.model(created("W1"), done("W1"))
    return script


def test_a_question_that_was_asked_is_not_asked_again_and_the_yes_counts() -> None:
    script = asked()
    following = Following(script)
    assert following.built(past(script, waits_for_yes=True)) == ["let the client in"]
    assert following.wait(30) == []
    following.model(updated(following), STARTED, STOPPED, created("R2"))
    answer = call("own", "R2", name="answer_approval", arguments={"approved": True})
    assert following.model(answer)[0] == "approve a"


def test_a_question_is_asked_by_whoever_has_not_heard_it() -> None:
    script = asked()
    assert WORD in elsewhere(script).built(past(script, waits_for_yes=True))


def test_a_yes_that_somebody_gave_meanwhile_is_known_by_the_row() -> None:
    script = asked()
    following = Following(script)
    assert following.built(past(script)) == ["let the client in"]
    assert following.deliver("a")[-1] == SPEAK
