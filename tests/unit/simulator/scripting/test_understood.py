"""A script without a rule for what was said: the session's tools answer, by their schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.simulator.rehearsal import Rehearsal, calls, said, silence, sound
from tests.unit.simulator.understanding.tools import SESSION, tool

ASK = "Before this is done, the user must agree to it: {}. In one short sentence, say what would be done, and ask."
BUILT_IN = [
    tool("answer_approval", "Pass on what the user has answered.", approved={"type": "boolean"}),
    tool("cancel_call", "Stop a function that is still running.", function={"type": "string", "default": ""}),
]
INVOICE = next(each for each in SESSION if each["name"] == "lookup_invoice")


def talking(scenario: str = "like: demo", *tools: dict[str, Any], words: tuple[str, ...] = ()) -> Rehearsal:
    rehearsal = Rehearsal(scenario, words=words)
    rehearsal.tools()
    session = {"type": "realtime", "tools": list(tools or SESSION)}
    rehearsal.send("session.update", session=session)
    return rehearsal


def ask(rehearsal: Rehearsal, text: str) -> dict[str, Any]:
    rehearsal.type_in(text)
    return rehearsal.respond()


def the_call(response: dict[str, Any]) -> str:
    [item] = [item for item in response["output"] if item["type"] == "function_call"]
    call_id: str = item["call_id"]
    return call_id


def test_ones_own_tool_is_called_and_its_result_is_told() -> None:
    rehearsal = talking()
    response = ask(rehearsal, "look up invoice number seventeen")
    assert calls(response) == [("lookup_invoice", {"number": "INV-17"})]
    rehearsal.answer(the_call(response), {"number": "INV-17", "total": "30 euros", "paid": False})
    assert said(rehearsal.respond()) == "The total is 30 euros and the paid is no."


def test_a_rule_of_the_scenario_comes_first() -> None:
    rehearsal = talking()
    assert calls(ask(rehearsal, "where is my order")) == [("order_status", {"order_id": "A-1042"})]
    assert said(ask(rehearsal, "use weather")) == "Which city?"
    assert calls(ask(rehearsal, "give me a quote")) == [("quote_of_the_day", {})]
    assert "What would you like?" in said(ask(rehearsal, "Paris")), "the question was about another call"


@pytest.mark.parametrize("spoken", [False, True])
def test_what_is_missing_is_asked_for_and_the_next_turn_is_the_answer(spoken: bool) -> None:
    sentences = ("book a table", "four", "at eight pm")
    rehearsal = talking("turns: []", words=sentences)
    responses = []
    for sentence in sentences:
        if spoken:
            rehearsal.hear(silence(300) + sound(600) + silence(400))
            rehearsal.play_out()
            responses.append(rehearsal.last("response.done")["response"])
        else:
            responses.append(ask(rehearsal, sentence))
    assert [said(response) for response in responses] == ["How many guests?", "At what time?", ""]
    assert calls(responses[-1]) == [("book_table", {"guests": 4, "at": "20:00"})]


def test_a_question_outlives_a_response_that_was_cut_off() -> None:
    rehearsal = talking("turns: []")
    rehearsal.type_in("use weather")
    rehearsal.send("response.create")
    rehearsal.send("response.cancel")
    assert said(rehearsal.respond()) == "Which city?"
    assert calls(ask(rehearsal, "Paris")) == [("weather", {"city": "Paris"})]


def test_a_question_outlives_a_rebuilt_conversation() -> None:
    rehearsal = talking("turns: []")
    rehearsal.type_in("use weather")
    content = [{"type": "output_text", "text": "Which city?"}]
    rehearsal.send("conversation.item.create", item={"type": "message", "role": "assistant", "content": content})
    assert calls(ask(rehearsal, "Paris")) == [("weather", {"city": "Paris"})]


@pytest.mark.parametrize(("answer", "approved"), [("Yes, please.", True), ("no, better not", False)])
def test_a_yes_or_no_is_passed_on(answer: str, approved: bool) -> None:
    close = tool("close_account", "Close an account.", name={"type": "string"})
    rehearsal = talking("turns: []", close, *BUILT_IN)
    assert calls(ask(rehearsal, "close account named Alice")) == [("close_account", {"name": "Alice"})]
    order = ASK.format('close_account with {"name": "Alice"}')
    content = [{"type": "input_text", "text": order}]
    rehearsal.send("conversation.item.create", item={"type": "message", "role": "system", "content": content})
    assert said(rehearsal.respond()) == "May I use close account with name Alice? Please say yes or no."
    response = ask(rehearsal, answer)
    assert calls(response) == [("answer_approval", {"approved": approved})]
    rehearsal.answer(the_call(response), json.dumps({"approved" if approved else "denied": "close_account"}))
    told = "All right, I am doing it." if approved else "All right, then I leave it."
    assert said(rehearsal.respond()) == told


def test_a_running_call_is_stopped_when_the_user_does_not_want_it() -> None:
    rehearsal = talking("turns: []", INVOICE, *BUILT_IN)
    ask(rehearsal, "use lookup invoice number INV-1")
    assert calls(ask(rehearsal, "never mind")) == [("cancel_call", {})]


def test_without_a_call_there_is_nothing_to_approve_or_to_stop() -> None:
    rehearsal = talking("turns: []", INVOICE, *BUILT_IN)
    for sentence in ("yes", "never mind"):
        assert said(ask(rehearsal, sentence)) == "I can look up an invoice."


def test_the_same_call_is_not_made_again_while_it_runs() -> None:
    rehearsal = talking("turns: []")
    ask(rehearsal, "use lookup invoice number INV-1")
    assert said(ask(rehearsal, "use lookup invoice number INV-1")) == "I'm still waiting on that."


def test_what_fits_nothing_is_answered_by_what_can_be_done() -> None:
    assert said(ask(talking("turns: []", INVOICE), "tell me a joke")) == "I can look up an invoice."
    assert said(ask(talking("like: demo", INVOICE), "tell me a joke")) == "I can look up an invoice."
    told = said(ask(talking("like: demo", *SESSION[:3], INVOICE), "tell me a joke"))
    assert told.endswith("What would you like? I can also look up an invoice.")


def test_a_scenario_can_do_without() -> None:
    rehearsal = talking("understands: false\notherwise: Pardon?", INVOICE)
    assert said(ask(rehearsal, "use lookup invoice number INV-1")) == "Pardon?"
