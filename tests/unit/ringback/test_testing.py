"""The test kit: a call made by a test, and what a caller hears around a tool."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ringback import Call, ToolError, tool
from ringback.agents.agent import Agent
from ringback.jobs.states import JobState
from ringback.testing import Talk, Turn, converse, fake_call

HOSTED = {"type": "mcp", "server_label": "docs", "server_url": "https://d.example/mcp", "require_approval": "never"}


@tool(say_after=3, say="One moment, I am looking.", say_every=5)
async def order_status(order_id: str, call: Call) -> dict[str, str]:
    """Look up an order."""
    await asyncio.sleep(2)
    call.progress("asked the warehouse")
    await asyncio.sleep(10)
    return {"order": order_id, "state": "in the van"}


@tool
def opening_hours(day: str = "monday") -> str:
    """Tell when the shop is open."""
    return f"closed on {day}"


@tool(requires_approval=True, effect="at_most_once")
def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


@tool(retries=2, backoff=1)
async def flaky(call: Call) -> str:
    """Fail twice."""
    if call.attempt < 3:
        raise ConnectionError
    return f"attempt {call.attempt}"


@tool(timeout=4)
async def endless() -> None:
    """Never return."""
    await asyncio.Event().wait()


@tool
def refuse() -> None:
    """Say no."""
    raise ToolError("There is no flour; offer bread.", code="no_flour")


@tool
async def in_a_thread() -> str:
    """Leave the loop."""
    await asyncio.to_thread(time.sleep, 0.01)
    return "came back"


@tool(on_barge_in="cancel")
async def browse(call: Call) -> str:
    """Look through all there is."""
    await asyncio.sleep(60)
    return "everything"


STATUS: dict[str, Any] = {"order_status": {"order_id": "A-1042"}}
ORDER = "Where is order A-1042?"


# — a call made by hand —


def test_a_fake_call_remembers_what_was_reported() -> None:
    call = fake_call(user="ada", claims={"role": "baker"}, attempt=2, key="k")
    call.progress("one")
    call.progress("two")
    assert (call.user, call.claims, call.attempt, call.idempotency_key) == ("ada", {"role": "baker"}, 2, "k")
    assert call.notes == ["one", "two"]
    assert not call.cancelled


def test_a_fake_call_can_be_cancelled() -> None:
    call = fake_call()
    call.cancel()
    assert call.cancelled
    assert not fake_call().cancelled


def test_a_tool_takes_a_fake_call_as_its_own() -> None:
    assert asyncio.run(flaky(fake_call(attempt=3))) == "attempt 3"


# — a conversation —


def test_the_result_is_read_by_the_model_and_told() -> None:
    talk = converse("Are you open?", tools=[opening_hours], calls={"opening_hours": {"day": "sunday"}})
    (call,) = talk.calls
    assert (call.name, call.arguments, call.output) == ("opening_hours", {"day": "sunday"}, "closed on sunday")
    assert (call.result, call.state, call.attempts) == ("closed on sunday", JobState.SUCCEEDED, 1)
    assert talk.said == ["The answer is: closed on sunday"]


def test_the_answer_may_be_worded() -> None:
    talk = converse(ORDER, tools=[order_status], calls=STATUS, answers={"order_status": "It is {state}."})
    assert talk.said[-1] == "It is in the van."


def test_a_minute_takes_no_time_and_is_heard() -> None:
    talk = converse(ORDER, tools=[order_status], calls=STATUS, answers={"order_status": "It is {state}."})
    assert talk.said == ["One moment, I am looking.", "One moment, I am looking.", "It is in the van."]
    assert talk.progress == ["asked the warehouse"]
    assert talk.moments[-1].at > 13, "by its own clock"


def test_the_same_conversation_goes_the_same_way_each_time() -> None:
    def once() -> tuple[str, list[str]]:
        talk = converse(ORDER, Turn("Hello?", after=6), tools=[order_status], calls=STATUS)
        return str(talk), talk.said

    assert once() == once()


def test_a_turn_that_does_not_wait_breaks_in() -> None:
    answer = {"opening_hours": "On mondays the shop stays closed, on all other days it is open from nine to six."}
    turns = ("Are you open?", Turn("Never mind.", after=2))
    talk = converse(*turns, tools=[opening_hours], calls={"opening_hours": {}}, answers=answer)
    assert answer["opening_hours"].startswith(talk.said[0])
    assert 0 < len(talk.said[0]) < len(answer["opening_hours"])
    assert talk.said[1:] == ["All right."]


def test_what_the_tool_wants_cancelled_by_a_barge_in_is() -> None:
    talk = converse("Show me all.", Turn("Stop.", after=4), tools=[browse], calls={"browse": {}})
    assert talk.calls[0].state == JobState.CANCELLED
    assert talk.calls[0].cancelled.is_set()
    assert '"cancelled"' in str(talk.calls[0].output)


def test_the_caller_cancels_by_name() -> None:
    calls = [STATUS, {"cancel_call": {"function": "order_status"}}]
    talk = converse(ORDER, Turn("Stop it, please.", after=4), tools=[order_status], calls=calls)
    assert [(call.name, call.state) for call in talk.calls] == [
        ("order_status", JobState.CANCELLED),
        ("cancel_call", JobState.SUCCEEDED),
    ]
    assert talk.said[-1].startswith("All right, I have stopped it.")


def test_the_same_call_joins_the_one_that_runs_and_both_are_answered() -> None:
    talk = converse(ORDER, Turn("Did you hear me?", after=1), tools=[order_status], calls=[STATUS, STATUS])
    assert [call.attempts for call in talk.calls] == [1, 0]
    assert talk.outputs[0] == talk.outputs[1] == '{"order": "A-1042", "state": "in the van"}'


def test_a_call_that_joined_one_of_an_earlier_turn_is_told_with_it_in_one_answer() -> None:
    @tool(timeout=60)
    async def find(what: str) -> str:
        """Find something."""
        await asyncio.sleep(10)
        return "It is here."

    again = {"find": {"what": "it"}}
    talk = converse("Where is it?", Turn("Where is it, again?", after=1), tools=[find], calls=[again, again])
    assert [call.output for call in talk.calls] == ["It is here.", "It is here."]
    assert len(talk.said) == 1, str(talk)


@pytest.mark.parametrize(
    ("approved", "state", "words"),
    [(True, JobState.SUCCEEDED, "paid 3"), (False, JobState.CANCELLED, "The answer was no")],
)
def test_a_call_that_needs_a_yes_is_asked_about_aloud(approved: bool, state: JobState, words: str) -> None:
    calls: list[dict[str, Any]] = [{"pay": {"amount": 3}}, {"answer_approval": {"approved": approved}}]
    talk = converse("Pay three.", "Well …", tools=[pay], calls=calls)
    assert talk.said[0].startswith("May I do this: pay with ")
    assert talk.calls[0].state == state
    assert words in str(talk.calls[0].output)


@pytest.mark.parametrize(("approves", "state"), [(True, JobState.SUCCEEDED), (False, JobState.CANCELLED)])
def test_or_the_client_is_asked(approves: bool, state: JobState) -> None:
    talk = converse("Pay three.", tools=[pay], calls={"pay": {"amount": 3}}, approves=approves)
    assert [event["job"]["tool"] for event in talk.of_type("ringback.approval.requested")] == ["pay"]
    assert talk.calls[0].state == state


def test_nobody_says_yes_in_time() -> None:
    talk = converse("Pay three.", tools=[pay], calls={"pay": {"amount": 3}})
    assert (talk.calls[0].state, talk.calls[0].attempts) == (JobState.TIMED_OUT, 0)
    assert "No approval came in time" in str(talk.calls[0].output)


# — circumstances —


def test_the_tool_is_told_who_asks() -> None:
    @tool
    def who(call: Call) -> str:
        """Tell who asks."""
        return f"{call.user}, {call.claims['role']}"

    talk = converse("Who am I?", tools=[who], calls={"who": {}}, user="ada", claims={"role": "baker"})
    assert talk.outputs == ["ada, baker"]


@pytest.mark.parametrize(
    ("scopes", "read"), [(None, ["closed on monday"]), (["staff"], ["closed on monday"]), ([], [])]
)
def test_a_tool_that_asks_for_a_scope_is_there_for_those_who_hold_it(scopes: list[str] | None, read: list[str]) -> None:
    staff = tool(scopes=["staff"])(opening_hours.function)
    talk = converse("Open?", tools=[staff], calls={"opening_hours": {}}, scopes=scopes)
    assert talk.outputs == read


def test_a_call_by_hand_holds_the_scopes_that_it_is_given() -> None:
    assert fake_call(scopes=["b", "a"], claims={"role": "baker"}).claims == {"scopes": ["a", "b"], "role": "baker"}


def test_a_plain_function_may_be_said_to_take_long() -> None:
    patient = tool(say_after=2, say="Wait.")(opening_hours.function)
    talk = converse("Open?", tools=[patient], calls={"opening_hours": {}}, lasts={"opening_hours": 5})
    assert talk.said == ["Wait.", "The answer is: closed on monday"]


def test_a_client_that_asks_for_it_hears_of_jobs_and_results() -> None:
    shown = tool(audience="client")(opening_hours.function)
    talk = converse("Open?", tools=[shown], calls={"opening_hours": {}}, wants=("jobs", "results"))
    assert [event["job"]["state"] for event in talk.of_type("ringback.job")] == ["pending", "succeeded", "acked"]
    assert [event["result"] for event in talk.of_type("ringback.result")] == ["closed on monday"]
    assert "closed" not in str(talk.calls[0].output)


def test_the_agent_decides_what_is_offered_and_how_one_talks() -> None:
    agent = Agent(name="clerk", instructions="Be brief.", tools=(), output_modalities=("text",), turn_detection={})
    talk = converse("Open?", tools=[opening_hours], calls={"opening_hours": {}}, agent=agent)
    assert talk.calls == []
    assert talk.said == ["I would use the tool opening_hours for that, but this session does not have it."]


@pytest.mark.parametrize(
    "settings",
    [
        {"turn_detection": {}},
        {"turn_detection": {"type": "server_vad", "create_response": False}},
        {"turn_detection": {"type": "semantic_vad"}, "transcription_model": "gpt-transcribe"},
        {"output_modalities": ("text",)},
        {"tool_choice": "required"},
        {"session": {"audio": {"input": {"turn_detection": {}}}}},
        {"session": {"tool_choice": {"type": "function", "name": "opening_hours"}}},
        {"session": {"tools": [HOSTED]}},
        {
            "session": {
                "reasoning": {"effort": "low"},
                "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
                "max_output_tokens": "inf",
                "audio": {"input": {"transcription": {"model": "gpt-transcribe", "keywords": ["bread"]}}},
            }
        },
    ],
)
def test_whoever_notices_that_a_turn_is_over_it_is_answered_once(settings: dict[str, Any]) -> None:
    agent = Agent(name="clerk", instructions="Be brief.", tools=("*",), **settings)
    talk = converse("Open?", tools=[opening_hours], calls={"opening_hours": {}}, agent=agent)
    assert talk.said == ["The answer is: closed on monday"]


def test_several_calls_in_one_turn() -> None:
    calls: dict[str, Any] = {"opening_hours": [{"day": "sunday"}, {"day": "friday"}], "refuse": {}}
    talk = converse("Open?", tools=[opening_hours, refuse], calls=calls)
    assert [call.name for call in talk.calls] == ["opening_hours", "opening_hours", "refuse"]
    assert len(talk.said) == 1, "results that land together are told together"


def test_a_printed_talk_is_a_timeline() -> None:
    lines = str(converse("Open?", tools=[opening_hours], calls={"opening_hours": {}})).splitlines()
    assert [line.split()[2] for line in lines] == ["user", "call", "result", "model"]
    assert str(Talk()) == ""
