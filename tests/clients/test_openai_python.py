"""The official `openai` package for Python, with only its base URL and its key changed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.exceptions import InvalidStatus

from simulator.speech import synthesis
from tests.line import PATIENCE, PLACED, TOKEN, Line, eventually, spoken

LONDON = "In London, UK it is 12 degrees with light rain."
QUESTION = "What is the weather in London UK?"
CHUNK_BYTES = 4_800
PAUSE = bytes(2 * 24_000)
"""A second of silence: the model knows by it that the question is over."""

KNOWN_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def user(text: str) -> Any:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def last_words(connection: Any) -> tuple[list[Any], str]:
    """Every event up to the answer that comes of the function, and that answer."""
    events = []
    async with asyncio.timeout(PATIENCE):
        while True:
            events.append(await connection.recv())
            if events[-1].type == "response.done" and LONDON in spoken(events[-1].to_dict(mode="json")):
                return events, spoken(events[-1].to_dict(mode="json"))


@asynccontextmanager
async def connected(line: Line, model: str = "gpt-realtime", token: str = TOKEN) -> AsyncIterator[Any]:
    """The asynchronous client's connection."""
    async with (
        AsyncOpenAI(api_key=token, base_url=f"{line.url}/v1") as client,
        client.realtime.connect(model=model) as connection,
    ):
        yield connection


async def converse(line: Line, *, model: str = "gpt-realtime", session: Any = None) -> tuple[list[Any], str]:
    """A typed question over the asynchronous client, after a session.update of its own if there is one."""
    async with connected(line, model) as connection:
        if session is not None:
            await connection.session.update(session=session)
        await connection.conversation.item.create(item=user(QUESTION))
        await connection.response.create()
        return await last_words(connection)


def test_a_typed_question_is_answered_over_the_asynchronous_client(line: Line) -> None:
    events, answer = asyncio.run(converse(line))
    assert answer == LONDON
    assert events[0].type == "session.created"
    assert [event for event in events if event.type == "error"] == []


def test_every_event_is_one_that_the_sdk_knows_and_can_check(line: Line) -> None:
    events, _ = asyncio.run(converse(line))
    for event in events:
        KNOWN_EVENT.validate_python(event.to_dict(mode="json"))


# What the SDK calls `websockets` with is between these two.
@pytest.mark.filterwarnings("ignore:.*must be used as a context manager:DeprecationWarning")
def test_a_typed_question_is_answered_over_the_synchronous_client(line: Line) -> None:
    with (
        OpenAI(api_key=TOKEN, base_url=f"{line.url}/v1") as client,
        client.realtime.connect(model="gpt-realtime") as connection,
    ):
        connection.conversation.item.create(item=user(QUESTION))
        connection.response.create()
        assert any(answers(connection))


def answers(connection: Any) -> Iterator[bool]:
    for event in connection:
        assert event.type != "error"
        yield event.type == "response.done" and spoken(event.to_dict(mode="json")) == LONDON


def test_a_spoken_question_is_heard_and_answered_aloud(line: Line) -> None:
    async def go() -> tuple[list[Any], str]:
        async with connected(line) as connection:
            sound = synthesis.speak("what is the weather in london") + PAUSE
            for start in range(0, len(sound), CHUNK_BYTES):
                chunk = base64.b64encode(sound[start : start + CHUNK_BYTES]).decode()
                await connection.input_audio_buffer.append(audio=chunk)
            return await last_words(connection)

    events, _ = asyncio.run(go())
    kinds = [event.type for event in events]
    heard = [event.transcript for event in events if event.type.endswith("input_audio_transcription.completed")]
    assert heard == ["what is the weather in london"]
    assert "input_audio_buffer.speech_started" in kinds
    assert sum(len(base64.b64decode(e.delta)) for e in events if e.type == "response.output_audio.delta") > 24_000


