"""Sidebands of a call, as recorded and documented: when they may join, what they see, what they change."""

from __future__ import annotations

import json

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.unit.simulator.calls.placing import against, beside, browser, place, quiet
from tests.unit.simulator.rehearsal import silence, sound

pytestmark = pytest.mark.loopback

TOOLS = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]


async def refusal(url: str) -> int:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url)
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "call_id_not_found"
    return refused.value.response.status_code


def test_an_unknown_call_is_not_found() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        assert await refusal(f"{simulator.url}?call_id=rtc_unknown") == 404

    against(simulator, visit)


def test_a_new_call_is_not_found_for_a_while() -> None:
    simulator = quiet(knobs={"sideband_after_ms": "60000"})

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        assert await refusal(f"{simulator.url}?call_id={call_id}") == 404
        simulator.calls.live[call_id].answered_at -= 60.0
        async with beside(simulator, call_id):
            pass

    against(simulator, visit)


def test_a_call_may_be_not_found_until_its_caller_is_connected() -> None:
    simulator = quiet(knobs={"sideband_needs_caller": "true"})

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        assert await refusal(f"{simulator.url}?call_id={call_id}") == 404
        async with browser(simulator, call_id), beside(simulator, call_id):
            pass

    against(simulator, visit)


def test_nothing_greets_a_sideband_and_both_sides_see_what_either_causes() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await server.send("session.update", session={"type": "realtime", "tools": TOOLS})
            first = await server.until("session.updated")
            assert server.kinds == ["session.updated"]
            assert await caller.until("session.updated") == first
            await caller.ask("What is the weather in London?")
            call = (await server.until("response.function_call_arguments.done"))["call_id"]
            assert (await caller.until("response.function_call_arguments.done"))["call_id"] == call
            await server.until("response.done")
            output = {"type": "function_call_output", "call_id": call, "output": '{"summary": "It rains."}'}
            await server.send("conversation.item.create", item=output)
            await server.send("response.create")
            said = await caller.until("response.output_audio_transcript.done")
            assert said["transcript"] == "It rains."
            assert (await server.until("response.output_audio_transcript.done")) == said

    against(simulator, visit)


def test_sound_is_for_the_callers_ears_and_is_told_when_it_plays() -> None:
    simulator = quiet(scenario="turns: [{hears: ., says: Hello.}]")

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.ask("Hello?")
            for party in (server, caller):
                response = (await party.until("output_audio_buffer.started"))["response_id"]
                assert (await party.until("output_audio_buffer.stopped"))["response_id"] == response
                assert "response.output_audio.delta" not in party.kinds
                assert party.kinds.index("response.done") < party.kinds.index("output_audio_buffer.stopped")
            chime = simulator.speech.speak("")
            assert bytes(caller.sound).startswith(chime)
            assert not any(caller.sound[len(chime) :])

    against(simulator, visit)


def test_who_speaks_over_the_answer_cuts_it_off() -> None:
    simulator = quiet(scenario="knobs: {audio_speed: 0}\nturns: [{hears: ., says: Hello.}]")

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.ask("Hello?")
            item = (await server.until("response.output_item.added"))["item"]["id"]
            await server.until("response.done")
            await caller.until("output_audio_buffer.started")
            await caller.socket.send(silence(100) + sound(200))
            await server.until("input_audio_buffer.speech_started")
            await server.until("output_audio_buffer.cleared")
            cut = await server.until("conversation.item.truncated")
            assert cut["item_id"] == item
            assert cut["audio_end_ms"] < 500

    against(simulator, visit)


def test_either_side_may_clear_what_is_said() -> None:
    simulator = quiet(scenario="knobs: {audio_speed: 0}\nturns: [{hears: ., says: Hello.}]")

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.ask("Hello?")
            await server.until("output_audio_buffer.started")
            await server.send("output_audio_buffer.clear")
            await caller.until("output_audio_buffer.cleared")
            await caller.until("conversation.item.truncated")

    against(simulator, visit)


def test_an_error_is_for_its_author_alone() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.send("response.cancel", event_id="mine")
            assert (await caller.until("error"))["error"]["event_id"] == "mine"
            await server.send("input_audio_buffer.clear")
            await server.until("input_audio_buffer.cleared")
            assert server.kinds == ["input_audio_buffer.cleared"]

    against(simulator, visit)


def test_a_sideband_that_goes_leaves_the_call_and_one_that_comes_back_is_in_it() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller:
            async with beside(simulator, call_id) as server:
                await server.send("session.update", session={"type": "realtime", "instructions": "Mine."})
                await server.until("session.updated")
            async with beside(simulator, call_id) as server:
                await server.send("session.update", session={"type": "realtime", "tools": TOOLS})
                session = (await server.until("session.updated"))["session"]
                assert (session["instructions"], session["tools"][0]["name"]) == ("Mine.", "weather")
            await caller.until("session.updated")

    against(simulator, visit)


def test_the_browser_that_goes_ends_the_call() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.socket.close()
            with pytest.raises(ConnectionClosed):
                await server.socket.recv()
            assert server.socket.close_code == 1000

    against(simulator, visit)


def test_an_expired_session_ends_the_call_for_everybody() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client)
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            assert await client.post("/control", params={"do": "expire"})
            for party in (caller, server):
                assert (await party.until("error"))["error"]["code"] == "session_expired"
                await party.socket.wait_closed()
            assert server.socket.close_code == 1001

    against(simulator, visit)


def test_azures_filter_shows_the_browser_a_few_events_only() -> None:
    simulator = quiet()

    async def visit(client: httpx.AsyncClient) -> None:
        call_id = await place(client, "?webrtcfilter=on")
        async with browser(simulator, call_id) as caller, beside(simulator, call_id) as server:
            await caller.ask("hello")
            await server.until("response.done")
            await caller.until("output_audio_buffer.started")
            assert not [kind for kind in caller.kinds if kind.endswith((".created", ".done", ".updated"))][1:-1]

    against(simulator, visit)
