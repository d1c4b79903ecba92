"""Calls that are made twice, cancelled, approved of or made in circles: what becomes of them, and what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from gateway.protocol import Rejection, read
from ringback.jobs.outcomes import cancelled, succeeded
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
    job_of,
    updated,
)


def with_manners(tool: Any = WEATHER, **behavior: Any) -> Any:
    return replace(tool, behavior=ToolBehavior.from_data(behavior))


def running(*wants: str, tool: Any = WEATHER, **behavior: Any) -> Script:
    """R1 asked for `a`, of a tool with these manners, and is over."""
    script = Script(with_manners(tool, **behavior), ORDER, wants=wants).opened()
    script.model(created("R1"), call("a", name=tool.name), done("R1"))
    return script


def own(name: str, response_id: str = "R2", **arguments: Any) -> dict[str, Any]:
    """The model calls one of the gateway's own functions."""
    return call("own", response_id, arguments=arguments, name=name)


# — the same call again —


def test_the_same_call_again_joins_the_first_and_each_has_its_own_answer() -> None:
    script = running()
    script.model(created("R2"))
    assert script.model(call("b", "R2")) == ["record b"]
    assert script.records[0].job.joined_to == job_of("a")
    script.model(done("R2"))
    assert script.deliver("a")[0] == "model: output a"
    assert script.deliver("b")[0] == "model: output b"


def test_a_third_one_joins_the_one_that_really_runs() -> None:
    script = running()
    script.model(created("R2"), call("b", "R2"))
    script.model(call("c", "R2"))
    assert script.records[0].job.joined_to == job_of("a")


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, {"city": "Rome", "days": 2}])
def test_other_arguments_make_another_call(arguments: dict[str, Any]) -> None:
    script = running()
    script.model(call("b", "R2", arguments=arguments))
    assert script.records[0].job.joined_to is None


def test_arguments_are_the_same_in_any_order() -> None:
    script = Script().opened()
    script.model(created("R1"), call("a", arguments='{"city": "Rome", "days": 2}'))
    script.model(call("b", arguments='{ "days": 2, "city": "Rome" }'))
    assert script.records[0].job.joined_to == job_of("a")


def test_a_call_whose_first_is_over_runs_anew() -> None:
    script = running()
    script.deliver("a")
    script.model(call("b", "R2"))
    assert script.records[0].job.joined_to is None


def test_a_duplicate_is_refused_where_the_tool_says_so() -> None:
    script = running(on_duplicate="reject")
    assert script.model(call("b", "R2")) == ["refuse b: already_running"]


def test_a_duplicate_runs_beside_the_first_where_the_tool_allows_it() -> None:
    script = running(on_duplicate="allow")
    assert script.model(call("b", "R2")) == ["record b"]
    assert script.records[0].job.joined_to is None


def test_the_newer_call_replaces_the_first_where_the_tool_says_so_and_the_first_is_not_told() -> None:
    script = running(on_duplicate="replace")
    assert script.model(call("b", "R2")) == ["cancel a: replaced", "record b"]
    script.model(done("R2"))
    assert script.deliver("a", cancelled()) == ["model: output a"]
    assert script.deliver("b") == ["model: output b", SPEAK]


# — cancelling —


def test_what_is_running_can_be_cancelled_by_the_caller() -> None:
    script = running()
    script.model(created("R2"))
    assert script.model(own("cancel_call", function="weather")) == ["cancel a: caller", "serve own"]
    assert script.records[0].outcome == succeeded({"cancelled": "weather"})


def test_what_was_cancelled_is_answered_and_not_told_a_second_time() -> None:
    script = running()
    script.model(created("R2"), own("cancel_call"), done("R2"))
    assert script.deliver("own", succeeded({}), "cancel_call") == ["model: output own", SPEAK]
    assert script.deliver("a", cancelled()) == ["model: output a"]


OURS = ("cancel_call", "answer_approval")


