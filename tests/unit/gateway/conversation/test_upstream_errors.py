"""Errors of an open conversation at servers that name neither code nor event as OpenAI's do."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS
from gateway.conversation.upstream_errors import CALL_OPEN, REFUSED, is_refusal
from gateway.upstream.events import UpstreamError
from gateway.upstream.realtime_events import code_of
from tests.unit.gateway.conversation.script import SPEAK, Script, call, created, done, updated

Event = dict[str, Any]

FAST: Event = {"audio": {"output": {"speed": 1.2}}}
SLOW: Event = {"audio": {"output": {"speed": 0.8}}}
OF_OURS: dict[str, Event] = {
    "by its code": {"type": "invalid_request_error", "code": REFUSED},
    "by its type": {"type": REFUSED, "code": None},
    "by its type alone": {"type": REFUSED},
}
OTHERS: dict[str, Event] = {
    "a collision": {"code": REFUSED},
    "a collision by its type": {"type": REFUSED},
    "nothing to cancel": {"code": "response_cancel_not_active"},
    "nothing to commit": {"code": "input_audio_buffer_commit_empty"},
    "a call without an end": {"code": CALL_OPEN},
    "an item": {"code": "invalid_value", "param": "item.content[0].text"},
    "a place to cut": {"code": "invalid_value", "param": "audio_end_ms"},
    "a response": {"code": "invalid_value", "param": "response.output_modalities"},
    "a piece of audio": {"code": "invalid_value", "param": "audio"},
}


def error(said: Event) -> Event:
    return {"type": "error", "error": {"message": "No.", **said}}


def answering() -> Script:
    """A result was told to the model, which is asked to speak of it."""
    script = Script().opened()
    script.model(created("R1"), call("a"), done("R1"))
    assert script.deliver("a") == ["model: output a", SPEAK]
    return script


@pytest.mark.parametrize("said", OF_OURS.values(), ids=OF_OURS)
def test_a_collision_is_routine_however_it_is_named(said: Event) -> None:
    script = answering()
    assert script.model(error(said)) == [], "the client hears nothing"
    script.model(created("R2"), done("R2"))
    assert script.wait(0) == [] or script.seen == [SPEAK]


def test_who_may_not_speak_while_a_call_has_no_answer_asks_again_later() -> None:
    script = answering()
    assert script.model(error({"type": CALL_OPEN})) == []
    assert script.wait(PAUSE_SECONDS) == [SPEAK]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"code": 400}, "400"),
        ({"code": "invalid_value", "type": REFUSED}, "invalid_value"),
        ({"code": "", "type": REFUSED}, REFUSED),
        ({"type": "server_error"}, None),
        ({"type": "invalid_request_error"}, None),
        ({}, None),
    ],
)
def test_the_code_of_an_error_is_its_code_or_else_its_type(said: Event, code: str | None) -> None:
    assert code_of(said) == code


@pytest.mark.parametrize(("status", "refuses"), [(400, True), (404, True), (408, False), (429, False), (500, False)])
def test_a_status_of_http_says_whether_it_may_pass(status: int, refuses: bool) -> None:
    assert is_refusal(UpstreamError(code=code_of({"code": status}))) is refuses


def test_an_error_with_a_number_for_a_code_is_read_and_shown_as_text() -> None:
    script = Script().opened()
    script.client(type="input_audio_buffer.commit", event_id="mine")
    assert script.model(error({"code": 400, "event_id": "mine"}))[0] == "client: error"
    assert script.to_client[0]["error"]["code"] == "400"


# — an error that names no event, while updates are under way —


@pytest.mark.parametrize("said", [{"code": "invalid_value"}, {"code": None}, {"type": "server_error"}, {"code": 400}])
def test_what_was_refused_without_a_name_is_not_set(said: Event) -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST)
    assert script.model(error(said))[0] == "client: error"
    script.model(updated(script))
    carried = script.conversation.carry(script.now)
    assert carried.client_session == {}
    assert carried.resend_buffer.again() == [], "nor asked for by the next conversation"


def test_updates_are_refused_in_their_order() -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST)
    script.client(type="session.update", session=SLOW)
    script.model(error({"code": "unsupported"}))
    script.model(updated(script, **SLOW))
    assert script.conversation.carry(script.now).client_session == SLOW


def test_an_update_that_is_shown_to_be_in_force_was_not_refused() -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST)
    script.model(error({"type": "invalid_request_error", "message": "`session.include` is not known here."}))
    script.model(updated(script, audio={"output": {"speed": 1.2, "voice": "marin"}}))
    assert script.conversation.carry(script.now).client_session == FAST


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_an_error_that_is_known_to_be_about_another_event_refuses_no_update(said: Event) -> None:
    script = Script().opened()
    script.client(type="session.update", session=FAST)
    script.model(error(said))
    script.model(updated(script))
    assert script.conversation.carry(script.now).client_session == FAST
