"""Somebody else was faster: our response.create, the server's own response and the client's, in every order."""

from __future__ import annotations

import pytest

from gateway.conversation.turn_taking.pacing import CREATE_SECONDS, PAUSE_SECONDS
from gateway.conversation.turn_taking.scheduler import MAX_WAITING
from tests.unit.gateway.conversation.script import (
    SPEAK,
    STARTED,
    STOPPED,
    Script,
    created,
    done,
    echo,
    refused,
)
from tests.unit.gateway.conversation.turn_taking.test_turn_taking import A_MOMENT, BEGAN, ENDED, asking, speaking


@pytest.mark.parametrize("named", [True, False], ids=["our event id", "a null event id"])
def test_a_refused_create_is_sent_again_when_the_slot_is_free(named: bool) -> None:
    """VAD's response began first, and its `response.created` comes first as well."""
    script, create = speaking()
    assert script.model(created("R2"), refused(create if named else None)) == [BEGAN]
    assert script.model(echo("a")) == ["acknowledge"]
    assert script.wait(60) == [], "R2 runs"
    assert script.model(done("R2")) == [ENDED, SPEAK]


@pytest.mark.parametrize("named", [True, False], ids=["our event id", "a null event id"])
def test_a_refusal_that_comes_before_the_other_response_does_no_harm(named: bool) -> None:
    script, create = speaking()
    assert script.model(refused(create if named else None)) == []
    assert script.model(created("R2"), echo("a")) == [BEGAN, "acknowledge"]
    assert script.model(done("R2")) == [ENDED, SPEAK]


@pytest.mark.parametrize("named", [True, False], ids=["our event id", "a null event id"])
def test_a_refused_create_is_not_sent_again_where_the_other_response_saw_the_result(named: bool) -> None:
    script, create = speaking()
    assert script.model(echo("a"), created("R2"), refused(create if named else None)) == ["acknowledge", BEGAN]
    assert script.model(done("R2")) == [ENDED]
    assert script.wait(60) == []


@pytest.mark.parametrize("named", [True, False], ids=["our event id", "a null event id"])
def test_a_refusal_may_come_a_whole_response_late(named: bool) -> None:
    """The user spoke, was answered and spoke again while our create was on its way."""
    script, create = speaking()
    script.model(created("R2"), STARTED, done("R2", "cancelled"), STOPPED, created("R3"), echo("a"))
    assert script.model(refused(create if named else None)) == []
    assert script.model(done("R3")) == [ENDED, SPEAK], "neither R2 nor R3 had seen the result"


def test_a_late_refusal_brings_nothing_back_that_was_seen_meanwhile() -> None:
    script, create = speaking()
    script.model(created("R2"), echo("a"), STARTED, done("R2", "cancelled"), STOPPED, created("R3"))
    script.model(refused(create))
    assert script.model(done("R3")) == [ENDED]
    assert script.wait(60) == []


def test_a_refusal_with_no_response_in_sight_is_tried_again_after_a_while() -> None:
    script, create = speaking()
    assert script.model(refused(create)) == []
    assert script.wait(PAUSE_SECONDS - A_MOMENT) == []
    assert script.wait(A_MOMENT) == [SPEAK]


def test_the_end_of_a_response_that_we_never_saw_begin_ends_the_wait() -> None:
    script, create = speaking()
    script.model(refused(create))
    assert script.model(done("R7")) == [ENDED, SPEAK]


def test_the_end_of_an_older_response_frees_nothing() -> None:
    script, create = speaking()
    script.model(created("R2"), refused(create))
    assert script.model(done("R1", "cancelled")) == [ENDED], "R2 runs"
    assert script.model(done("R2")) == [ENDED, SPEAK]


def test_a_clients_create_takes_the_slot() -> None:
    script = asking("a")
    script.model(done("R1"))
    script.client(type="response.create")
    assert script.deliver("a") == ["model: output a"]
    assert script.model(created("R2"), echo("a"), done("R2"))[-1] == SPEAK, "R2 began before the result"