@pytest.mark.parametrize(
    ("tools", "offered"),
    [
        ((), ()),
        ((ToolBehavior(cancellable=False),), ()),
        ((ToolBehavior(cancellable=True),), ("cancel_call",)),
        ((ToolBehavior(cancellable=False, requires_approval=True),), ("answer_approval",)),
        ((ToolBehavior(cancellable=False), ToolBehavior(cancellable=True, requires_approval=True)), OURS),
        ((ToolBehavior(cancellable=False, is_untrusted=True),), ("answer_approval",)),
    ],
)
def test_the_gateways_own_functions_are_offered_where_a_tool_has_a_use_for_them(
    tools: tuple[ToolBehavior, ...], offered: tuple[str, ...]
) -> None:
    """The tools change something, so that words of strangers make each need a yes."""
    script = Script(*(replace(ORDER, name=f"t{at}", behavior=behavior) for at, behavior in enumerate(tools)), ORDER)
    script.model({"type": "session.created", "session": {}})
    named = {tool["name"] for tool in script.offered}
    assert named.intersection(OURS) == set(offered)


def test_a_session_is_not_updated_for_a_call_that_takes_long_or_waits_for_a_yes() -> None:
    script = running(requires_approval=True, say_after=2.0)
    script.wait(60)
    script.model(created("W1"), done("W1"), STARTED, STOPPED, created("R2"), own("answer_approval", approved=True))
    script.model(done("R2"))
    script.wait(60)
    script.deliver("a")
    assert script.everything.count("model: session.update") == 1, "the one that configured it"
    assert "model: offer" not in script.everything


def test_a_client_hears_nothing_of_our_own_updates_and_all_of_its_own() -> None:
    script = running()
    came(script)
    script.client(type="session.update", session={"audio": {"output": {"speed": 1.2}}})
    assert script.model(updated(script)) == []
    assert script.model(updated(script)) == ["client: session.updated"]


def came(script: Script) -> None:
    """A worker brings one more function."""
    tools = {"tides": replace(WEATHER, name="tides")}
    assert script._do(script.conversation.tools_came(tools, script.now)) == ["model: offer"]


def test_an_update_of_ours_that_was_refused_is_waited_for_no_longer() -> None:
    script = running()
    came(script)
    (update,) = script.to_model
    script.model({"type": "error", "error": {"code": "invalid_value", "event_id": update["event_id"]}})
    script.client(type="session.update", session={"audio": {"output": {"speed": 1.2}}})
    assert script.model(updated(script)) == ["client: session.updated"]


def test_there_is_nothing_to_cancel_of_a_tool_that_is_not_to_be_stopped() -> None:
    script = running(cancellable=False)
    assert script.wait(600) == []
    assert script.model(own("cancel_call")) == ["refuse own: nothing_to_cancel"]


def test_one_of_two_is_cancelled_by_its_name() -> None:
    tool = with_manners()
    script = Script(tool, replace(tool, name="tides")).opened()
    script.model(created("R1"), call("a"), call("b", name="tides"), done("R1"))
    assert script.model(own("cancel_call", function="tides"))[0] == "cancel b: caller"


def test_a_call_that_is_not_wanted_when_the_user_speaks_is_cancelled_and_not_brought_up() -> None:
    script = running(on_barge_in="cancel", cancellable=False)
    assert script.model(STARTED) == ["cancel a: barge_in", "client: input_audio_buffer.speech_started"]
    script.model(STOPPED, created("R2"), done("R2"))
    assert script.deliver("a", cancelled()) == ["model: output a"]
    assert script.wait(600) == []


def test_work_goes_on_when_the_user_speaks_unless_the_tool_says_otherwise() -> None:
    assert running().model(STARTED) == ["client: input_audio_buffer.speech_started"]


# — approval —


def test_the_user_is_asked_before_a_call_that_needs_a_yes_and_it_begins_when_they_say_it() -> None:
    script = Script(with_manners(requires_approval=True)).opened()
    script.model(created("R1"))
    assert script.model(call("a")) == ["record a"]
    assert script.records[0].job.needs_approval
    script.model(done("R1"))
    assert script.seen[-1] == WORD
    assert 'the user must agree to it: weather with {"city": "Rome"}' in script.asked
    script.model(created("R2"), done("R2"), STARTED, STOPPED, created("R3"))
    assert script.model(own("answer_approval", "R3", approved=True))[:2] == ["approve a", "serve own"]
    script.model(done("R3"))
    assert script.deliver("a")[0] == "model: output a"


