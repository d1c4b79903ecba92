"""When both sides spoke, as a talk tells it to the session's timeline."""

from __future__ import annotations

from tests.unit.gateway.conversation.script import STARTED, STOPPED, done
from tests.unit.gateway.conversation.turn_taking.talk import Talk


def test_a_talk_leaves_its_moments() -> None:
    script = Talk()
    script.opened()
    script.model(STARTED, STOPPED)
    script.answer("R1")
    script.wait(1.0)
    script.model(STARTED)
    script.truncates(900)
    script.model(done("R1", "cancelled"), STOPPED)
    script.client(type="conversation.item.create", item={"type": "message", "role": "user", "content": [TYPED]})
    script.client(type="response.create")
    script.leave()
    assert [(str(moment.kind), moment.detail) for moment in script.moments] == [
        ("client_came", "new"),
        ("epoch_began", "first"),
        ("user_began", None),
        ("user_ended", "heard"),
        ("response_began", "server"),
        ("response_spoke", "audio"),
        ("user_began", None),
        ("barge_in", None),
        ("response_ended", "cancelled"),
        ("response_played", "truncate"),
        ("user_ended", "heard"),
        ("user_typed", None),
        ("response_asked", "client"),
        ("client_left", "client_closed_1000"),
    ]
    barge_in = script.moments[7]
    assert (barge_in.response_id, round(barge_in.ms or 0)) == ("R1", 3_000)
    assert {moment.epoch for moment in script.moments} == {1}


TYPED = {"type": "input_text", "text": "Hello"}


def test_a_button_that_is_held_is_speech_from_its_first_audio_on() -> None:
    script = Talk()
    script.opened(audio={"input": {"turn_detection": None}})
    script.moments.clear()
    script.client(type="input_audio_buffer.append", audio="AAEC")
    pressed = script.now
    script.wait(2.0)
    script.client(type="input_audio_buffer.commit")
    told = [(str(moment.kind), moment.at, moment.detail) for moment in script.moments]
    assert told == [("user_began", pressed, None), ("user_ended", pressed + 2.0, "committed")]
