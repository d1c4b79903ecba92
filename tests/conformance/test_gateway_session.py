"""What an agent's file says of the session is what the Realtime API is told, by a gateway that keeps the secrets."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import HOSTED_TOKEN, Stage
from tests.conformance.player.model import Call, Model
from tests.conformance.player.wire import Wire

QUESTION = "What is the weather in Oslo?"
ANSWER = "Foggy, 12 degrees."
TRANSCRIPTION = {"model": "gpt-transcribe", "languages": ["de", "en"]}
AS_WRITTEN = {
    "output_modalities": ["text"],
    "parallel_tool_calls": True,
    "max_output_tokens": 4096,
    "tracing": "auto",
    "reasoning": {"effort": "low"},
    "truncation": {
        "type": "retention_ratio",
        "retention_ratio": 0.8,
        "token_limits": {"post_instructions": 8000},
    },
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad"},
            "format": {"type": "audio/pcmu"},
            "noise_reduction": {"type": "near_field"},
            "transcription": TRANSCRIPTION,
        },
        "output": {"voice": "marin", "speed": 1.1, "format": {"type": "audio/pcmu"}},
    },
    "resumption": {"enabled": True},
}
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def script(wire: Wire) -> None:
    model = Model(wire)
    await model.open()
    assert await model.hear_question() == QUESTION
    calls = (Call.of("weather", "call_1", city="Oslo"),)
    await model.call(calls)
    await model.answer(ANSWER, await model.take_answers(1))


async def test_all_of_the_file_is_told_and_a_call_goes_round(stage: Stage) -> None:
    async with stage.upstream(script) as upstream, stage.line.call(agent="hosted") as caller:
        await caller.ask(QUESTION)
        assert await caller.hear_answer() == ANSWER
    session = upstream.wire.by_gateway("session.update")[0]["session"]
    assert {name: session[name] for name in AS_WRITTEN} == AS_WRITTEN


async def test_what_opens_a_hosted_server_reaches_the_realtime_api_alone(stage: Stage) -> None:
    async with stage.upstream(script) as upstream, stage.line.call(agent="hosted") as caller:
        await caller.ask(QUESTION)
        await caller.hear_answer()
    updates = upstream.wire.by_gateway("session.update")
    hosted = [tool for update in updates for tool in update["session"]["tools"] if tool["type"] == "mcp"]
    assert len(hosted) == len(updates), "it stands in each list of tools"
    assert all(tool["authorization"] == HOSTED_TOKEN and "authorization_env" not in tool for tool in hosted)
    assert HOSTED_TOKEN not in str(caller.heard)
    assert HOSTED_TOKEN not in (stage.line.logs / "gateway.log").read_text(encoding="utf-8")


async def test_a_client_cannot_turn_off_the_transcription_that_the_agent_insists_on(stage: Stage) -> None:
    off = {"type": "session.update", "session": {"audio": {"input": {"transcription": None}}}}
    async with stage.upstream(script) as upstream, stage.line.call(agent="hosted") as caller:
        await caller.hear_kind("session.created")
        await caller.send(off)
        await caller.ask(QUESTION)
        await caller.hear_answer()
    told = [update["session"].get("audio", {}) for update in upstream.wire.by_gateway("session.update")]
    assert [audio["input"]["transcription"] for audio in told if "transcription" in audio.get("input", {})] == [
        TRANSCRIPTION
    ]