def test_a_no_is_passed_on_as_well() -> None:
    script = asked_aloud()
    assert script.model(own("answer_approval", approved=False))[:2] == ["deny a", "serve own"]


def asked_aloud() -> Script:
    """The user was asked, and has said something."""
    script = running(requires_approval=True)
    assert script.seen[-1] == WORD
    script.model(created("W1"), done("W1"), STARTED, STOPPED, created("R2"))
    return script


def test_a_yes_that_the_user_never_gave_does_not_count() -> None:
    script = running(requires_approval=True)
    assert script.model(own("answer_approval", approved=True))[0] == "refuse own: not_answered"
    script.wait(QUIET)
    script.model(created("W1"), done("W1"))
    second = call("b", "R2", name="answer_approval", arguments={"approved": True})
    assert script.model(created("R2"), second)[-1] == "refuse b: not_answered"


@pytest.mark.parametrize("arguments", [{}, {"approved": "yes"}, {"approved": None}])
def test_an_answer_that_is_neither_yes_nor_no_is_none(arguments: dict[str, Any]) -> None:
    assert asked_aloud().model(own("answer_approval", **arguments))[0] == "refuse own: invalid_arguments"


def test_a_call_that_is_approved_of_is_told_like_one_that_has_just_begun() -> None:
    script = asked_aloud()
    script.model(own("answer_approval", approved=True), done("R2"))
    script.deliver("own", succeeded({}), "answer_approval")
    script.model(created("R3"), done("R3"))
    assert script.deliver("a")[-1] == SPEAK, "it is no late result: the user's yes is what it answers"


def test_a_client_that_wants_to_be_asked_is_asked_instead() -> None:
    script = Script(with_manners(requires_approval=True, approval_seconds=30), wants=("approvals",)).opened()
    script.model(created("R1"), call("a"))
    record = script.records[0]
    (asked,) = [action.event for action in script.conversation.recorded(record, script.now)]  # type: ignore[union-attr]
    assert asked["type"] == "ringback.approval.requested"
    assert asked["job"] == {"id": str(job_of("a")), "call_id": "a", "tool": "weather", "arguments": {"city": "Rome"}}
    assert asked["seconds"] == 30
    assert script.model(done("R1")) == ["client: response.done"]
    assert script.wait(25) == [], "nobody is asked aloud"
    answer = {"type": "ringback.approval.respond", "job_id": str(job_of("a")), "approved": True}
    assert script.client(**answer)[0] == "approve a"
    assert script.client(**answer) == ["client: error"], "once is enough"


@pytest.mark.parametrize("wants", [(), ("approvals",)])
def test_an_answer_to_what_was_not_asked_is_an_error(wants: tuple[str, ...]) -> None:
    script = Script(with_manners(requires_approval=True), wants=wants).opened()
    answer = {"type": "ringback.approval.respond", "job_id": str(UUID(int=1)), "approved": True}
    assert script.client(**answer) == ["client: error"]
    assert script.to_client[0]["error"]["code"] == "nothing_to_approve"


@pytest.mark.parametrize("field", [{"job_id": "a"}, {"approved": "yes"}, {"approved": None}])
def test_an_answer_of_the_wrong_shape_is_refused(field: dict[str, Any]) -> None:
    whole = {"type": "ringback.approval.respond", "job_id": str(UUID(int=1)), "approved": True}
    assert isinstance(read(json.dumps(whole | field)), Rejection)


def test_a_client_that_is_asked_cannot_be_answered_for_by_the_model() -> None:
    script = running("approvals", requires_approval=True)
    script.model(STARTED, STOPPED)
    assert script.model(own("answer_approval", approved=True))[0] == "refuse own: not_answered"
