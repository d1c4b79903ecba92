"""Somebody else was faster: our response.create, the server's own response and the client's, in every order."""

from __future__ import annotations

import pytest

from gateway.conversation.floor import (
    BLOCKED_SECONDS,
    RESERVED_SECONDS,
)
from tests.unit.gateway.conversation.script import (
    SPEAK,
    STARTED,
    STOPPED,
    created,
    done,
    echo,
    refused,
)
from tests.unit.gateway.conversation.test_floor import A_MOMENT, BEGAN, ENDED, asking, speaking


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
    assert script.wait(BLOCKED_SECONDS - A_MOMENT) == []
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


def test_a_create_of_ours_that_was_wrong_is_not_sent_again_at_once() -> None:
    script, create = speaking()
    script.wait(A_MOMENT)
    assert script.model(refused(create, "server_error")) == ["warn"]
    assert script.wait(RESERVED_SECONDS - 2 * A_MOMENT) == []
    assert script.wait(A_MOMENT) == [SPEAK]


def test_a_clients_create_that_was_sent_after_the_result_tells_it() -> None:
    script = asking("a")
    script.deliver("a")
    script.client(type="response.create", event_id="mine")
    assert script.model(done("R1")) == [ENDED], "the client's create is under way"
    assert script.model(created("R2"), done("R2")) == [BEGAN, ENDED]
    assert script.wait(60) == []


@pytest.mark.parametrize("event_id", ["mine", None], ids=["named", "nameless refusal"])
def test_a_clients_collision_with_our_response_makes_us_say_nothing_twice(event_id: str | None) -> None:
    script, _ = speaking()
    script.client(type="response.create", event_id="mine")
    assert script.model(created("R2"), refused(event_id)) == [BEGAN, "client: error"]
    assert script.model(echo("a"), done("R2")) == ["acknowledge", ENDED]
    assert script.wait(60) == []


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless refusals"])
def test_two_refused_creates_are_each_told_to_their_own(named: bool) -> None:
    script, create = speaking()
    script.client(type="response.create", event_id="mine")
    lines = script.model(created("R2"), refused(create if named else None), refused("mine" if named else None))
    assert sorted(lines) == ["client: error", BEGAN]
    assert script.model(echo("a"), done("R2")) == ["acknowledge", ENDED, SPEAK]
