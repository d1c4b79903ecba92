"""Words of strangers in a conversation: until the user speaks again, nothing is changed on the strength of them."""

from __future__ import annotations

from dataclasses import replace

from ringback.jobs import Effect
from ringback.manners import Manners
from ringback.outcomes import failed
from tests.unit.gateway.conversation.script import WEATHER, Script, call, created, done

PAGE = replace(WEATHER, name="page", manners=Manners(is_untrusted=True))
PAY = replace(WEATHER, name="pay", effect=Effect.IDEMPOTENT, manners=Manners())
LOOK = replace(WEATHER, name="look", manners=Manners())


def read_a_page(script: Script) -> Script:
    script.model(created("R1"), call("a", name="page"), done("R1"))
    script.deliver("a", tool="page")
    script.model(created("R2"))
    return script


def has_to_be_asked(script: Script) -> bool:
    (record,) = script.records
    return record.job.needs_approval


def test_after_it_a_function_that_changes_something_needs_the_users_yes() -> None:
    script = read_a_page(Script(PAGE, PAY, wants=("approvals",)).opened())
    assert script.model(call("b", "R2", name="pay")) == ["record b"]
    assert has_to_be_asked(script)


def test_one_that_only_looks_does_not() -> None:
    script = read_a_page(Script(PAGE, LOOK).opened())
    script.model(call("b", "R2", name="look"))
    assert not has_to_be_asked(script)


def test_once_the_user_has_said_something_it_is_the_users_will_again() -> None:
    script = read_a_page(Script(PAGE, PAY).opened())
    script.model({"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0})
    script.model(call("b", "R2", name="pay"))
    assert not has_to_be_asked(script)


def test_an_error_brings_no_words_of_strangers() -> None:
    script = Script(PAGE, PAY).opened()
    script.model(created("R1"), call("a", name="page"), done("R1"))
    script.deliver("a", failed("fetch_failed", "It cannot be reached."), tool="page")
    script.model(created("R2"), call("b", "R2", name="pay"))
    assert not has_to_be_asked(script)


def test_the_next_epoch_knows_of_it() -> None:
    script = read_a_page(Script(PAGE, PAY).opened())
    assert script.brain.carry(script.now).board.is_tainted
