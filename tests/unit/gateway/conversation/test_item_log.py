"""The log of what was said: in order, in the words that were said or heard."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.conversation.item_log import MAX_CHARS, MAX_IMAGE_CHARS, MAX_MESSAGES, MAX_TEXT_CHARS, ItemLog
from gateway.upstream.events import Item, ItemShown
from ringback.statements.sessions.items import IMAGE_LEFT_OUT, Message
from tests.unit.gateway.conversation.script import meant

Event = dict[str, Any]


def hear(log: ItemLog, event: Event) -> list[Message]:
    return log.hear(meant(event))


def shown(item_id: str, *content: Event, role: str = "user", kind: str = "added") -> Event:
    item = {"id": item_id, "type": "message", "role": role, "content": list(content)}
    return {"type": f"conversation.item.{kind}", "item": item}


def typed(text: str) -> Event:
    return {"type": "input_text", "text": text}


def words(item_id: str, text: str) -> Event:
    return {"type": "response.output_audio_transcript.delta", "item_id": item_id, "delta": text}


def told(messages: list[Message]) -> list[tuple[int, str, str]]:
    return [(m.position, m.role, " ".join(part.get("text", "") for part in m.content)) for m in messages]


def test_messages_and_calls_stand_in_one_order() -> None:
    log = ItemLog()
    assert told(hear(log, shown("u1", typed("hello")))) == [(1, "user", "hello")]
    hear(log, {"type": "conversation.item.added", "item": {"id": "f1", "type": "function_call"}})
    assert told(hear(log, shown("u2", typed("again")))) == [(3, "user", "again")]
    assert log.place_of_call("f1") == 2
    assert log.place_of_call("f2") == 4
    assert log.place_of_call("f1") == 2, "it keeps its place"


def test_an_output_has_no_place_of_its_own() -> None:
    log = ItemLog()
    hear(log, {"type": "conversation.item.added", "item": {"id": "o1", "type": "function_call_output"}})
    assert told(hear(log, shown("u1", typed("hello")))) == [(1, "user", "hello")]


def test_speech_is_written_down_once_it_is_there_and_again_once_it_is_transcribed() -> None:
    log = ItemLog()
    spoken = shown("u1", {"type": "input_audio", "transcript": None})
    assert told(hear(log, spoken)) == [(1, "user", "")]
    event = {
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "u1",
        "transcript": "good day\n",
    }
    assert told(hear(log, event)) == [(1, "user", "good day")]


def test_an_answer_is_written_down_when_it_is_done() -> None:
    log = ItemLog()
    assert hear(log, shown("a1", role="assistant")) == []
    assert hear(log, words("a1", "Good ")) == []
    assert told(log.unfinished()) == [(1, "assistant", "Good ")]
    heard = {"type": "output_audio", "transcript": "Good morning."}
    assert told(hear(log, shown("a1", heard, role="assistant", kind="done"))) == [(1, "assistant", "Good morning.")]
    assert hear(log, shown("a1", heard, role="assistant", kind="done")) == [], "nothing new"
    assert log.unfinished() == []


@pytest.mark.parametrize(
    ("sound_ms", "heard_ms", "heard"),
    [
        (1_000, 500, "one two"),
        (1_000, 0, ""),
        (1_000, 5_000, "one two three four"),
        pytest.param(0, 500, "one two", id="its sound went past the gateway: by the length of its words"),
        pytest.param(0, 0, "", id="its sound went past the gateway, and none was heard"),
        pytest.param(0, 1_300, "one two three four", id="its sound went past the gateway, and all was heard"),
    ],
)
def test_of_an_answer_that_was_cut_short_only_what_was_heard_is_kept(sound_ms: int, heard_ms: int, heard: str) -> None:
    log = ItemLog()
    hear(log, shown("a1", role="assistant"))
    log.note_audio("a1", sound_ms * 64)  # base64 of PCM16 at 24 kHz
    whole = {"type": "output_audio", "transcript": "one two three four"}
    hear(log, shown("a1", whole, role="assistant", kind="done"))
    cut = {"type": "conversation.item.truncated", "item_id": "a1", "audio_end_ms": heard_ms, "content_index": 0}
    assert told(hear(log, cut)) == [(1, "assistant", heard)]
    assert hear(log, shown("a1", whole, role="assistant", kind="done")) == [], (
        "what the server says later was not heard"
    )


def test_a_word_that_was_begun_was_not_heard() -> None:
    log = ItemLog([Message(1, "a1", "assistant", [{"type": "output_text", "text": "immediately"}])])
    hear(log, shown("a2", role="assistant"))
    log.note_audio("a2", 64_000)
    hear(log, shown("a2", {"type": "output_audio", "transcript": "certainly not"}, role="assistant", kind="done"))
    assert told(log.truncate("a2", 900)) == [(2, "assistant", "certainly")]


def test_what_comes_after_an_earlier_epoch_stands_after_it() -> None:
    log = ItemLog([Message(7, "u1", "user", [typed("hello")])], [("f1", 9)])
    assert log.place_of_call("f1") == 9
    assert told(hear(log, shown("u2", typed("again")))) == [(10, "user", "again")]
    assert hear(log, shown("u1", typed("hello"))) == [], "its echo is no news"


def test_a_picture_that_is_too_large_is_remembered_as_one() -> None:
    log = ItemLog()
    small = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    large = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * MAX_IMAGE_CHARS}
    (message,) = hear(log, shown("u1", small, large))
    assert message.content[0] == small
    assert "picture" in message.content[1]["text"]


def test_the_pictures_of_a_message_have_a_bound_together_and_so_have_its_words() -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * (MAX_IMAGE_CHARS // 2)}
    (message,) = hear(ItemLog(), shown("u1", picture, picture, *[typed("a" * MAX_TEXT_CHARS)] * 3))
    assert [part["type"] for part in message.content] == ["input_image", "input_text", "input_text"]
    assert sum(len(part.get("text", "")) for part in message.content) == MAX_TEXT_CHARS + len(IMAGE_LEFT_OUT)


def test_the_oldest_are_forgotten_where_all_together_are_too_long() -> None:
    log = ItemLog()
    picture = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 200_000}
    for number in range(200):
        hear(log, shown(f"u{number}", picture))
    kept = list(log._said.values())
    assert 200_000 * len(kept) <= MAX_CHARS
    assert kept[-1].item_id == "u199"
    again = ItemLog(message.message() for message in reversed(kept))  # the rows come newest first
    hear(log, shown("u200", picture))
    hear(again, shown("u200", picture))
    assert list(again._said) == list(log._said)


LONG_ID = "50993d4c-8b18-42f0-a54e-dc847687bec1"


def said_before(*, is_carried: bool) -> ItemLog:
    """The log of a conversation that follows one in which an answer had an id of 36 characters."""
    log = ItemLog()
    heard = {"type": "output_audio", "transcript": "Good morning to you."}
    kept = hear(log, shown(LONG_ID, heard, role="assistant", kind="done"))
    return (log if is_carried else ItemLog(kept)).told_anew()


@pytest.mark.parametrize("is_carried", [True, False], ids=["the same gateway", "another one"])
def test_a_late_echo_of_what_was_told_anew_is_no_message(is_carried: bool) -> None:
    log = said_before(is_carried=is_carried)
    assert hear(log, shown(LONG_ID, {"type": "output_text", "text": "Good"}, role="assistant", kind="done")) == []
    assert log.last == 1


def test_a_message_of_an_earlier_conversation_is_cut_short() -> None:
    log = said_before(is_carried=False)
    assert log.is_past(LONG_ID)
    assert log.is_past("a2") is False
    (cut,) = log.truncate(LONG_ID, 0)
    assert cut.item_id == LONG_ID


def test_the_log_has_a_bound() -> None:
    log = ItemLog()
    for number in range(MAX_MESSAGES + 10):
        hear(log, shown(f"u{number}", typed("hello")))
    assert told(hear(log, shown("last", typed("bye")))) == [(MAX_MESSAGES + 11, "user", "bye")]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "conversation.item.added", "item": {}},
        {"type": "conversation.item.added", "item": {"id": "x", "type": "message", "role": "user", "content": [7]}},
        {"type": "conversation.item.truncated", "item_id": "unheard-of", "audio_end_ms": 5},
        {"type": "conversation.item.truncated", "item_id": None, "audio_end_ms": None},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "nobody", "transcript": 5},
        {"type": "response.output_text.delta", "item_id": "nobody", "delta": None},
    ],
)
def test_nonsense_is_no_message(event: Event) -> None:
    assert hear(ItemLog(), event) == []


def test_what_postgres_could_not_keep_is_left_out() -> None:
    log = ItemLog()
    item = Item(id="u1", type="message", role="user", content=[typed("a\x00b\ud800")])
    assert told(log.hear(ItemShown(raw={}, item=item))) == [(1, "user", "ab?")]
