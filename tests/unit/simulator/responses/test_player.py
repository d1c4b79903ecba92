"""Which response plays: beside another, cut off, late, limited, or uninvited."""

from __future__ import annotations

from tests.unit.simulator.rehearsal import Rehearsal, error_of, said, types

TEXT_TURN = "turns: [{hears: ., says: One two three four five.}]"
CALL_TURN = "turns: [{hears: ., calls: [{tool: weather, arguments: {city: London}}]}]"


def test_a_response_out_of_band_runs_beside_the_active_one_and_writes_no_items() -> None:
    rehearsal = Rehearsal(TEXT_TURN)
    rehearsal.tools()
    rehearsal.type_in("Hello")
    main = rehearsal.send("response.create")[0]["response"]["id"]
    aside = {"conversation": "none", "metadata": {"topic": "aside"}, "instructions": 'Say "one moment".'}
    [created] = rehearsal.send("response.create", response=aside)
    assert created["response"]["conversation_id"] is None
    rehearsal.play_out()
    done = {e["response"]["id"]: e["response"] for e in rehearsal.sent if e["type"] == "response.done"}
    assert said(done[created["response"]["id"]]) == "one moment"
    assert done[created["response"]["id"]]["metadata"] == {"topic": "aside"}
    assert said(done[main]) == "One two three four five."
    assert len(rehearsal.conversation.items.items) == 2


def test_a_response_out_of_band_may_bring_its_own_input() -> None:
    rehearsal = Rehearsal("turns: [{hears: blue, says: Sky.}]")
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What is blue?"}]}
    response = rehearsal.respond(conversation="none", input=[item], output_modalities=["text"])
    assert said(response) == "Sky."


def test_a_response_may_have_its_own_modality_and_limit() -> None:
    rehearsal = Rehearsal(TEXT_TURN)
    rehearsal.type_in("Hello")
    response = rehearsal.respond(output_modalities=["text"], max_output_tokens=2)
    assert (response["status"], response["status_details"]["reason"]) == ("incomplete", "max_output_tokens")
    assert said(response) == "One two"
    assert response["output"][0]["status"] == "incomplete"


def test_cancelling_closes_what_is_open_and_lets_a_few_deltas_slip_through() -> None:
    rehearsal = Rehearsal(f"{TEXT_TURN}\nknobs: {{trailing_deltas: 1}}")
    rehearsal.tools()
    rehearsal.type_in("Hello")
    rehearsal.send("response.create")
    rehearsal.play_until("response.output_text.delta")
    cancelled = rehearsal.send("response.cancel")
    assert types(cancelled) == [
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    response = cancelled[-1]["response"]
    assert (response["status"], response["status_details"]["reason"]) == ("cancelled", "client_cancelled")
    assert said(response) == "One two"
    assert rehearsal.play_out() == []


def test_the_end_of_a_cancelled_response_can_come_after_the_start_of_the_next() -> None:
    rehearsal = Rehearsal(f"{TEXT_TURN}\nknobs: {{late_done: true}}")
    rehearsal.tools()
    rehearsal.type_in("Hello")
    old = rehearsal.send("response.create")[0]["response"]["id"]
    assert "response.done" not in types(rehearsal.send("response.cancel"))
    started, ended = rehearsal.send("response.create")
    assert (started["type"], ended["type"], ended["response"]["id"]) == ("response.created", "response.done", old)
    assert rehearsal.later[0].then() == []


def test_a_late_end_comes_by_itself_when_no_response_follows() -> None:
    rehearsal = Rehearsal(f"{TEXT_TURN}\nknobs: {{late_done: true}}")
    rehearsal.tools()
    rehearsal.send("response.create")
    rehearsal.send("response.cancel")
    rehearsal.perform(rehearsal.later[0].then())
    assert rehearsal.sent[-1]["type"] == "response.done"


def test_the_server_may_start_a_response_of_its_own_after_a_call() -> None:
    rehearsal = Rehearsal(f"{CALL_TURN}\nknobs: {{rival_response_ms: 500}}")
    rehearsal.tools("weather")
    rehearsal.type_in("Weather?")
    rehearsal.send("response.create")
    rehearsal.play_until("response.created")
    assert error_of(rehearsal.send("response.create"))["code"] == "conversation_already_has_active_response"
    rehearsal.play_out()
    assert said(rehearsal.last("response.done")["response"]) == "Let me see."
    assert types(rehearsal.send("response.create")) == ["response.created"]


def test_a_reference_to_an_unknown_item_is_refused_and_leaves_nothing_active() -> None:
    rehearsal = Rehearsal(TEXT_TURN)
    wrong = {"conversation": "none", "input": [{"type": "item_reference", "id": "item_no"}]}
    assert error_of(rehearsal.send("response.create", response=wrong))["code"] == "item_retrieve_invalid_item_id"
    assert rehearsal.conversation.player.beside == {}
