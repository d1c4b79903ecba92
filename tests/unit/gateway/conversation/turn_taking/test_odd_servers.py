"""Servers unlike OpenAI's: responses that are not announced, that die without a word, or that begin late."""

from __future__ import annotations

from typing import Any

from gateway.conversation.turn_taking.pacing import CREATE_SECONDS, PAUSE_SECONDS
from gateway.conversation.turn_taking.scheduler import ACTIVE_SECONDS, DYING_SECONDS
from tests.unit.gateway.conversation.script import SPEAK, STARTED, STOPPED, Script, call, created, done, echo, refused
from tests.unit.gateway.conversation.turn_taking.test_turn_taking import BEGAN, ENDED, asked, speaking

NAMELESS = {"type": "error", "error": {"type": "server_error", "message": "The backend has failed."}}


def added(response_id: str) -> dict[str, Any]:
    item = {"id": f"item_{response_id}", "type": "message", "role": "assistant", "content": []}
    return {"type": "response.output_item.added", "response_id": response_id, "item": item}


# — a server that says no `response.created` —


def test_a_response_that_is_not_announced_begins_with_its_first_event() -> None:
    script, _ = speaking()
    script.model(echo("a"), added("R2"), done("R2"))
    assert script.wait(600) == [], "it has told the result"


def test_a_response_that_is_not_announced_takes_the_slot() -> None:
    script = asked("a")
    script.model(added("R2"))
    assert script.deliver("a") == ["model: output a"]
    assert script.model(done("R2")) == [ENDED, SPEAK]


def test_one_of_which_nothing_but_its_end_is_told_has_told_the_result() -> None:
    script, _ = speaking()
    script.model(echo("a"), done("R2"))
    assert script.wait(600) == []


def test_late_events_of_a_response_that_is_over_begin_nothing() -> None:
    script = asked("a")
    script.model(added("R1"))
    assert script.deliver("a") == ["model: output a", SPEAK]


def test_events_of_a_response_outside_the_conversation_begin_nothing() -> None:
    script = asked("a")
    script.model(created("R9", conversation_id=None), added("R9"))
    assert script.deliver("a") == ["model: output a", SPEAK]


# — a response that dies —


def test_a_response_that_dies_by_an_error_alone_has_told_nothing_and_is_asked_for_again() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), NAMELESS)
    assert script.wait(DYING_SECONDS + PAUSE_SECONDS - 0.01) == []
    assert script.wait(0.02) == [SPEAK]


def test_an_error_about_something_else_ends_no_response() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), NAMELESS)
    for _ in range(30):
        script.now += 1.0
        script.model({"type": "response.output_text.delta", "response_id": "R2", "item_id": "i", "delta": "and "})
    assert script.model(done("R2")) == [ENDED]
    assert script.wait(600) == []


def test_a_response_that_was_taken_for_dead_and_ends_after_all_is_told_once() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"), NAMELESS)
    assert script.wait(DYING_SECONDS + 1) == []
    assert script.model(done("R2")) == [ENDED]
    assert script.wait(600) == []


def test_a_response_whose_end_is_lost_does_not_silence_the_model_for_ever() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"))
    script.model({"type": "response.output_text.delta", "response_id": "R2", "item_id": "i", "delta": "It "})
    assert script.wait(ACTIVE_SECONDS) == []
    assert script.wait(PAUSE_SECONDS + 1) == [SPEAK]


def test_a_call_of_a_response_that_dies_is_answered() -> None:
    script = Script().opened()
    script.model(created("R1"), call("a"), NAMELESS)
    assert script.deliver("a") == ["model: output a"]
    assert SPEAK in script.wait(DYING_SECONDS + PAUSE_SECONDS + 1)


# — a server that is slow to begin —


def test_a_server_that_begins_late_is_given_the_time_from_then_on() -> None:
    script, _ = speaking()
    script.model({"type": "rate_limits.updated"})
    script.wait(CREATE_SECONDS - 1)
    script.model(echo("a"), created("R2"), call("b", "R2"), done("R2"))
    assert script.deliver("b")[-1] == SPEAK
    script.model({"type": "rate_limits.updated"})
    assert script.wait(2.5 * CREATE_SECONDS) == [], "it was slow before"


def test_a_server_that_is_late_with_its_first_event_is_not_left() -> None:
    script, _ = speaking()
    assert script.wait(CREATE_SECONDS + 2) == [SPEAK], "the first create may be lost, and the server is there still"
    assert script.model(echo("a"), created("R2"), refused(script.last_create)) == ["acknowledge", BEGAN]
    assert script.model(done("R2")) == [ENDED]
    assert script.wait(600) == []


def test_the_servers_own_response_that_comes_late_is_learned_from() -> None:
    script = asked("a")
    script.model(STARTED, STOPPED)
    script.wait(4.0)
    script.model(created("R2"), done("R2"), STARTED)
    script.deliver("a")
    script.model(STOPPED)
    assert script.wait(7.9) == []
