"""A conversation beside a call: no audio comes, the server plays it to the caller and says when, and others may have
been beside it before."""

from __future__ import annotations

import pytest

from gateway.conversation.actions import Acknowledge, SendToModel
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.upstream_errors import DOUBT_SECONDS
from ringback.jobs.states import HeardBy
from ringback.moments import MomentKind
from ringback.statements.sessions.items import Message
from tests.unit.gateway.conversation.script import STARTED, Script, call, created, done, echo, job_of, updated
from tests.unit.gateway.conversation.turn_taking.talk import Talk, message


def beside() -> Talk:
    """A call with a result that the model was asked to tell."""
    script = Talk(joins=True)
    script.opened()
    script.model(created("R1"), call("a"))
    (record,) = script.records
    script.model(done("R1"))
    script.recorded(record)
    script.deliver("a")
    script.model(echo("a"))
    script.wait(1.0)
    script.moments.clear()
    return script


def played(kind: str, response: str = "R2") -> dict[str, str]:
    return {"type": f"output_audio_buffer.{kind}", "response_id": response}


def says(script: Talk, ends: str = "completed") -> None:
    """The model says the result: its words come, and no audio."""
    item = {"type": "response.output_item.added", "response_id": "R2", "item": message("item_2")}
    words = {"type": "response.output_audio_transcript.delta", "response_id": "R2", "item_id": "item_2", "delta": "So"}
    script.model(created("R2"), item, words)
    if ends:
        script.model(done("R2", ends))


def test_what_the_server_plays_to_its_end_is_spoken_and_heard() -> None:
    script = beside()
    says(script)
    script.model(played("started"))
    assert [told.heard_by for told in script.told] == [None], "spoken as it is begun to be played"
    script.wait(3.0)
    script.model(played("stopped"))
    last = script.told[-1]
    assert (last.heard_by, last.played_ms, last.audio_ms) == (HeardBy.REPORT, 3_000.0, 3_000.0)
    assert last.heard_at is not None


@pytest.mark.parametrize(("seconds", "is_heard"), [(0.4, False), (2.0, True)])
def test_of_what_the_server_stops_playing_as_much_is_heard_as_was_played(seconds: float, is_heard: bool) -> None:
    script = beside()
    says(script)
    script.model(played("started"))
    script.wait(seconds)
    script.model(STARTED, played("cleared"))
    last = script.told[-1]
    assert last.played_ms == pytest.approx(seconds * 1_000)
    assert (last.heard_at is not None) is is_heard


def test_playing_that_begins_before_the_response_has_ended() -> None:
    script = beside()
    says(script, ends="")
    script.model(played("started"))
    script.wait(1.0)
    script.model(done("R2"))
    script.wait(1.0)
    script.model(played("stopped"))
    assert script.told[-1].played_ms == 2_000.0


def test_a_response_that_is_never_played_was_text() -> None:
    script = beside()
    says(script)
    script.wait(10.0)
    assert script.told[-1].heard_by is HeardBy.CLOCK


def test_a_barge_in_is_known_though_it_is_not_known_how_much_was_left() -> None:
    script = beside()
    says(script)
    script.model(played("started"))
    script.wait(1.0)
    script.model(STARTED)
    (moment,) = [each for each in script.moments if each.kind is MomentKind.BARGE_IN]
    assert moment.ms is None


def test_it_asks_for_the_session_at_once_and_leaves_the_voice_as_it_is() -> None:
    script = Script(joins=True, voice="marin")
    actions = script.conversation.tick(script.now)
    (update,) = [action.event for action in actions if isinstance(action, SendToModel)]
    assert update["type"] == "session.update"
    assert "voice" not in update["session"]["audio"].get("output", {})


def taken_over() -> Talk:
    """The same call, by another gateway: the rows tell of a question, and the model has asked for nothing else."""
    script = Talk(joins=True, carried=CarriedState(has_past=True))
    script.conversation.tick(script.now)
    script.model(updated(script))
    assert script.conversation.wants_past
    said = Message(1, "item_1", "user", [{"type": "input_audio", "text": "Where is my order?"}])
    script._do(script.conversation.remember(ConversationHistory([said]), script.now))
    assert script.conversation.is_open
    return script


def test_a_live_conversation_is_told_no_past() -> None:
    script = taken_over()
    sent = [action.event["type"] for action in script.actions if isinstance(action, SendToModel)]
    assert "conversation.item.create" not in sent
    assert "response.create" not in sent, "the server answers the caller's turn by itself"


def refused(script: Talk) -> None:
    """The server has the result already: the gateway before this one has sent it."""
    sent = [action.event for action in script.actions if isinstance(action, SendToModel)]
    (output,) = [event for event in sent if event["type"] == "conversation.item.create"]
    words = f"Error adding item: the item with id '{output['item']['id']}' already exists."
    error = {"type": "invalid_request_error", "code": None, "message": words, "event_id": output["event_id"]}
    script.model({"type": "error", "error": error})


def test_a_result_that_is_there_already_is_delivered_and_asked_for_after_a_moment() -> None:
    script = taken_over()
    script.deliver("a")
    refused(script)
    assert [action.job_id for action in script.actions if isinstance(action, Acknowledge)] == [job_of("a")]
    assert "model: response.create" not in script.everything
    script.wait(DOUBT_SECONDS / 2)
    assert "model: response.create" not in script.everything
    script.wait(DOUBT_SECONDS)
    assert "model: response.create" in script.everything


def test_a_result_that_a_response_told_unheard_is_not_told_twice() -> None:
    script = taken_over()
    script.deliver("a")
    refused(script)
    script.model(played("stopped", "R_before"))
    script.wait(10.0)
    assert "model: response.create" not in script.everything
