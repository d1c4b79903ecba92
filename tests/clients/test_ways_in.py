"""Clients of other services come in as they are, what is not served is told at the door, and no habit ends a talk."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openai import AsyncAzureOpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.caller import Caller
from tests.clients.conftest import BACKEND
from tests.line import TOKEN, Event, Line, message
from tests.local_http import LOCAL

LONDON = "In London, UK it is 12 degrees with light rain."
QUESTION = "What is the weather in London UK?"
SOCKETS = ["/v1/realtime?model=demo", "/openai/v1/realtime?model=demo", "/openai/realtime?deployment=gpt-realtime"]


def address(line: Line, path: str) -> str:
    return line.url.replace("http", "ws", 1) + path


@pytest.mark.parametrize("path", SOCKETS)
def test_a_client_of_azures_comes_in_with_its_own_header_and_path(path: str, line: Line) -> None:
    async def go() -> Event:
        async with connect(address(line, path), additional_headers={"api-key": TOKEN}) as socket:
            return await Caller(socket).hear_kind("session.created")

    assert asyncio.run(go())["session"]["model"] == "gpt-realtime-2.1"


def test_the_package_for_azure_talks_to_it(line: Line) -> None:
    async def go() -> list[Any]:
        where: Any = {"api_version": "2025-08-28", "websocket_base_url": address(line, "/openai")}
        async with (
            AsyncAzureOpenAI(azure_endpoint=line.url, api_key=TOKEN, **where) as client,
            client.realtime.connect(model="gpt-realtime") as connection,
        ):
            return [await connection.recv()]

    assert [event.type for event in asyncio.run(go())] == ["session.created"]


@pytest.mark.parametrize(
    ("query", "headers", "code", "said"),
    [
        ("intent=transcription", {"Authorization": f"Bearer {TOKEN}"}, "invalid_value", "leave intent out"),
        ("call_id=rtc_1", {"Authorization": f"Bearer {TOKEN}"}, "invalid_value", "leave call_id out"),
        ("ringback=all", {"Authorization": f"Bearer {TOKEN}"}, "invalid_value", "left_out"),
        ("", {"Authorization": f"Bearer {TOKEN}", "api-key": TOKEN}, "two_tokens", "send one"),
    ],
)
def test_what_is_not_served_is_refused_in_one_sentence(
    query: str, headers: dict[str, str], code: str, said: str, line: Line
) -> None:
    async def go() -> None:
        async with connect(address(line, f"/v1/realtime?{query}"), additional_headers=headers):
            pass

    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(go())
    response = refused.value.response
    error = json.loads(response.body or b"")["error"]
    assert (response.status_code, error["code"]) == (400, code)
    assert said in error["message"]


@pytest.mark.parametrize("path", SOCKETS)
def test_a_request_without_upgrade_is_told_so_on_each_path(path: str, line: Line) -> None:
    assert LOCAL.get(f"{line.url}{path}").status_code == 426


def test_an_agents_sdk_that_looks_again_and_again_is_answered_and_never_hung_up_on(line: Line) -> None:
    async def go() -> list[Event]:
        async with line.call() as caller:
            await caller.hear_kind("session.created")
            item = {**message([{"type": "input_text", "text": "Give me a quote."}]), "id": "item_mine"}
            await caller.send({"type": "conversation.item.create", "item": item})
            await caller.hear_kind("conversation.item.done")
            for item_id in ("item_mine", "item_of_nobody") * 15:
                await caller.send({"type": "conversation.item.retrieve", "item_id": item_id})
            await caller.ask(QUESTION)
            while await caller.hear_answer() != LONDON:
                pass
            return caller.heard

    heard = asyncio.run(go())
    items = [event["item"] for event in heard if event["type"] == "conversation.item.retrieved"]
    assert [item["content"][0]["text"] for item in items] == ["Give me a quote."] * 15
    codes = [event["error"]["code"] for event in heard if event["type"] == "error"]
    assert codes == ["item_retrieve_invalid_item_id"] * 15


def test_what_is_left_out_is_told_to_a_client_that_asks_and_is_no_error(line: Line) -> None:
    session = {"type": "realtime", "model": "gpt-realtime", "instructions": "You are a pirate."}

    async def go() -> list[Event]:
        async with line.call(ringback="left_out") as caller:
            for number in range(20):
                await caller.send({"type": "session.update", "event_id": f"mine_{number}", "session": session})
            await caller.ask(QUESTION)
            while await caller.hear_answer() != LONDON:
                pass
            return caller.heard

    heard = asyncio.run(go())
    assert heard[0]["type"] == "session.created"
    told = [event for event in heard if event["type"] == "ringback.left_out"]
    assert [event["client_event_id"] for event in told] == [f"mine_{number}" for number in range(20)]
    assert told[0]["fields"] == ["model", "instructions"]
    assert "error" not in {event["type"] for event in heard}


def test_no_error_comes_before_the_session_is_there(line: Line) -> None:
    async def go() -> list[str]:
        async with line.call() as caller:
            await caller.send({"type": "session.hijack"})
            await caller.hear_kind("error")
            return [event["type"] for event in caller.heard]

    assert asyncio.run(go()) == ["session.created", "error"]


def test_a_token_that_the_settings_call_trusted_is_a_backends(line: Line) -> None:
    async def go() -> list[Event]:
        async with line.call(BACKEND) as caller:
            await caller.hear_kind("session.created")
            history = message([{"type": "output_text", "text": "I am Bob."}], "assistant")
            await caller.send({"type": "conversation.item.create", "previous_item_id": "root", "item": history})
            await caller.hear_kind("conversation.item.done")
            aside = {"conversation": "none", "input": [], "instructions": 'Say "aside".', "output_modalities": ["text"]}
            await caller.send({"type": "response.create", "response": aside})
            await caller.hear_kind("response.done")
            await caller.ask(QUESTION)
            while await caller.hear_answer() != LONDON:
                pass
            return caller.heard

    heard = asyncio.run(go())
    assert heard[0]["session"]["instructions"].strip().startswith("You are a friendly assistant")
    assert "error" not in {event["type"] for event in heard}
