"""What of a long past fits the model's window: what is large is cut or named, and the rest is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from gateway.conversation.reconnect.memory import (
    ITEM_TOKENS,
    PICTURE_TOKENS,
    SHORT_CHARS,
    SMALL_BUDGET,
    budget,
    tokens_of,
)
from gateway.conversation.reconnect.replay import ConversationHistory
from gateway.conversation.tool_calls.past_call import PastCall
from gateway.conversation.tool_calls.rendering import DeliveryContext
from ringback.agents.agent import Agent
from ringback.ids import job_id_of
from ringback.jobs.outcomes import succeeded
from ringback.statements.sessions.items import IMAGE_LEFT_OUT, Message

SESSION = UUID("6ad5b6a2-3d0c-8f2b-9a39-3c1a6f0d2b11")
TALK = [
    Message(number, f"item_{number}", "user", [{"type": "input_text", "text": f"turn {number}"}])
    for number in range(1, 21)
]
PICTURE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 50_000}


def message(position: int, *parts: dict[str, Any]) -> Message:
    return Message(position, f"item_{position}", "user", list(parts))


def typed(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


def call(position: int, result: str, *, is_news: bool = False) -> PastCall:
    name = f"call_{position}"
    return PastCall(
        job_id_of(SESSION, name), position, f"item_{position}", name, "R1", "mail", {}, succeeded(result), is_news
    )


def turns(items: list[dict[str, Any]]) -> list[str]:
    """The turns of the talk that were told."""
    said = (part.get("text", "") for item in items for part in item.get("content", ()))
    return [text for text in said if text.startswith("turn ")]


def outputs(items: list[dict[str, Any]]) -> dict[str, str]:
    return {item["call_id"]: item["output"] for item in items if "output" in item}


ALL = [f"turn {number}" for number in range(1, 21)]


def test_a_picture_takes_the_tokens_of_a_picture_and_nothing_older_along() -> None:
    items = ConversationHistory([*TALK, message(21, PICTURE, typed("and this?"))]).items()
    assert turns(items) == ALL
    assert items[-1]["content"] == [PICTURE, typed("and this?")]


def test_pictures_that_do_not_fit_are_named_the_oldest_first() -> None:
    items = ConversationHistory([*TALK, *(message(number, PICTURE) for number in range(21, 61))]).items()
    assert turns(items) == ALL
    kinds = [item["content"][0]["type"] for item in items[20:]]
    kept = kinds.count("input_image")
    assert 4 <= kept < 40
    assert kinds == ["input_text"] * (40 - kept) + ["input_image"] * kept
    assert items[20]["content"] == [typed(IMAGE_LEFT_OUT)]
    assert tokens_of(items) <= SMALL_BUDGET


def test_the_newest_pictures_are_told_however_many_were_shown() -> None:
    items = ConversationHistory([message(number, PICTURE) for number in range(1, 501)]).items()
    assert [part["type"] for item in items[-2:] for part in item["content"]] == ["input_image"] * 2
    assert len(items) > 300, "that the others were shown is told"
    assert tokens_of(items) <= SMALL_BUDGET


def test_long_results_that_were_told_are_cut_and_everything_older_is_kept() -> None:
    items = ConversationHistory(TALK, [call(number, "x" * 16_000) for number in range(21, 31)]).items()
    assert turns(items) == ALL
    lengths = [len(output) for output in outputs(items).values()]
    assert all(length <= SHORT_CHARS for length in lengths[:-2]), "the oldest are cut"
    assert lengths[-1] == 16_000, "the newest is told as a whole"
    assert "more characters]" in outputs(items)["call_21"]
    assert tokens_of(items) <= SMALL_BUDGET


def test_a_long_text_is_cut_where_there_is_no_room_for_it() -> None:
    items = ConversationHistory([*(message(number, typed("y" * 16_000)) for number in range(-9, 1)), *TALK]).items()
    assert turns(items) == ALL
    pasted = [item["content"][0]["text"] for item in items[:-20]]
    assert len(pasted) == 10
    assert pasted[0].endswith(f" … [cut: {16_000 - SHORT_CHARS + 48} more characters]")
    assert len(pasted[-1]) == 16_000


def test_results_that_are_news_have_a_share_of_their_own_and_are_cut_to_it() -> None:
    news = [call(21, "short", is_news=True), *(call(number, "z" * 16_000, is_news=True) for number in range(22, 26))]
    items = ConversationHistory(TALK, news).items()
    assert turns(items) == ALL
    told = outputs(items)
    assert told.pop("call_21") == "short"
    assert len(told) == 4
    assert all(3_000 < len(output) < 5_000 and "more characters]" in output for output in told.values())


def test_the_longest_news_alone_is_cut_and_a_call_that_runs_is_told_however_long_it_is() -> None:
    running = PastCall(job_id_of(SESSION, "r"), 1, "item_1", "call_r", "R1", "mail", {"text": "w" * 60_000})
    items = ConversationHistory(
        TALK, [running, *(call(number, "z" * 1_000, is_news=True) for number in (21, 22))]
    ).items()
    assert turns(items) == ALL
    assert "w" * 60_000 in items[0]["arguments"]
    assert [len(output) for output in outputs(items).values()] == [1_000, 1_000]


def test_what_is_too_large_to_be_cut_is_skipped_and_not_what_is_older() -> None:
    large = PastCall(
        job_id_of(SESSION, "l"), 21, "item_21", "call_l", "R1", "mail", {"t": "v" * 90_000}, succeeded("done")
    )
    assert turns(ConversationHistory(TALK, [large]).items()) == ALL


def test_what_is_oldest_is_left_out_where_even_the_short_does_not_fit() -> None:
    items = ConversationHistory([*TALK, *(message(number, typed("u" * 1_900)) for number in range(21, 61))]).items()
    assert turns(items) == []
    positions = [int(item["id"].removeprefix("item_")) for item in items]
    assert positions == list(range(positions[0], 61))
    assert SMALL_BUDGET - 600 < tokens_of(items) <= SMALL_BUDGET


@pytest.mark.parametrize(
    ("items", "tokens"),
    [
        ([{"type": "message", "content": [typed("a" * 400)]}], 100 + 2 * ITEM_TOKENS),
        ([{"type": "message", "content": [typed("漢" * 400)]}], 300 + 2 * ITEM_TOKENS),
        ([{"type": "message", "content": [PICTURE]}], PICTURE_TOKENS + 2 * ITEM_TOKENS),
        ([{"type": "function_call", "name": "mail", "arguments": "{}", "call_id": "c" * 32}], 1 + ITEM_TOKENS),
        ([{"type": "function_call_output", "output": "b" * 40, "id": "fco_1"}], 10 + ITEM_TOKENS),
        ([], 0),
    ],
    ids=["english", "chinese", "picture", "call", "output", "nothing"],
)
def test_tokens_are_estimated_by_the_words_and_the_pictures(items: list[dict[str, Any]], tokens: int) -> None:
    assert tokens_of(items) == tokens


@pytest.mark.parametrize(
    ("model", "memory", "tokens"),
    [
        ("gpt-realtime", None, 12_288),
        ("gpt-realtime-2025-08-28", None, 12_288),
        ("gpt-realtime-1.5", None, 12_288),
        ("my-deployment", None, 12_288),
        ("gpt-realtime-2", None, 48_000),
        ("gpt-realtime-2.1-mini", None, 48_000),
        ("gpt-realtime-2.1", 5_000, 5_000),
    ],
)
def test_the_budget_is_the_agents_or_a_share_of_its_models_window(model: str, memory: int | None, tokens: int) -> None:
    assert budget(Agent(name="a", instructions="i", model=model, memory_tokens=memory)) == tokens


def test_a_result_is_no_longer_than_the_agent_lets_it_be() -> None:
    context = DeliveryContext(max_chars=600)
    told = outputs(ConversationHistory([], [call(1, "x" * 5_000), call(2, "x" * 5_000, is_news=True)]).items(context))
    assert all(len(output) <= 600 for output in told.values())
