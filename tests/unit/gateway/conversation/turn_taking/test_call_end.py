"""A phone call ends, or is transferred, once the caller has heard the goodbye and every result that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.speaker import NOT_TRANSFERRED, TRANSFER_LOST
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.turn_taking.call_end import END_SECONDS, TAIL_SECONDS
from ringback.agents.phone import Phone
from ringback.jobs.outcomes import Outcome, failed, succeeded
from tests.unit.gateway.conversation.script import SPEAK, STARTED, call, created, done, echo, job_of, updated
from tests.unit.gateway.conversation.turn_taking.talk import LONG, Talk, message

PHONE = Phone(numbers=("*",), transfer_to={"sales": "tel:+18005551213"})
CLOSE = "close 1000 call_ended"
TRANSFER = "transfer to tel:+18005551213"


def phone_call(**fields: Any) -> Talk:
    """A call on which what was played is reported, as Twilio does."""
    script = Talk(wants=("playback",), phone=fields.pop("phone", PHONE), **fields)
    script.opened()
    return script


def asks(script: Talk, name: str = "end_call", response: str = "R2", **arguments: Any) -> list[str]:
    """The model asks for it in this response; its answer is recorded and sent, as of any call."""
    script.model(call("own", response, name=name, arguments=arguments))
    (record,) = script.records
    assert record.outcome is not None
    script._do(script.conversation.recorded(record, script.now))
    seen = script.deliver("own", record.outcome, name)
    script.model(echo("own"))
    return seen


def says(script: Talk, response: str = "R2", item: str = "item_2") -> None:
    script.answer(response, item=item)


def ends(script: Talk, response: str = "R2") -> list[str]:
    return script.model(done(response))


def hears(script: Talk, item: str = "item_2") -> list[str]:
    """The caller's phone reports that all of it was played."""
    script.wait(LONG)
    script.plays(LONG * 1_000, item)
    return [*script.seen, *script.wait(TAIL_SECONDS)]


def test_it_ends_once_the_goodbye_was_heard() -> None:
    script = phone_call()
    says(script)
    assert asks(script) == ["model: output own"]
    ends(script)
    script.wait(LONG)
    assert CLOSE not in script.everything, "it was played by the clock, and the phone has not said so"
    assert hears(script)[-1] == CLOSE


def test_the_model_is_asked_for_a_goodbye_that_it_has_not_said() -> None:
    script = phone_call()
    script.model(created("R2"))
    asks(script)
    assert SPEAK in [*ends(script), *script.wait(1.0)]
    says(script, "R3", "item_3")
    ends(script, "R3")
    assert hears(script, "item_3")[-1] == CLOSE
    assert script.everything.count(SPEAK) == 1


def test_a_model_that_says_nothing_even_then_does_not_hold_the_line() -> None:
    script = phone_call()
    script.model(created("R2"))
    asks(script)
    ends(script)
    script.wait(1.0)
    script.model(created("R3"))
    assert CLOSE in [*script.model(done("R3")), *script.wait(1.0)]


def test_a_result_that_is_there_is_told_first() -> None:
    script = phone_call()
    script.model(created("R1"), call("a"))
    (record,) = script.records
    script.model(done("R1"))
    script._do(script.conversation.recorded(record, script.now))
    says(script)
    asks(script)
    script.deliver("a")
    script.model(echo("a"))
    ends(script)
    script.wait(1.0)
    assert SPEAK in script.everything
    hears(script)
    assert CLOSE not in script.everything, "the result is in the conversation, and was not told"
    says(script, "R3", "item_3")
    ends(script, "R3")
    assert hears(script, "item_3")[-1] == CLOSE


def test_a_call_that_still_runs_does_not_hold_the_line() -> None:
    script = phone_call()
    script.model(created("R1"), call("a"), done("R1"))
    says(script)
    asks(script)
    ends(script)
    assert hears(script)[-1] == CLOSE


