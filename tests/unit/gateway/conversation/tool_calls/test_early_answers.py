"""Calls that are answered before their result is there, where a server holds the talk while a call has no output."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation import Conversation
from gateway.conversation.event_ids import EventIds
from gateway.conversation.reconnect.carry_over import CarriedState
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.tool_calls.early_answers import HURRY_SECONDS
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.turn_taking.pacing import PAUSE_SECONDS
from gateway.conversation.upstream_errors import CALL_OPEN
from gateway.upstream.quirks import USUAL, Quirks
from ringback.jobs.outcomes import failed, succeeded
from ringback.statements.sessions.items import Message
from ringback.tools.behavior import ToolBehavior
from ringback.tools.spec import ToolSpec
from tests.unit.gateway.conversation.script import (
    ORDER,
    SESSION,
    SPEAK,
    STARTED,
    STOPPED,
    WEATHER,
    WORD,
    Event,
    Script,
    agent,
    call,
    created,
    done,
    echo,
    item_of,
    job_of,
    refused,
    updated,
)

AFTER = 1.0
HOLDS = Quirks(answers_early_seconds=AFTER)
EARLY, ASKS, SECOND = (
    f"rb_{kind}{EventIds(1).of_output(job_of('a'), kind).removeprefix('fco_')}" for kind in ("fco_", "fc_", "call_")
)
ANSWERED = "model: output a"


def asked(*tools: ToolSpec, quirks: Quirks = HOLDS, **fields: Any) -> Script:
    """R1 asked for `a`, which is recorded, and is over."""
    script = Script(*tools, quirks=quirks, **fields).opened()
    script.model(created("R1"), call("a", name=(tools or (WEATHER,))[0].name))
    script.recorded(*script.records)
    script.model(done("R1"))
    return script


def with_manners(tool: ToolSpec = WEATHER, **behavior: Any) -> ToolSpec:
    return replace(tool, behavior=ToolBehavior.from_data(behavior))


def items(script: Script) -> list[Event]:
    """The items that the last line wrote into the conversation."""
    return [event["item"] for event in script.to_model if event["type"] == "conversation.item.create"]


def shown(item: Event) -> Event:
    return {"type": "conversation.item.created", "item": item, "previous_item_id": None}


# — when —


@pytest.mark.parametrize(
    ("quirks", "waited", "answers"),
    [
        (USUAL, 3_600.0, []),
        (HOLDS, AFTER - 0.01, []),
        (HOLDS, AFTER, [ANSWERED]),
        (HOLDS, 3_600.0, [ANSWERED]),
        (Quirks(answers_early_seconds=0.0), 0.0, [ANSWERED]),
    ],
)
def test_a_call_is_answered_early_once_and_only_where_the_profile_says_so(
    quirks: Quirks, waited: float, answers: list[str]
) -> None:
    script = asked(quirks=quirks)
    early = script.everything.count(ANSWERED)  # at once, where the bound is 0
    assert [ANSWERED] * early + script.wait(waited) == answers


def test_a_call_whose_row_is_not_committed_is_not_said_to_be_accepted() -> None:
    script = Script(quirks=HOLDS).opened()
    script.model(created("R1"), call("a"))
    records = script.records
    assert script.wait(60.0) == []
    assert script.recorded(*records) == []
    assert script.wait(0.0) == [ANSWERED]


def test_a_fast_call_has_its_result_as_its_only_output() -> None:
    script = asked()
    script.wait(AFTER / 2)
    assert script.deliver("a") == [ANSWERED, SPEAK]
    [output] = items(script)
    assert (output["id"], output["call_id"]) == (item_of("a"), "a")
    assert ANSWERED not in script.wait(3_600.0)


@pytest.mark.parametrize("active", [True, False])
def test_an_early_answer_goes_out_while_a_response_runs_too_and_asks_for_none(active: bool) -> None:
    script = Script(quirks=HOLDS).opened()
    script.model(created("R1"), call("a"))
    script.recorded(*script.records)
    if not active:
        script.model(done("R1"))
    assert script.wait(AFTER) == [ANSWERED]


def test_an_early_answer_goes_out_while_the_user_speaks() -> None:
    script = asked()
    script.model(STARTED)
    assert script.wait(AFTER) == [ANSWERED]


def test_a_call_of_the_clients_function_is_the_clients_to_answer() -> None:
    tool = {"type": "function", "name": "navigate", "description": "Go.", "parameters": {"type": "object"}}
    script = Script(quirks=HOLDS).opened()
    script.client(type="session.update", session={"type": "realtime", "tools": [tool]})
    script.model(created("R1"), call("a", name="navigate", arguments={}), done("R1"))
    assert script.wait(60.0) == []


# — what it says —


@pytest.mark.parametrize(
    ("behavior", "status", "words"),
    [
        ({}, "accepted", "The function is running."),
        ({"requires_approval": True}, "waiting_for_approval", "has not begun: the user must agree"),
    ],
)
def test_the_model_is_told_what_is_known_and_that_there_is_no_result(
    behavior: dict[str, Any], status: str, words: str
) -> None:
    script = asked(with_manners(**behavior), wants=("approvals",))
    script.wait(AFTER)
    [item] = items(script)
    said = json.loads(item["output"])
    assert (item["id"], item["type"], said["status"]) == (EARLY, "function_call_output", status)
    assert words in said["note"]
    assert "do not guess" in said["note"]


def test_every_id_is_one_that_the_api_takes() -> None:
    ids = {EARLY, ASKS, SECOND, item_of("a")}
    assert len(ids) == 4
    assert max(map(len, ids)) <= 32


def test_a_filler_is_said_behind_it() -> None:
    script = asked(with_manners(say_after=3.0))
    assert script.wait(AFTER) == [ANSWERED]
    script.model(shown(items(script)[0]))
    assert script.wait(3.0) == [WORD]


# — the result —


def late(**fields: Any) -> Script:
    """`a` was answered early, the server has shown that, and the user has not spoken since."""
    script = asked(**fields)
    script.wait(AFTER)
    script.model(shown(items(script)[0]))
    return script


OUTCOMES = {"a result": succeeded({"sky": "clear"}), "an error": failed("no_such_city", "There is no such city.")}


@pytest.mark.parametrize("outcome", OUTCOMES.values(), ids=OUTCOMES)
def test_the_result_is_the_output_of_a_second_call_and_is_spoken_of(outcome: Any) -> None:
    script = late()
    assert script.deliver("a", outcome) == [f"model: output {SECOND}", f"model: output {SECOND}", SPEAK]
    asks, answers = items(script)
    assert asks == {
        "id": ASKS,
        "type": "function_call",
        "call_id": SECOND,
        "name": "weather",
        "arguments": '{"city": "Rome"}',
    }
    assert (answers["id"], answers["call_id"]) == (item_of("a"), SECOND)
    assert answers["output"] == outcome.output()


def test_the_echo_of_the_early_answer_is_no_receipt_of_the_result() -> None:
    script = late()
    assert "acknowledge" not in script.everything
    script.deliver("a")
    asks, answers = items(script)
    assert script.model(shown(asks)) == []
    assert script.model(shown(answers)) == ["acknowledge"]
    assert script.model(shown(answers)) == []


def test_the_echo_of_an_early_answer_under_another_id_is_no_receipt_of_the_result() -> None:
    script = asked()
    script.wait(AFTER)
    [early] = items(script)
    script.deliver("a")
    answers = items(script)[-1]
    assert "acknowledge" not in script.model(shown({**early, "id": "item_of_the_server"}))
    assert script.model(shown({**answers, "id": "another_of_the_server"})) == ["acknowledge"]


def test_a_result_that_comes_twice_is_told_once() -> None:
    script = late()
    script.deliver("a")
    assert script.deliver("a") == []
    script.model(*map(shown, items(script)))
    assert [seen for seen in script.everything if seen == f"model: output {SECOND}"] == [f"model: output {SECOND}"] * 2


def test_the_second_call_is_hidden_and_becomes_no_job() -> None:
    script = late()
    script.deliver("a")
    told = [script.model(shown(item)) for item in items(script)]
    assert not [seen for line in told for seen in line if seen.startswith(("client:", "record"))]


def test_a_result_that_the_server_refuses_is_told_as_unreadable_under_the_same_second_call() -> None:
    script = late()
    script.deliver("a")
    sent_as = script.to_model[1]["event_id"]
    assert script.model(refused(sent_as, "string_above_max_length")) == ["warn", f"model: output {SECOND}"]
    [again] = items(script)
    assert json.loads(again["output"])["error"]["code"] == "unreadable_result"


def test_two_calls_are_answered_early_each_and_told_together() -> None:
    script = Script(quirks=HOLDS).opened()
    script.model(created("R1"), call("a"))
    script.recorded(*script.records)
    script.model(call("b", arguments={"city": "Oslo"}))
    script.recorded(*script.records)
    script.model(done("R1"))
    assert script.wait(AFTER) == [ANSWERED, "model: output b"]
    assert SPEAK not in script.deliver("a")
    assert script.deliver("b")[-1] == SPEAK


def test_a_call_that_must_not_run_twice_is_answered_early_after_its_response() -> None:
    script = Script(ORDER, quirks=HOLDS).opened()
    script.model(created("R1"), call("a", name="order"))
    assert script.wait(10.0) == []
    script.model(done("R1"))
    script.recorded(*script.records)
    assert script.wait(AFTER) == [ANSWERED]


# — where it goes wrong —


def test_a_refused_early_answer_is_not_sent_again_and_the_result_is_the_only_output() -> None:
    script = asked()
    script.wait(AFTER)
    sent_as = script.to_model[0]["event_id"]
    assert script.model(refused(sent_as, "invalid_value")) == ["warn"]
    assert script.wait(60.0) == []
    assert script.deliver("a") == [ANSWERED, SPEAK]
    assert items(script)[0]["id"] == item_of("a")


def test_the_user_may_go_on_talking_after_it() -> None:
    script = late()
    script.model(STARTED, STOPPED, created("R2"), done("R2"))
    assert script.deliver("a")[:2] == [f"model: output {SECOND}"] * 2


# — a new connection —


def rebuilt(script: Script, **fields: Any) -> Script:
    """On another gateway, which knows the rows alone; `a` as its row has it."""
    following = Script(quirks=HOLDS)
    following.now = script.now
    carried = CarriedState(has_past=True)
    offered = script.conversation.tools
    following.conversation = Conversation(
        SESSION, agent(), offered, epoch=2, carried=carried, greets=False, quirks=HOLDS
    )
    following.model({"type": "session.created", "session": {}}, updated(following))
    hello = Message(1, "item_u1", "user", [{"type": "input_text", "text": "hello"}])
    known = PastCall(job_of("a"), 2, "item_a", "a", "R1", "weather", {"city": "Rome"}, age=30.0)
    history = ConversationHistory([hello], [replace(known, **fields)])
    following._do(following.conversation.remember(history, following.now))
    told = [event["item"] for event in following.to_model]
    following.model(*({"type": "conversation.item.added", "item": item} for item in told))
    return following


def test_a_running_call_is_answered_early_again_in_a_rebuilt_conversation() -> None:
    script = rebuilt(late())
    assert script.everything.count(ANSWERED) == 1 + 1  # the call of the past, and its early answer
    assert script.deliver("a")[:2] == [f"model: output {SECOND}"] * 2


def test_a_result_that_is_there_is_replayed_as_the_output_of_its_call() -> None:
    script = rebuilt(late(), outcome=succeeded({"sky": "clear"}), is_news=True)
    assert f"model: output {SECOND}" not in script.everything
    assert "acknowledge" not in script.wait(60.0)


def test_an_answer_that_the_usual_servers_get_is_acknowledged_as_before() -> None:
    script = asked(quirks=USUAL)
    script.deliver("a")
    assert "acknowledge" in script.model(echo("a"))


# — a response that the server did not begin, because a call has no output —

CREATE = {"type": "response.create"}


def held(script: Script, event_id: str | None) -> list[str]:
    """The server refuses that create, or the answer to the user's turn, for the want of an output."""
    return script.model(refused(event_id, CALL_OPEN))


