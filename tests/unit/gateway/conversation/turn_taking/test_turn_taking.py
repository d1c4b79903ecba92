"""When the model is asked to speak: one response at a time, never over the user, and nothing twice."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.conversation.speaker import HUNG_FACTOR
from gateway.conversation.turn_taking.pacing import CREATE_SECONDS
from gateway.conversation.turn_taking.user import CLIENT_ASKS_SECONDS, QUIET_LINE_SECONDS, SERVER_ANSWERS_SECONDS
from ringback.jobs.outcomes import failed
from ringback.tools.behavior import Late, ToolBehavior
from tests.unit.gateway.conversation.script import (
    GATHER,
    HEARD_STARTED,
    HEARD_STOPPED,
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

BEGAN, ENDED = "client: response.created", "client: response.done"
A_MOMENT = 0.01


def asked(*call_ids: str, **fields: object) -> Script:
    """A conversation whose response R1 asked for these calls and is over."""
    script = Script(**fields).opened()  # type: ignore[arg-type]
    script.model(created("R1"), *(call(call_id) for call_id in call_ids), done("R1"))
    return script


def asking(*call_ids: str) -> Script:
    """The same, while R1 still runs."""
    script = Script().opened()
    script.model(created("R1"), *(call(call_id) for call_id in call_ids))
    return script


def speaking(call_id: str = "a") -> tuple[Script, str]:
    """A conversation whose one result was sent, and our response.create with it; returns that event's id."""
    script = asked(call_id)
    assert script.deliver(call_id) == [f"model: output {call_id}", SPEAK]
    return script, script.last_create


# — the plain round —


def test_a_lone_result_is_spoken_about_at_once() -> None:
    script = asked("a")
    assert script.deliver("a") == ["model: output a", SPEAK]
    assert script.model(echo("a"), created("R2"), done("R2")) == ["acknowledge", BEGAN, ENDED]
    assert script.wait(60) == []


def test_a_result_is_sent_while_a_response_runs_and_spoken_about_after_it() -> None:
    script = asking("a")
    assert script.deliver("a") == ["model: output a"]
    assert script.wait(60) == []
    assert script.model(done("R1")) == [ENDED, SPEAK]


def test_an_error_is_spoken_about_as_well() -> None:
    script = asked("a")
    assert script.deliver("a", failed("broken", "It broke.")) == ["model: output a", SPEAK]


# — gathering —


def test_results_that_land_together_share_one_create() -> None:
    script = asked("a", "b", "c")
    assert script.deliver("b") == ["model: output b"]
    assert script.deliver("a") == ["model: output a"]
    assert script.deliver("c") == ["model: output c", SPEAK]
    assert script.model(created("R2"), echo("b"), echo("a"), echo("c"), done("R2"))[-1] == ENDED
    assert script.wait(60) == []


def test_results_that_land_while_a_response_runs_share_one_create() -> None:
    script = asking("a", "b", "c")
    for call_id in ("a", "b", "c"):
        assert script.deliver(call_id) == [f"model: output {call_id}"]
    assert script.model(done("R1")) == [ENDED, SPEAK]


def test_a_slow_sibling_holds_nobody_up_beyond_the_gather_time() -> None:
    script = asked("a", "slow")
    script.deliver("a")
    assert script.wait(GATHER - A_MOMENT) == []
    assert script.wait(A_MOMENT) == [SPEAK]
    script.model(echo("a"), created("R2"), done("R2"))
    assert script.deliver("slow") == ["model: output slow", SPEAK]


def test_siblings_that_trickle_in_do_not_put_it_off_again_and_again() -> None:
    script = asked("a", "b", "c", "d", "slow")
    waited: list[str] = []
    for call_id in ("a", "b", "c", "d"):
        waited += [line for line in script.deliver(call_id) if line == SPEAK]
        waited += script.wait(GATHER * 0.4)
    assert waited == [SPEAK], "a result waits for its siblings once, from when it landed"


def test_a_result_of_another_turn_waits_for_no_siblings_and_takes_the_others_along() -> None:
    script = asked("a", "slow")
    script.model(created("R2"), call("b", "R2"), done("R2"))
    script.deliver("a")
    assert script.deliver("b") == ["model: output b", SPEAK]
    script.model(echo("a"), echo("b"), created("R3"), done("R3"))
    assert script.wait(60) == []


def test_refused_siblings_share_one_create_as_well() -> None:
    script = Script().opened()
    script.model(created("R1"), call("a", name="nothing"), call("b", arguments="no"), done("R1"))
    assert script.deliver("a", failed("unknown_tool", "No.")) == ["model: output a"]
    assert script.deliver("b", failed("invalid_arguments", "No.")) == ["model: output b", SPEAK]


def test_without_a_gather_time_nobody_waits() -> None:
    script = asked("a", "b", gather_seconds=0)
    assert script.deliver("a") == ["model: output a", SPEAK]


# — what a response has seen —


def test_a_response_that_began_after_the_echo_has_seen_the_result() -> None:
    script = asking("a")
    script.deliver("a")
    # The user spoke in between: the server's own response comes before we could ask for one.
    script.model(STARTED, done("R1", "cancelled"), echo("a"), STOPPED)
    assert script.model(created("R2"), done("R2")) == [BEGAN, ENDED]
    assert script.wait(60) == []


def test_a_response_that_began_before_the_echo_has_not() -> None:
    script = asking("a")
    script.deliver("a")
    script.model(STARTED, done("R1", "cancelled"), STOPPED)
    assert script.model(created("R2"), echo("a"), done("R2")) == [BEGAN, "acknowledge", ENDED, SPEAK]