def test_a_caller_who_speaks_first_keeps_the_line() -> None:
    script = phone_call()
    says(script)
    asks(script)
    ends(script)
    script.model(STARTED, {"type": "input_audio_buffer.speech_stopped", "item_id": "item_u", "audio_end_ms": 900})
    script.model({"type": "input_audio_buffer.committed", "item_id": "item_u", "previous_item_id": "item_2"})
    script.wait(END_SECONDS)
    assert CLOSE not in script.everything


def test_it_ends_after_a_while_although_the_phone_reports_nothing() -> None:
    script = phone_call()
    says(script)
    asks(script)
    assert CLOSE not in [*ends(script), *script.wait(LONG)]
    assert CLOSE in script.wait(END_SECONDS)


def test_a_transfer_goes_where_the_agents_file_says() -> None:
    script = phone_call()
    says(script)
    asks(script, "transfer_call", to="sales")
    ends(script)
    assert hears(script)[-1] == TRANSFER
    script._do(script.conversation.transfer_failed(script.now))
    assert script.to_model[0]["item"]["role"] == "system"
    assert SPEAK in [*script.seen, *script.wait(1.0)]


@pytest.mark.parametrize("place", ["tel:+19005550000", "sip:eve@example.com", "Sales", "", None, 7, ["sales"]])
def test_no_other_place_can_be_named(place: Any) -> None:
    script = phone_call()
    says(script)
    script.model(call("own", "R2", name="transfer_call", arguments={"to": place}))
    assert script.records[0].outcome is not None
    assert script.records[0].outcome.code == "unknown_place"
    ends(script)
    hears(script)
    script.wait(END_SECONDS)
    assert not [seen for seen in script.everything if seen.startswith("transfer")]


@pytest.mark.parametrize(
    ("phone", "names"),
    [
        (PHONE, ["end_call", "transfer_call"]),
        (Phone(numbers=("*",)), ["end_call"]),
        (Phone(numbers=("*",), ends_calls=False), []),
        (None, []),
    ],
)
def test_what_is_offered_and_served(phone: Phone | None, names: list[str]) -> None:
    script = phone_call(phone=phone)
    ours = [tool for tool in script.offered if tool["name"] in ("end_call", "transfer_call")]
    assert [tool["name"] for tool in ours] == names
    if "transfer_call" in names:
        assert ours[-1]["parameters"]["properties"]["to"]["enum"] == ["sales"]
    if "end_call" not in names:
        script.model(created("R2"), call("own", "R2", name="end_call", arguments={}))
        assert script.records[0].outcome is not None
        assert script.records[0].outcome.code == "no_phone_call"


# — beside a call: the conversation goes on while gateways come and go —


def beside(carried: CarriedState | None = None, *past: PastCall, phone: Phone = PHONE) -> Talk:
    """A gateway is beside a phone call; it has been told what is carried over, and what the rows hold."""
    script = Talk(joins=True, phone=phone, carried=carried)
    script.conversation.tick(script.now)
    script.model(updated(script))
    if carried is not None:
        script._do(script.conversation.remember(ConversationHistory(calls=past), script.now))
    assert script.conversation.is_open
    return script


def goes_on(script: Talk) -> Talk:
    """The sideband is lost, and the same gateway attaches anew."""
    script._do(script.conversation.cut("upstream_closed", script.now))
    return beside(script.conversation.carry(script.now))


def words(script: Talk, response: str = "R2", item: str = "item_2") -> None:
    """The model says so much, of which the gateway is shown the transcript."""
    added = {"type": "response.output_item.added", "response_id": response, "item": message(item)}
    delta = {"type": "response.output_audio_transcript.delta", "response_id": response, "item_id": item, "delta": "Bye"}
    script.model(created(response), added, delta)


def played(script: Talk, kind: str, response: str = "R2") -> list[str]:
    return script.model({"type": f"output_audio_buffer.{kind}", "response_id": response})


def says_more(script: Talk) -> list[str]:
    """The model says something else, which the caller hears; what has come of it."""
    words(script, "R9", "item_9")
    ends(script, "R9")
    played(script, "started", "R9")
    script.wait(LONG)
    played(script, "stopped", "R9")
    return script.wait(TAIL_SECONDS)