@pytest.mark.parametrize("model", ["a-model-that-nobody-has", "demo", "gpt-4o-realtime-preview-2025-06-03"])
def test_whatever_model_is_named_the_agent_decides(model: str, line: Line) -> None:
    events, answer = asyncio.run(converse(line, model=model))
    assert answer == LONDON
    assert events[0].session.model == "gpt-realtime-2.1"


OWN_TOOL = {"type": "function", "name": "own_tool", "description": "mine", "parameters": {"type": "object"}}
OWN_SESSION = {
    "type": "realtime",
    "instructions": "You are a pirate.",
    "tools": [OWN_TOOL],
    "tool_choice": "none",
    "model": "gpt-realtime-mini",
    "prompt": {"id": "pmpt_1"},
    "tracing": "auto",
    "include": ["item.input_audio_transcription.logprobs"],
    "max_output_tokens": 100,
    "truncation": "auto",
    "output_modalities": ["text"],
    "audio": {"input": {"noise_reduction": None, "turn_detection": None}, "output": {"voice": "cedar", "speed": 1.0}},
}


def test_a_session_update_of_the_clients_sets_how_it_hears_and_never_who_the_model_is(line: Line) -> None:
    events, answer = asyncio.run(converse(line, session=OWN_SESSION))
    assert answer == LONDON
    (updated,) = [event for event in events if event.type == "session.updated"]
    assert updated.session.output_modalities == ["text"]
    assert updated.session.audio.input.turn_detection is None
    kinds = {event.type for event in events}
    assert "response.output_text.delta" in kinds
    assert "response.output_audio.delta" not in kinds
    assert "error" not in kinds
    assert never_sent_upstream(line, "pirate", "own_tool", "pmpt_1", "cedar", "gpt-realtime-mini") == []


def never_sent_upstream(line: Line, *words: str) -> list[str]:
    """Those of the words that did reach the Realtime API, in any session of this line."""
    said = json.dumps(line.upstream_frames())
    return [word for word in words if word in said]


def test_a_session_update_with_nothing_for_the_client_to_say_is_confirmed_all_the_same(line: Line) -> None:
    session = {"type": "realtime", "instructions": "You are a corsair.", "tools": [OWN_TOOL]}
    events, answer = asyncio.run(converse(line, session=session))
    assert answer == LONDON
    (updated,) = [event for event in events if event.type == "session.updated"]
    assert (updated.session.instructions, updated.session.tools) == (None, [])
    assert never_sent_upstream(line, "corsair", "own_tool") == []


def test_extra_fields_of_a_response_are_left_out_and_its_metadata_comes_back(line: Line) -> None:
    response: Any = {
        "instructions": "Answer in Dutch.",
        "tools": [OWN_TOOL],
        "tool_choice": "none",
        "input": [user("Say a swear word.")],
        "max_output_tokens": 10,
        "output_modalities": ["text"],
        "metadata": {"client_event_id": "response_create_1"},
    }

    async def go() -> list[Any]:
        async with connected(line) as connection:
            await connection.conversation.item.create(item=user(QUESTION))
            await connection.response.create(response=response)
            return (await last_words(connection))[0]

    events = asyncio.run(go())
    created = [event.response for event in events if event.type == "response.created"]
    assert created[0].metadata == {"client_event_id": "response_create_1"}
    assert never_sent_upstream(line, "Dutch", "swear", "own_tool") == []


def test_an_unknown_token_is_refused_at_the_upgrade_with_an_error_in_openais_shape(line: Line) -> None:
    async def go() -> None:
        async with connected(line, token="not-known-here"):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(go())
    response = refused.value.response
    assert response.status_code == 401
    assert json.loads(response.body)["error"]["code"] == "invalid_api_key"


def test_the_history_knows_the_call_of_a_conversation(line: Line) -> None:
    events, _ = asyncio.run(converse(line))

    def delivered() -> bool:
        told = [(job["tool"], job["delivery"] in PLACED) for job in line.jobs(events[0].session.id)]
        return told == [("weather", True)]

    eventually(delivered, "one acknowledged call of `weather`")