def test_a_result_sent_after_the_create_is_not_taken_for_seen() -> None:
    script = asked("a")
    script.model(created("R0"), call("b", "R0"), done("R0"))
    script.deliver("a")
    create = script.last_create
    assert script.deliver("b") == ["model: output b"], "the slot is taken"
    # The server reads in order: our create began R2 before it ever saw b.
    assert script.model(echo("a"), created("R2"), echo("b"), done("R2"))[-1] == SPEAK
    assert script.last_create != create


def test_a_second_create_is_not_sent_before_the_first_has_begun() -> None:
    script, _ = speaking()
    script.model(call("b"))
    assert script.deliver("b") == ["model: output b"]
    assert script.wait(CREATE_SECONDS - A_MOMENT) == []


def test_a_create_that_neither_began_nor_was_refused_is_sent_again_in_the_end() -> None:
    script, first = speaking()
    script.wait(A_MOMENT)
    script.model({"type": "rate_limits.updated", "rate_limits": []})
    assert script.wait(CREATE_SECONDS) == [SPEAK]
    assert script.last_create != first


def test_a_server_that_says_nothing_at_all_after_it_was_asked_to_speak_is_left_once() -> None:
    script, _ = speaking()
    assert script.wait(HUNG_FACTOR * CREATE_SECONDS) == [SPEAK, "reopen: upstream_hung"]
    assert script.conversation.carry(script.now).user_waits, "the next conversation is asked to speak"


# — the user speaks —


def test_nothing_is_asked_for_while_the_user_speaks() -> None:
    script = asked("a")
    assert script.model(STARTED) == [HEARD_STARTED]
    assert script.deliver("a") == ["model: output a"], "the result itself does not wait"
    assert script.wait(QUIET_LINE_SECONDS - A_MOMENT) == []


def test_a_lost_end_of_speech_does_not_silence_the_model_for_ever() -> None:
    script = asked("a")
    script.model(STARTED)
    script.deliver("a")
    assert script.wait(QUIET_LINE_SECONDS) == [SPEAK]


def test_the_servers_own_answer_to_the_user_is_waited_for_and_not_doubled() -> None:
    script = asked("a")
    script.model(STARTED)
    script.deliver("a")
    assert script.model(echo("a"), STOPPED) == ["acknowledge", HEARD_STOPPED]
    assert script.wait(SERVER_ANSWERS_SECONDS - A_MOMENT) == []
    assert script.model(created("R2"), done("R2")) == [BEGAN, ENDED]
    assert script.wait(60) == []


def test_a_server_that_does_not_answer_the_user_after_all_is_asked() -> None:
    script = asked("a")
    script.model(STARTED)
    script.deliver("a")
    script.model(echo("a"), STOPPED)
    assert script.wait(SERVER_ANSWERS_SECONDS) == [SPEAK]


@pytest.mark.parametrize(
    "session",
    [
        {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {}}, "turn_detection": None},
    ],
    ids=["create_response is false", "turn detection is off", "off, as xAI says it"],
)
def test_where_the_server_makes_no_answer_of_its_own_none_is_waited_for(session: dict[str, object]) -> None:
    script = Script(replace(WEATHER, behavior=ToolBehavior(late=Late.SPEAK))).opened(**session)
    script.model(created("R1"), call("a"), done("R1"), STARTED)
    script.deliver("a")
    assert script.model(STOPPED) == [HEARD_STOPPED]
    assert script.wait(CLIENT_ASKS_SECONDS) == [SPEAK], "the client has had a moment to ask"


def test_an_idle_time_out_counts_as_a_turn_of_the_user() -> None:
    script = asked("a")
    script.model({"type": "input_audio_buffer.timeout_triggered", "item_id": "item_u"})
    assert script.deliver("a") == ["model: output a"]
    assert script.model(echo("a"), created("R2"), done("R2"))[-1] == ENDED
    assert script.wait(60) == []


def test_a_barge_in_loses_no_result() -> None:
    script, _ = speaking()
    script.model(echo("a"), created("R2"))
    script.model(call("b", "R2"), STARTED, done("R2", "cancelled"))
    assert script.deliver("b") == ["model: output b"], "the work went on, and its result is in the conversation"
    script.model(STOPPED)
    assert script.model(created("R3"), echo("b"), done("R3"))[-1] == ENDED, "the user has asked for something else"
    assert script.wait(QUIET) == [SPEAK], "and now that nobody speaks, it is told"


# — what takes no slot —


def test_an_out_of_band_response_takes_no_slot() -> None:
    script = asked("a")
    script.model(created("R9", conversation_id=None))
    assert script.deliver("a") == ["model: output a", SPEAK]


def test_the_end_of_an_out_of_band_response_frees_nothing() -> None:
    script = asking("a")
    script.deliver("a")
    out_of_band = done("R9")
    out_of_band["response"]["conversation_id"] = None
    assert script.model(out_of_band) == [ENDED]


def test_a_server_that_names_no_conversation_has_only_the_one() -> None:
    script = asked("a")
    script.model({"type": "response.created", "response": {"id": "R2"}})
    assert script.deliver("a") == ["model: output a"]


def test_a_server_that_echoes_no_item_is_spoken_to_once_all_the_same() -> None:
    script, _ = speaking()
    assert script.model(created("R2"), done("R2")) == [BEGAN, ENDED]
    assert script.wait(60) == []
