"""When the user is told a result: two tables, and what the user hears of a late one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.call_table import Call, CallTable, Owner
from gateway.conversation.turn_taking.late_results import CLIENT_ANSWERS_SECONDS, Arrival, due_at, way_to_tell
from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS
from gateway.conversation.turn_taking.scheduler import ResponseScheduler
from gateway.conversation.turns import UserTurns
from ringback.jobs.outcomes import failed, succeeded
from ringback.tools.behavior import Late, ToolBehavior
from tests.unit.gateway.conversation.script import (
    HOLD,
    QUIET,
    SPEAK,
    STARTED,
    STOPPED,
    WEATHER,
    Script,
    call,
    created,
    done,
    echo,
)

OUTPUT = "model: output a"

# — how it is brought up, as it arrives —

STALE = 5.0
"""Seconds after which the result of these tools is out of date."""
AS_THE_TOOL_SAYS = {late: late for late in Late}
WAYS: dict[str, tuple[Arrival, dict[Late, Late]]] = {
    "in time": (Arrival(), dict.fromkeys(Late, Late.SPEAK)),
    "late": (Arrival(is_late=True), AS_THE_TOOL_SAYS),
    "cancelled": (Arrival(is_unwanted=True), dict.fromkeys(Late, Late.SILENT)),
    "late and cancelled": (Arrival(is_late=True, is_unwanted=True), dict.fromkeys(Late, Late.SILENT)),
    "cancelled, and done": (Arrival(is_unwanted=True, is_action=True), dict.fromkeys(Late, Late.SPEAK)),
    "late, cancelled, and done": (Arrival(is_late=True, is_unwanted=True, is_action=True), AS_THE_TOOL_SAYS),
    "out of date": (Arrival(age=STALE + 0.1), dict.fromkeys(Late, Late.SILENT)),
    "just in date": (Arrival(age=STALE), dict.fromkeys(Late, Late.SPEAK)),
}


@pytest.mark.parametrize(("arrival", "ways"), WAYS.values(), ids=WAYS)
def test_a_result_is_brought_up_as_the_tool_says_if_it_is_late_and_wanted(
    arrival: Arrival, ways: dict[Late, Late]
) -> None:
    assert {
        late: way_to_tell(succeeded("done"), ToolBehavior(late=late, drop_after=STALE), arrival) for late in Late
    } == ways


# — from when on it is told —

LANDED, NEVER_QUIET = 1_000.0, 2_000.0
MOMENTS: dict[str, tuple[dict[str, Any], Call | None, float, float]] = {
    "both sides have been quiet for long": ({}, None, 0.0, 0.0),
    "one side has just spoken": ({"spoke_at": LANDED - 0.4}, None, 0.0, 0.6),
    "the model still plays": ({"plays_until": LANDED + 4.0}, None, 0.0, 5.0),
    "both sides talk on and on": ({"spoke_at": NEVER_QUIET}, None, 0.0, 20.0),
    "a call of its response runs": ({}, Call("b", "weather", response_id="R1"), 0.25, 0.0),
    "the client answers a call of its response": (
        {"spoke_at": NEVER_QUIET},
        Call("b", "look_up", Owner.CLIENT, response_id="R1"),
        CLIENT_ANSWERS_SECONDS,
        CLIENT_ANSWERS_SECONDS,
    ),
}
"""What happens, what else runs, and the seconds until a result is told: soon, or in a quiet moment."""


@pytest.mark.parametrize(("state", "sibling", "soon", "quiet"), MOMENTS.values(), ids=MOMENTS)
def test_a_result_is_told_from_this_moment_on(
    state: dict[str, float], sibling: Call | None, soon: float, quiet: float
) -> None:
    for late, seconds in ((Late.SPEAK, soon), (Late.WHEN_QUIET, quiet)):
        scheduler = ResponseScheduler(CallTable(), UserTurns(), gather_seconds=0.25, quiet_seconds=1.0, hold_seconds=20)
        if sibling is not None:
            scheduler.calls.add(replace(sibling))
        for name, value in state.items():
            setattr(scheduler, name, value)
        call = scheduler.calls.add(Call("a", "weather", response_id="R1"))
        call.land(LANDED, late)
        assert due_at(call, scheduler) - LANDED == pytest.approx(seconds)


# — what the user hears —


def mannered(**behavior: Any) -> Script:
    """R1 asked for `a`, of a tool with these manners, and is over."""
    script = Script(replace(WEATHER, behavior=ToolBehavior.from_data(behavior))).opened()
    script.model(created("R1"), call("a"), done("R1"))
    return script


def interrupted(**behavior: Any) -> Script:
    """The same; and then the user said something else, which was answered by R2."""
    script = mannered(**behavior)
    script.model(STARTED, STOPPED, created("R2"), done("R2"))
    return script


def test_a_result_in_time_is_told_at_once_whatever_its_lateness_would_mean() -> None:
    for late in ("speak", "when_quiet", "silent"):
        assert mannered(late=late).deliver("a") == [OUTPUT, SPEAK]


def test_a_late_result_is_in_the_conversation_at_once_and_told_when_both_sides_have_been_quiet() -> None:
    script = interrupted()
    assert script.deliver("a") == [OUTPUT]
    assert script.wait(QUIET - 0.01) == []
    assert script.wait(0.02) == [SPEAK]


def test_a_late_result_that_is_to_be_told_soon_waits_for_nothing_but_the_user() -> None:
    assert interrupted(late="speak").deliver("a") == [OUTPUT, SPEAK]


def test_a_silent_one_is_never_brought_up() -> None:
    script = interrupted(late="silent")
    assert script.deliver("a") == [OUTPUT]
    assert script.wait(600) == []


def test_a_result_waits_for_what_the_model_says_to_be_heard_to_its_end() -> None:
    script = interrupted()
    script.model({"type": "response.output_item.added", "item": {}})
    script.conversation._scheduler.heard_audio(4.0, script.now)
    script.deliver("a")
    assert script.wait(4.0 + QUIET - 0.01) == []
    assert script.wait(0.02) == [SPEAK]


def test_one_who_talks_on_and_on_hears_it_when_it_has_waited_for_long_enough() -> None:
    script = interrupted()
    script.deliver("a")
    landed, told_at = script.now, 0.0
    for number in range(40):  # each side takes a turn, and neither is ever quiet for long
        script.model(STARTED)
        script.now += 0.4
        # The server has not said that it has the result, so none of these is known to have told it.
        if SPEAK in script.model(STOPPED, created(f"R{number}1"), done(f"R{number}1")):
            told_at = told_at or script.now
        script.now += 0.3
    assert landed + HOLD <= told_at <= landed + HOLD + 0.7


def test_a_response_of_the_users_own_turn_that_has_seen_it_tells_it() -> None:
    script = interrupted()
    script.deliver("a")
    script.model(echo("a"), STARTED, STOPPED, created("R3"), done("R3"))
    assert script.wait(600) == []


def test_a_typed_word_is_a_turn_as_well() -> None:
    script = mannered()
    content = [{"type": "input_text", "text": "never mind"}]
    script.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert script.deliver("a") == [OUTPUT]


def test_push_to_talk_is_a_turn_as_well() -> None:
    script = mannered()
    script.model({"type": "input_audio_buffer.committed", "item_id": "item_u"})
    assert script.deliver("a") == [OUTPUT]


def test_a_spoken_turn_counts_once() -> None:
    script = Script().opened()
    script.model(STARTED, STOPPED)
    script.model(created("R1"), call("a"), {"type": "input_audio_buffer.committed", "item_id": "item_u"}, done("R1"))
    assert script.deliver("a") == [OUTPUT, SPEAK]


def test_one_that_is_out_of_date_is_kept_from_the_model_and_not_brought_up() -> None:
    script = mannered(drop_after=5.0, cancellable=False)
    script.wait(5.1)
    assert script.deliver("a") == [OUTPUT]
    assert script.outputs["a"]["error"]["code"] == "out_of_date"
    assert script.wait(600) == []


def test_one_that_comes_before_that_is_told() -> None:
    script = mannered(drop_after=5.0, cancellable=False)
    script.wait(4.9)
    assert script.deliver("a") == [OUTPUT, SPEAK]
    assert script.outputs["a"] == {"sky": "clear"}


def test_an_error_is_never_out_of_date() -> None:
    script = mannered(drop_after=5.0, cancellable=False)
    script.wait(6)
    assert script.deliver("a", failed("no_such_city", "There is none.")) == [OUTPUT, SPEAK]


# — a response that fails —


def test_a_result_whose_telling_failed_is_told_after_a_pause_that_grows_until_it_is_told() -> None:
    script = mannered(cancellable=False)
    assert script.deliver("a") == [OUTPUT, SPEAK]
    assert script.model(echo("a"), created("R2"), done("R2", "failed"))[-1] == "client: response.done"
    assert script.wait(PAUSE_SECONDS - 0.01) == []
    assert script.wait(0.02) == [SPEAK]
    pauses = []
    for number in range(3, 9):
        script.model(created(f"R{number}"), done(f"R{number}", "failed"))
        failed_at = script.now
        while SPEAK not in script.wait(1.0):
            pass
        pauses.append(round(script.now - failed_at))
    assert pauses == [10, 20, 40, 60, 60, 60]
    script.model(created("R9"), done("R9"))
    assert script.wait(600) == []


def test_a_rate_limit_is_waited_for_as_long_as_the_server_says() -> None:
    script = mannered()
    script.deliver("a")
    limits = [
        {"name": "requests", "remaining": 5, "reset_seconds": 0.1},
        {"name": "tokens", "remaining": 0, "reset_seconds": 31.5},
    ]
    script.model(echo("a"), {"type": "rate_limits.updated", "rate_limits": limits}, created("R2"), done("R2", "failed"))
    assert script.wait(31.49) == []
    assert script.wait(0.02) == [SPEAK]


def test_the_answer_to_the_users_turn_tells_what_a_failed_response_did_not() -> None:
    script = mannered(cancellable=False)
    script.deliver("a")
    script.model(echo("a"), created("R2"), done("R2", "failed"), STARTED, STOPPED, created("R3"), done("R3"))
    assert script.wait(600) == []


def test_a_result_whose_telling_the_user_cut_short_is_not_told_again() -> None:
    script = mannered(cancellable=False)
    script.deliver("a")
    script.model(echo("a"), created("R2"), STARTED, done("R2", "cancelled"), STOPPED, created("R3"), done("R3"))
    assert script.wait(600) == []


# — who gets to see it —


def shown(*wants: str, **behavior: Any) -> Script:
    script = Script(replace(WEATHER, behavior=ToolBehavior.from_data(behavior)), wants=wants).opened()
    script.model(created("R1"), call("a"), done("R1"))
    return script


def test_a_result_for_the_screen_alone_is_shown_there_and_the_model_knows_only_that() -> None:
    script = shown("results", audience="client")
    assert script.deliver("a", succeeded({"rows": [1, 2]})) == [OUTPUT, "client: ringback.result", SPEAK]
    assert script.outputs["a"]["shown"] is True
    (event,) = script.to_client
    assert event["result"] == {"rows": [1, 2]}
    assert event["job"]["call_id"] == "a"
    assert event["job"]["tool"] == "weather"


def test_a_result_for_both_is_shown_and_told() -> None:
    script = shown("results", audience="both")
    assert script.deliver("a") == [OUTPUT, "client: ringback.result", SPEAK]
    assert script.outputs["a"] == {"sky": "clear"}


@pytest.mark.parametrize(("audience", "read"), [("client", "nowhere_to_show"), ("both", None)])
def test_where_no_client_wants_results_none_is_shown(audience: str, read: str | None) -> None:
    script = shown(audience=audience)
    assert script.deliver("a") == [OUTPUT, SPEAK]
    assert script.outputs["a"].get("error", {}).get("code") == read


def test_an_error_is_the_models_to_tell_whoever_the_result_is_for() -> None:
    script = shown("results", audience="client")
    assert script.deliver("a", failed("no_such_city", "There is none.")) == [OUTPUT, SPEAK]
    assert script.outputs["a"]["error"]["code"] == "no_such_city"


def test_a_long_result_is_cut_where_the_agent_says_and_the_model_is_told_how_much_is_missing() -> None:
    script = Script(max_result_chars=500).opened()
    script.model(created("R1"), call("a"), done("R1"))
    script.deliver("a", succeeded("x" * 2_000))
    (output,) = [event["item"]["output"] for event in script.to_model if event["type"] == "conversation.item.create"]
    assert len(output) <= 500
    assert output.endswith("[cut: 1548 more characters]")
