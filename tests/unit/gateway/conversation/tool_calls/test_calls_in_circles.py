"""A model that goes round in circles, calling and calling: it is stopped, and told to use words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.gateway.conversation.script import QUIET, SPEAK, STARTED, STOPPED, WEATHER, Script, call, created, done


def circling(times: int, **fields: Any) -> Script:
    script = Script(**fields).opened()
    for number in range(times):
        script.model(created(f"R{number}"), call(f"call_{number}", f"R{number}"), done(f"R{number}"))
        script.deliver(f"call_{number}")
    return script


def test_one_tool_too_often_in_one_turn_is_refused_and_the_model_must_use_words() -> None:
    script = circling(3, max_calls_per_turn=3)
    script.model(created("R9"))
    assert script.model(call("b", "R9")) == ["refuse b: too_many_in_a_row"]
    refusal = script.records[0].outcome
    assert refusal is not None
    script.model(done("R9"))
    assert script.deliver("b", refusal) == ["model: output b", SPEAK]
    (create,) = [event for event in script.to_model if event["type"] == "response.create"]
    assert create["response"] == {"tool_choice": "none"}


def test_the_user_says_something_and_it_may_go_on() -> None:
    script = circling(3, max_calls_per_turn=3)
    script.model(STARTED, STOPPED, created("R9"))
    assert script.model(call("b", "R9")) == ["record b"]


def test_after_the_user_has_said_something_the_model_may_call_again_whatever_it_is_told() -> None:
    script = circling(2, max_calls_per_turn=2)
    script.model(created("R8"), call("slow", "R8", name="order"), call("b", "R8"), done("R8"))
    script.model(STARTED, STOPPED, created("R9"), done("R9"))
    assert SPEAK in script.deliver("slow", tool="order") + script.wait(QUIET)
    (create,) = [event for event in script.to_model if event["type"] == "response.create"]
    assert "response" not in create


def test_all_tools_together_have_a_bound_as_well() -> None:
    script = Script(
        WEATHER, *(replace(WEATHER, name=f"tool_{number}") for number in range(4)), max_calls_unheard=3
    ).opened()
    script.model(created("R1"), *(call(f"call_{number}", name=f"tool_{number}") for number in range(3)))
    assert script.model(call("b", name="tool_3")) == ["refuse b: too_many_in_a_row"]
