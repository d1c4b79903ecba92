"""What a rebuilt conversation is told: in order, as heard, no output without its call, within a bound."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from gateway.conversation.item_log import NOT_TRANSCRIBED
from gateway.conversation.reconnect.replay import AT_THE_END, ConversationHistory, history_of
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.tool_calls.rendering import DeliveryContext
from ringback.ids import job_id_of
from ringback.jobs.outcomes import succeeded
from ringback.jobs.states import output_item_id
from ringback.statements.sessions.items import Message

SESSION = UUID("6ad5b6a2-3d0c-8f2b-9a39-3c1a6f0d2b11")


def user(position: int, text: str = "hello", kind: str = "input_text") -> Message:
    return Message(position, f"item_{position}", "user", [{"type": kind, "text": text}])


def model(position: int, text: str = "Hello.") -> Message:
    return Message(position, f"item_{position}", "assistant", [{"type": "output_text", "text": text}])


def call(position: int, *, result: Any = None, is_news: bool = False) -> PastCall:
    name = f"call_{position}"
    outcome = None if result is None else succeeded(result)
    return PastCall(
        job_id_of(SESSION, name),
        position,
        f"item_{position}",
        name,
        "R1",
        "weather",
        {"city": "Rome"},
        outcome,
        is_news,
    )


def told(past: ConversationHistory) -> list[str]:
    lines = []
    for item in past.items():
        match item:
            case {"type": "message", "role": role, "content": content}:
                lines.append(f"{role}: " + " ".join(part["text"] for part in content))
            case {"type": kind, "call_id": call_id}:
                lines.append(f"{kind} {call_id}")
    return lines


def test_items_come_in_the_order_in_which_they_were_said() -> None:
    past = ConversationHistory(
        [model(2), user(1), user(4, "and?"), model(5, "It is sunny.")], [call(3, result="sunny")]
    )
    assert told(past) == [
        "user: hello",
        "assistant: Hello.",
        "function_call call_3",
        "function_call_output call_3",
        "user: and?",
        "assistant: It is sunny.",
    ]


def test_what_the_assistant_said_is_output_text_and_every_item_keeps_its_id() -> None:
    said, asked, answered = ConversationHistory([model(1)], [call(2, result={"sky": "clear"})]).items()
    assert said == {
        "id": "item_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello."}],
    }
    assert asked == {
        "id": "item_2",
        "type": "function_call",
        "call_id": "call_2",
        "name": "weather",
        "arguments": '{"city": "Rome"}',
    }
    assert answered["id"] == output_item_id(job_id_of(SESSION, "call_2"))
    assert answered["output"] == '{"sky": "clear"}'


def test_a_call_that_still_runs_is_told_without_an_output() -> None:
    assert told(ConversationHistory([user(1)], [call(2)])) == ["user: hello", "function_call call_2"]


@pytest.mark.parametrize(("text", "said"), [("good day", "good day"), ("", NOT_TRANSCRIBED)])
def test_speech_is_told_as_text_or_as_speech_that_nobody_wrote_down(text: str, said: str) -> None:
    assert told(ConversationHistory([user(1, text, "input_audio")])) == [f"user: {said}"]


def test_an_answer_of_which_nothing_was_heard_is_not_told() -> None:
    assert told(ConversationHistory([user(1), model(2, "")])) == ["user: hello"]


def test_an_item_keeps_its_id_however_long() -> None:
    (item,) = ConversationHistory([Message(1, "x" * 33, "user", [{"type": "input_text", "text": "hello"}])]).items()
    assert item["id"] == "x" * 33, "what a server takes is known where it is told"


@pytest.mark.parametrize(
    ("last", "calls", "waits"),
    [
        (user(2, "hm", "input_audio"), [], True),
        (user(2, "hm", "input_audio"), [call(1)], True),
        (user(2, "hm", "input_audio"), [call(3)], False),
        (user(2, "typed"), [], False),
        (model(2), [], False),
    ],
    ids=["spoken", "spoken after a call", "led to a call", "typed", "answered"],
)
def test_a_spoken_last_word_of_the_users_waits_for_an_answer(last: Message, calls: list[PastCall], waits: bool) -> None:
    assert ConversationHistory([model(0), last], calls).user_waits is waits
    assert not ConversationHistory().user_waits, "nobody waits in an empty session"


# — out of rows —


def row(position: int | None, **columns: Any) -> SimpleNamespace:
    shown: dict[str, Any] = {
        "id": job_id_of(SESSION, f"call_{position}"),
        "position": position,
        "answer_position": 5,
        "item_id": f"item_{position}",
        "call_id": f"call_{position}",
        "response_id": "R1",
        "tool": "weather",
        "arguments": {},
        "state": "succeeded",
        "delivery": "replayed",
        "delivered_epoch": 2,
        "result": "sunny",
        "error": None,
        "cancel_reason": None,
        "effect": "pure",
        "manners": {},
        "approval": None,
        "joined_to": None,
        "age": 3.5,
        "took": 1.5,
    }
    return SimpleNamespace(**(shown | columns))


def spoken(position: int, role: str = "assistant") -> SimpleNamespace:
    return SimpleNamespace(position=position, item_id=f"m{position}", role=role, content=[])


@pytest.mark.parametrize(
    ("had_at", "messages", "is_news"),
    [
        (5, [spoken(6)], False),
        (5, [spoken(4)], True),
        (5, [spoken(5)], True),
        (5, [spoken(6, "user")], True),
        (5, [], True),
        (None, [], True),
    ],
    ids=["told", "spoken before", "being spoken as it came", "the user spoke", "silence", "nothing at all"],
)
def test_a_result_is_news_unless_somebody_spoke_after_the_conversation_had_it(
    had_at: int | None, messages: list[SimpleNamespace], is_news: bool
) -> None:
    (call,) = history_of(messages, [row(3, answer_position=had_at)], 2).calls
    assert (call.outcome is not None, call.is_news) == (True, is_news)


def test_a_result_that_this_gateway_knows_to_be_untold_is_news() -> None:
    (call,) = history_of([spoken(9)], [row(3)], 2, {"call_3"}).calls
    assert call.is_news


@pytest.mark.parametrize(
    "columns",
    [{"state": "running", "delivery": "none"}, {"delivery": "ready"}, {"delivered_epoch": 1}],
    ids=["runs", "came after the replay", "an earlier epoch's"],
)
def test_only_what_the_replay_took_in_has_an_output(columns: dict[str, Any]) -> None:
    (call,) = history_of([], [row(3, **columns)], 2).calls
    assert (call.outcome, call.is_news) == (None, False)


def test_a_call_without_a_place_comes_last() -> None:
    past = history_of([], [row(None), row(1)], 2)
    assert [call.position for call in past.calls] == [AT_THE_END, 1]
    assert past.places == [("item_1", 1)]


@pytest.mark.parametrize(
    ("reason", "is_unwanted"),
    [(None, False), ("operator", False), ("denied", False), ("caller", True), ("barge_in", True), ("replaced", True)],
)
def test_what_the_caller_wanted_cancelled_is_not_brought_up(reason: str | None, is_unwanted: bool) -> None:
    (call,) = history_of([], [row(3, state="running", delivery="none", cancel_reason=reason)], 2).calls
    assert call.is_unwanted is is_unwanted
    assert call.as_call(0, 0.0).is_unwanted is is_unwanted


@pytest.mark.parametrize(
    ("had_at", "told"),
    [(5, "sunny"), (6, "out_of_date")],
    ids=["it was told in time and does not go out of date", "nobody has told it, and by now it is"],
)
def test_a_result_goes_out_of_date_until_it_is_told(had_at: int, told: str) -> None:
    late = row(3, answer_position=had_at, manners={"drop_after": 3.0}, took=1.5, age=3.5)
    _, output = history_of([spoken(6)], [late], 2).items()
    assert told in output["output"]


def test_a_call_is_of_the_last_turn_where_its_place_is_known_and_the_user_has_not_spoken_since() -> None:
    past = history_of([spoken(4, "user"), spoken(7)], [row(None), row(6), row(3)], None)
    assert [call.is_of_last_turn for call in past.calls] == [False, True, False]


def test_a_running_call_is_late_where_the_user_has_spoken_since() -> None:
    early, late = history_of([spoken(4, "user")], [row(5, delivery="none"), row(3, delivery="none")], 2).calls
    assert (early.as_call(7, 0.0).turn, late.as_call(7, 0.0).turn) == (7, 6)


def test_an_output_that_a_gateway_before_may_have_sent_is_known_by_its_secret_id() -> None:
    running, sent = call(1), replace(call(2, result="sunny"), may_be_there=True)
    ready = replace(call(3), may_be_there=True)
    past = ConversationHistory(calls=[running, sent, ready])
    ids = [output_item_id(each.job_id, "secret") for each in (sent, ready)]
    item = {"id": ids[0], "type": "function_call_output", "call_id": "call_2", "output": "sunny"}
    assert past.outputs(DeliveryContext(), lambda job_id: output_item_id(job_id, "secret")) == {
        ids[0]: item,
        ids[1]: None,
    }