@pytest.mark.parametrize("names_it", [True, False])
def test_the_clients_create_is_made_again_behind_an_early_answer_and_the_client_hears_of_no_error(
    names_it: bool,
) -> None:
    script = asked()
    assert script.client(**CREATE) == [SPEAK]
    assert held(script, script.last_create if names_it else None) == [ANSWERED]
    assert script.wait(HURRY_SECONDS) == [SPEAK]


def test_a_call_that_is_being_recorded_is_answered_as_soon_as_its_row_is_there() -> None:
    script = Script(quirks=HOLDS).opened()
    script.model(created("R1"), call("a"))
    records = script.records
    script.model(done("R1"))
    script.client(**CREATE)
    assert held(script, script.last_create) == []
    assert script.recorded(*records) == []
    assert script.wait(0.0) == [ANSWERED]


def test_the_users_own_turn_is_answered_too() -> None:
    script = asked()
    script.model(STARTED, STOPPED)
    assert held(script, None) == [ANSWERED]
    assert SPEAK in script.wait(10.0)


def test_a_call_that_begins_later_has_its_time_again() -> None:
    script = late()
    script.client(**CREATE)
    held(script, script.last_create)
    script.wait(HURRY_SECONDS)
    script.model(created("R2"), call("b", "R2", arguments={"city": "Oslo"}))
    script.recorded(*script.records)
    script.model(done("R2"))
    assert script.wait(AFTER / 2) == []
    assert script.wait(AFTER / 2) == ["model: output b"]


def test_without_the_profile_the_clients_create_waits_and_is_made_again() -> None:
    script = asked(quirks=USUAL)
    script.client(**CREATE)
    assert held(script, script.last_create) == []
    assert script.wait(PAUSE_SECONDS / 2) == []
    assert script.wait(PAUSE_SECONDS) == [SPEAK]


def test_a_refusal_that_names_no_create_of_this_conversation_is_for_who_sent_it() -> None:
    script = asked()
    assert held(script, "the clients own") == ["client: error", "warn", ANSWERED]


# — beside a call, whose page is shown each item —


def test_no_item_about_a_job_tells_its_page_the_id_of_another() -> None:
    ids = EventIds(1, "secret")
    shown = {ids.of_output(job_of("a"), kind).removeprefix("fco_") for kind in ("", "fco_", "fc_", "call_")}
    assert len(shown) == 4
    assert shown.isdisjoint({item_of("a").removeprefix("fco_")}), "and none is known from the job's id"