@pytest.mark.parametrize("event_id", ["mine", None], ids=["its own event id", "one of ours"])
def test_a_clients_create_that_was_wrong_gives_the_slot_back(event_id: str | None) -> None:
    script = asking("a")
    script.model(done("R1"))
    script.client(type="response.create", **({"event_id": event_id} if event_id else {}))
    sent = script.to_model[0]["event_id"]
    assert script.deliver("a") == ["model: output a"]
    assert script.model(refused(sent, "invalid_value")) == ["client: error", "warn", SPEAK]


def test_a_create_of_ours_that_was_wrong_is_sent_again_after_a_pause() -> None:
    script, create = speaking()
    assert script.model(refused(create, "server_error")) == ["warn"]
    assert script.wait(PAUSE_SECONDS - A_MOMENT) == []
    assert script.wait(A_MOMENT) == [SPEAK]


# — the client asks as well: its create waits for the slot, and is never refused for what the gateway did —


def test_a_clients_create_that_waited_for_the_response_before_tells_what_landed_meanwhile() -> None:
    script = asking("a")
    script.deliver("a")
    assert script.client(type="response.create", event_id="mine") == [], "R1 is active"
    assert script.model(done("R1")) == [ENDED, SPEAK]
    assert script.last_create == "mine"
    assert script.model(created("R2"), echo("a"), done("R2")) == [BEGAN, "acknowledge", ENDED]
    assert script.wait(60) == []


def test_a_clients_create_waits_while_a_result_is_told_and_goes_out_as_it_came() -> None:
    script, _ = speaking()
    wanted = {"output_modalities": ["text"]}
    assert script.client(type="response.create", event_id="mine", response=wanted) == []
    assert script.model(created("R2"), echo("a")) == [BEGAN, "acknowledge"]
    assert script.model(done("R2")) == [ENDED, SPEAK]
    (create,) = script.to_model
    assert (create["event_id"], create["response"]) == ("mine", wanted)


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless refusal"])
def test_a_clients_create_waits_on_when_ours_was_refused(named: bool) -> None:
    """The user's turn was answered by the server itself; then it is the client's turn to be answered."""
    script, create = speaking()
    script.client(type="response.create", event_id="mine")
    assert script.model(created("R2"), refused(create if named else None), echo("a")) == [BEGAN, "acknowledge"]
    assert script.model(done("R2")) == [ENDED, SPEAK]
    assert script.last_create == "mine"
    assert script.model(created("R3"), done("R3")) == [BEGAN, ENDED], "and R3 has told the result"
    assert script.wait(60) == []


def test_two_creates_of_the_client_are_answered_one_after_the_other() -> None:
    script, _ = speaking()
    for name in ("first", "second"):
        assert script.client(type="response.create", event_id=name) == []
    sent = []
    for number in range(2, 5):
        script.model(created(f"R{number}"))
        script.model(done(f"R{number}"))
        sent += [event["event_id"] for event in script.to_model]
    assert sent == ["first", "second"]


def test_a_client_that_asks_without_end_hears_that_the_model_is_speaking() -> None:
    script, _ = speaking()
    for _ in range(MAX_WAITING):
        assert script.client(type="response.create") == []
    assert script.client(type="response.create", event_id="mine") == ["client: error"]
    (told,) = script.to_client
    assert told["error"]["code"] == "conversation_already_has_active_response"


def test_a_create_of_ours_that_was_given_up_and_comes_late_costs_the_client_nothing() -> None:
    """The server is slower than it ever was: the client's create, sent meanwhile, meets the gateway's response."""
    script, ours = speaking()
    script.model({"type": "rate_limits.updated"})
    script.client(type="response.create", event_id="mine")
    assert script.wait(CREATE_SECONDS) == [SPEAK]
    late = created("R2")
    late["response"]["metadata"] = {"ringback": ours}
    assert script.model(late, refused("mine")) == [BEGAN], "no error: the gateway was in the way"
    assert script.model(done("R2"))[-1] == SPEAK
    assert script.last_create == "mine"


def test_a_clients_create_that_the_servers_own_response_was_in_the_way_of_is_the_clients_to_repeat() -> None:
    script = Script().opened()
    assert script.client(type="response.create", event_id="mine") == [SPEAK]
    assert script.model(created("R1"), refused("mine")) == [BEGAN, "client: error"]