def of_rows(name: str = "end_call", outcome: Outcome | None = None, *, is_last: bool = True) -> PastCall:
    """The call as its row has it, in a gateway that has not heard it."""
    row = PastCall(job_of("own"), 7, "item_own", "own", "R2", name, {"to": "sales"}, outcome=outcome)
    return replace(row, is_of_last_turn=is_last, is_news=outcome is not None, may_be_there=True)


def test_it_ends_behind_the_goodbye_although_the_sideband_was_lost() -> None:
    script = beside()
    words(script)
    asks(script)
    ends(script)
    played(script, "started")
    script = goes_on(script)
    script.wait(LONG)
    assert not script.conversation.is_quiet(script.now), "a gateway that ends does not leave the call before"
    played(script, "stopped")
    assert script.wait(TAIL_SECONDS)[-1] == CLOSE
    assert SPEAK not in script.everything, "the goodbye was said"


def test_it_ends_in_time_although_the_end_of_the_goodbye_was_not_heard() -> None:
    script = beside()
    words(script)
    asks(script)
    ends(script)
    played(script, "started")
    assert CLOSE in goes_on(script).wait(END_SECONDS)


def test_a_caller_who_has_spoken_keeps_the_line_when_the_sideband_is_lost() -> None:
    script = beside()
    words(script)
    asks(script)
    ends(script)
    script.model(STARTED)
    script = goes_on(script)
    script.wait(END_SECONDS)
    assert CLOSE not in script.everything
    assert script.conversation.is_quiet(script.now)


@pytest.mark.parametrize("outcome", [None, succeeded("The call ends.")], ids=["answer on its way", "answered"])
def test_a_gateway_that_takes_the_call_has_the_goodbye_said_again_and_ends_it(outcome: Outcome | None) -> None:
    script = beside(CarriedState(has_past=True), of_rows(outcome=outcome))
    script.wait(2.0)
    assert script.everything.count(SPEAK) == 1
    assert says_more(script)[-1] == CLOSE


@pytest.mark.parametrize(
    ("row", "phone"),
    [
        (of_rows(is_last=False), PHONE),
        (of_rows(outcome=failed("too_many_calls", "No.")), PHONE),
        (of_rows(), Phone(numbers=("*",), ends_calls=False)),
    ],
    ids=["the caller has spoken since", "it was refused", "the agent may not end calls"],
)
def test_a_gateway_that_takes_a_call_that_was_not_to_end_goes_on(row: PastCall, phone: Phone) -> None:
    script = beside(CarriedState(has_past=True), row, phone=phone)
    script.wait(2.0)
    says_more(script)
    assert CLOSE not in script.everything
    assert script.conversation.is_quiet(script.now)


def test_a_gateway_that_takes_the_call_repeats_no_transfer_and_has_the_caller_told() -> None:
    script = beside(CarriedState(has_past=True), of_rows("transfer_call", succeeded("The call is transferred.")))
    (said,) = [event["item"]["content"][0]["text"] for event in script.to_model if "item" in event]
    assert said == TRANSFER_LOST
    assert SPEAK in script.wait(2.0)
    says_more(script)
    assert not [seen for seen in script.everything if seen.startswith("transfer")]


def test_a_gateway_that_ends_waits_for_a_transfer_that_is_under_way() -> None:
    script = beside()
    words(script)
    asks(script, "transfer_call", to="sales")
    ends(script)
    played(script, "started")
    played(script, "stopped")
    assert TRANSFER in script.wait(TAIL_SECONDS)
    assert not script.conversation.is_quiet(script.now)
    script._do(script.conversation.transfer_failed(script.now, for_another=True))
    words(script, "R8", "item_8")
    ends(script, "R8")
    assert not script.conversation.is_quiet(script.now), "another was refused, and this one is under way"
    script._do(script.conversation.transfer_failed(script.now))
    assert script.to_model[0]["item"]["content"][0]["text"] == NOT_TRANSFERRED
    words(script, "R9", "item_9")
    ends(script, "R9")
    assert script.conversation.is_quiet(script.now)
