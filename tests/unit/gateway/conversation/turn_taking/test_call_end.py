"""A phone call ends, or is transferred, once the caller has heard the goodbye and every result that is there."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.turn_taking.call_end import END_SECONDS, TAIL_SECONDS
from ringback.agents.phone import Phone
from tests.unit.gateway.conversation.script import SPEAK, STARTED, call, created, done, echo
from tests.unit.gateway.conversation.turn_taking.talk import LONG, Talk

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
