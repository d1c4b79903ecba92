"""How long a session may last, when nobody is there any more, and what its responses cost."""

from __future__ import annotations

from math import inf

from gateway.conversation.actions import CheckBudget, RecordUsage
from gateway.conversation.reconnect.replay import ConversationHistory
from tests.unit.gateway.conversation.script import STARTED, STOPPED, Script, call, created, done, updated

USAGE = {"input_tokens": 10, "output_tokens": 20}


def test_a_session_that_has_lasted_as_long_as_it_may_is_over() -> None:
    script = Script(max_session_seconds=60).opened()
    script.client(type="input_audio_buffer.clear")
    assert script.wait(59) == []
    script.client(type="input_audio_buffer.clear")
    assert script.wait(2) == ["close 4408 too_long"]
    assert script.conversation.wake_at(script.now) == inf


def test_a_session_in_which_the_user_says_nothing_is_over() -> None:
    script = Script(max_idle_seconds=30).opened()
    for _ in range(3):
        assert script.wait(20) == []
        script.client(type="input_audio_buffer.append", audio="AAAA")
        if script.now < 1_050:
            script.client(type="input_audio_buffer.commit")
    assert script.wait(20) == ["close 4408 idle"]


def next_epoch(script: Script) -> Script:
    """Dialled while the old one goes on."""
    fresh = Script(max_idle_seconds=30, carried=script.conversation.carry(script.now))
    fresh.now = script.now
    fresh.model({"type": "session.created", "session": {}}, updated(fresh))
    return fresh


def taken_over(fresh: Script, script: Script) -> Script:
    fresh.now = script.now
    fresh.conversation.take_over(script.conversation.carry(script.now))
    fresh._do(fresh.conversation.remember(ConversationHistory(), fresh.now))
    return fresh


def test_a_new_epoch_is_no_sign_of_life() -> None:
    script = Script(max_idle_seconds=30).opened()
    script.model(STARTED, STOPPED)
    script.wait(20)
    fresh = taken_over(next_epoch(script), script)
    fresh.model({"type": "rate_limits.updated"})
    assert fresh.wait(9) == []
    assert fresh.wait(2) == ["close 4408 idle"]


def test_who_took_part_while_the_next_epoch_was_dialled_is_there() -> None:
    script = Script(max_idle_seconds=30).opened()
    script.wait(25)
    fresh = next_epoch(script)
    script.wait(4)
    script.client(type="input_audio_buffer.commit")
    taken_over(fresh, script)
    assert fresh.wait(20) == []


def test_who_begins_to_speak_is_there() -> None:
    script = Script(max_idle_seconds=30).opened()
    script.wait(20)
    script.model({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0})
    assert script.wait(20) == []


def test_nobody_is_idle_while_a_function_runs_for_them_or_the_model_speaks() -> None:
    script = Script(max_idle_seconds=30).opened()
    script.model(created("R1"))
    script.now += 31
    assert script.conversation.tick(script.now) == []
    script.model(call("a"), done("R1"))
    script.now += 31
    assert not any(told.startswith("close") for told in script._do(script.conversation.tick(script.now)))
    script.deliver("a")
    script.now += 61
    assert "close 4408 idle" in script._do(script.conversation.tick(script.now))


def test_each_response_is_checked_as_it_begins_and_written_down_when_it_ends() -> None:
    script = Script().opened()
    script.model(created("R1"))
    assert CheckBudget("R1") in script.actions
    ended = done("R1")
    ended["response"]["usage"] = USAGE
    script.model(ended)
    assert RecordUsage("R1", USAGE, "completed") in script.actions


def test_a_response_out_of_band_costs_as_well() -> None:
    script = Script().opened()
    script.model(created("R1", conversation_id=None))
    assert CheckBudget("R1") in script.actions


def test_a_response_that_tells_no_usage_has_used_nothing_and_is_over_all_the_same() -> None:
    script = Script().opened()
    script.model(created("R1"), done("R1"))
    assert RecordUsage("R1", {}, "completed") in script.actions


def test_when_nothing_is_left_the_response_is_stopped_the_client_told_and_the_session_over() -> None:
    script = Script().opened()
    script.model(created("R1"))
    told = script._do(script.conversation.budget_spent("Nothing is left for today.", script.now))
    assert told == ["model: response.cancel", "client: error", "close 4402 budget_spent"]
    assert script.to_model[0]["response_id"] == "R1"
    assert script.to_client[0]["error"]["code"] == "insufficient_quota"
    assert script.to_client[0]["error"]["message"] == "Nothing is left for today."


def test_a_budget_that_is_found_used_up_twice_stops_one_response_and_is_told_once() -> None:
    """The usage of one response uses it up, and the next response begins before the session is over."""
    script = Script().opened()
    script.model(created("R1"))
    script._do(script.conversation.budget_spent("Nothing is left for today.", script.now))
    assert script._do(script.conversation.budget_spent("Nothing is left for today.", script.now)) == []


def test_when_nothing_is_left_and_nobody_speaks_nothing_is_stopped_and_nothing_said_any_more() -> None:
    script = Script().opened()
    script.model(created("R1"), call("a"), done("R1"))
    assert script._do(script.conversation.budget_spent("No.", script.now)) == [
        "client: error",
        "close 4402 budget_spent",
    ]
    assert not any("response.create" in told for told in script.deliver("a"))


def test_calls_of_one_session_are_counted_by_the_minute() -> None:
    script = Script(max_calls_per_minute=2, max_calls_per_turn=100, max_calls_unheard=100).opened()
    script.model(created("R1"))
    assert script.model(call("a")) == ["record a"]
    assert script.model(call("b", arguments='{"city": "Rome"}')) == ["record b"]
    assert script.model(call("c", arguments='{"city": "Bern"}')) == ["refuse c: too_many_calls"]
    script.now += 61
    assert script.model(call("d", arguments='{"city": "Wien"}'))[0] == "record d"
