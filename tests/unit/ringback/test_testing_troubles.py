"""The test kit when a tool, a test or the model fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ringback import tool
from ringback.agents.agent import Agent
from ringback.jobs.states import JobState
from ringback.testing import RehearsalError, converse
from tests.unit.ringback.test_testing import ORDER, endless, flaky, in_a_thread, opening_hours, order_status, refuse

# — calls that go wrong —


def test_a_failed_attempt_is_followed_by_the_next() -> None:
    talk = converse("Go.", tools=[flaky], calls={"flaky": {}})
    assert (talk.calls[0].attempts, talk.calls[0].output) == (3, "attempt 3")


def test_a_tool_that_does_not_return_is_timed_out() -> None:
    talk = converse("Go.", tools=[endless], calls={"endless": {}})
    assert talk.calls[0].state == JobState.TIMED_OUT
    assert "did not finish in time" in talk.said[-1]


def test_an_error_on_purpose_is_told_and_is_no_fault() -> None:
    talk = converse("Go.", tools=[refuse], calls={"refuse": {}})
    assert talk.said == ["I am sorry, that did not work: There is no flour; offer bread."]
    assert talk.calls[0].fault is None


def test_an_error_by_mistake_is_kept_for_the_author() -> None:
    @tool
    def crash() -> None:
        """Fail."""
        raise KeyError("oven")

    talk = converse("Go.", tools=[crash], calls={"crash": {}})
    assert repr(talk.calls[0].fault) == "KeyError('oven')"
    assert "KeyError('oven')" in str(talk), "the timeline tells of it"
    assert "oven" not in str(talk.calls[0].output), "and the model does not"


def test_arguments_that_do_not_fit_are_answered_at_once() -> None:
    talk = converse(ORDER, tools=[order_status], calls={"order_status": {"order_id": 7}})
    assert (talk.calls[0].state, talk.calls[0].attempts) == (JobState.FAILED, 0)
    assert "order_id: Input should be a valid string" in str(talk.calls[0].output)


def test_who_waits_for_a_thread_is_waited_for() -> None:
    assert converse("Go.", tools=[in_a_thread], calls={"in_a_thread": {}}).outputs == ["came back"]


def test_an_agent_that_the_model_refuses_ends_the_rehearsal_and_says_why() -> None:
    agent = Agent(name="clerk", instructions="Be brief.", turn_detection={"type": "azure_semantic_vad"})
    with pytest.raises(RehearsalError, match="the gateway closed the connection: upstream_refused"):
        converse("Open?", tools=[opening_hours], agent=agent)


# — what cannot be —


@pytest.mark.parametrize(
    ("calls", "sentence"),
    [
        ([{}, {}], "calls has 2 entries for 1 turns: give one for each turn at most"),
        ({"pay": {}}, "calls names pay, which is none of the tools: opening_hours"),
        ({"opening_hours": {"day": None}}, "an argument of opening_hours holds None"),
        ({"opening_hours": {"day": "{day}"}}, "an argument of opening_hours holds None, or a {word} in braces"),
    ],
)
def test_calls_that_cannot_be_made_are_refused(calls: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence.replace("{", r"\{").replace("}", r"\}")):
        converse("Open?", tools=[opening_hours], calls=calls)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"tools": opening_hours}, r"tools=opening_hours: write a list, tools=\[opening_hours\]"),
        ({"tools": [len]}, "tools: len is no tool: decorate the function with @tool"),
        (
            {"calls": "opening_hours"},
            "calls='opening_hours': write {\"opening_hours\": {…}}, the tool and its arguments",
        ),
        ({"answers": {"pay": "Paid."}}, "answers names pay, which is none of the tools: opening_hours"),
        ({"lasts": {"pay": 5}}, "lasts names pay, which is none of the tools: opening_hours"),
        ({"wants": "jobs"}, "wants='jobs': write a list; there are jobs, results"),
        ({"wants": ("jobz",)}, "there are jobs, results"),
    ],
)
def test_what_would_be_without_effect_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        converse("Open?", **{"tools": [opening_hours], **given})


def test_a_loop_within_a_loop_is_refused_by_a_sentence() -> None:
    async def inside() -> None:
        converse("Open?", tools=[opening_hours])

    with pytest.raises(RuntimeError, match="call it from a plain `def test_…`"):
        asyncio.run(inside())
