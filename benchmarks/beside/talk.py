"""What a sideband is shown of a talk over WebRTC: everything but the voices. Pure.

A turn is a recorded one of a voice, event by event and word by word, without its audio; with what the same servers were
seen to send on calls beside it: the output audio buffer, and the rate limits. It takes five seconds, so that the model
speaks all the time, as that of `benchmarks.talking.load.model` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]

HEARD = (" Hello", ",", " my", " name", " is", " Ada", ".")
SAID = (
    *("Hi", " Ada", ",", " it's", " great", " to", " meet", " you", "!"),
    *(" What", " can", " I", " help", " you", " with", " today", "?"),
)
PIECES = len(HEARD) + len(SAID)
PIECE_SECONDS = 5.0 / PIECES
TRANSCRIPTION = "conversation.item.input_audio_transcription"
TRANSCRIPT = "response.output_audio_transcript"
USAGE = {
    "total_tokens": 821,
    "input_tokens": 789,
    "output_tokens": 32,
    "input_token_details": {"text_tokens": 313, "audio_tokens": 476, "cached_tokens": 256},
    "output_token_details": {"text_tokens": 9, "audio_tokens": 23},
}
_numbers = itertools.count(1)


def new(kind: str) -> str:
    return f"{kind}_{next(_numbers)}"


def pieces(first: int = 0) -> Iterator[list[Event]]:
    """Yield what is sent with each piece of a transcript, for ever.

    Args:
        first: the piece with which the first turn begins, as it was under way: else all would end at once.
    """
    while True:
        before, words, after = turn()
        for number, word in enumerate(words):
            if number >= first:
                yield [*(before if number == first else ()), word, *(after if number == PIECES - 1 else ())]
        first = 0


def turn() -> tuple[list[Event], list[Event], list[Event]]:
    """Return a turn of the user with its response: what precedes the transcripts, the pieces of these, and the rest."""
    response, user, item, said = new("resp"), new("item"), new("item"), "".join(SAID)
    asked = {"id": user, **_message("user", "completed", {"type": "input_audio", "transcript": None})}
    begun = {"id": item, **_message("assistant", "in_progress")}
    done = {"id": item, **_message("assistant", "completed", {"type": "output_audio", "transcript": said})}
    told = {"object": "realtime.response", "id": response, "conversation_id": "conv_1", "metadata": None}
    of_response, of_user = {"response_id": response, "output_index": 0}, {"item_id": user, "content_index": 0}
    at = {**of_response, "item_id": item, "content_index": 0}
    before: list[Event] = [
        {"type": "input_audio_buffer.speech_started", "item_id": user, "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": user, "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": user, "previous_item_id": None},
        {"type": "conversation.item.added", "item": asked, "previous_item_id": None},
        {"type": "conversation.item.done", "item": asked, "previous_item_id": None},
        {"type": "response.created", "response": {**told, "status": "in_progress", "output": [], "usage": None}},
        {"type": "response.output_item.added", **of_response, "item": begun},
        {"type": "conversation.item.added", "item": begun, "previous_item_id": user},
        {"type": "response.content_part.added", **at, "part": {"type": "audio", "transcript": ""}},
        {"type": "output_audio_buffer.started", "response_id": response},
    ]
    words: list[Event] = [
        *({"type": f"{TRANSCRIPTION}.delta", **of_user, "delta": word} for word in HEARD),
        *({"type": f"{TRANSCRIPT}.delta", **at, "delta": word} for word in SAID),
    ]
    after: list[Event] = [
        {"type": f"{TRANSCRIPTION}.completed", **of_user, "transcript": "".join(HEARD).strip()},
        {"type": "response.output_audio.done", **at},
        {"type": f"{TRANSCRIPT}.done", **at, "transcript": said},
        {"type": "response.content_part.done", **at, "part": {"type": "audio", "transcript": said}},
        {"type": "conversation.item.done", "item": done, "previous_item_id": user},
        {"type": "response.output_item.done", **of_response, "item": done},
        {"type": "response.done", "response": {**told, "status": "completed", "output": [done], "usage": USAGE}},
        {"type": "rate_limits.updated", "rate_limits": []},
        {"type": "output_audio_buffer.stopped", "response_id": response},
    ]
    return before, words, after


def _message(role: str, status: str, *content: Event) -> Event:
    return {"type": "message", "status": status, "role": role, "content": list(content)}
