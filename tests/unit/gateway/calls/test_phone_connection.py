"""A phone call over SIP hears what its session has for a client, and asks for its greeting and for answers to keys."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.calls.phone_connection import PRESSED, PhoneConnection
from gateway.conversation.actions import SendToClient
from gateway.session.effects import EffectExecutor
from tests.session_parts import NONE, gateway_context, session_state

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def heard(phone: PhoneConnection, *events: dict[str, Any]) -> None:
    """Have a session send these to its client."""
    link: Any = SimpleNamespace()
    await EffectExecutor(gateway_context(), session_state(), phone, NONE).execute(link, [*map(SendToClient, events)])


async def said(phone: PhoneConnection) -> list[str]:
    """The types of what the phone has said so far."""
    kinds = []
    while not phone._says.empty():
        kinds.append(json.loads(await phone.receive())["type"])
    return kinds


@pytest.mark.parametrize("greets", [True, False])
async def test_the_greeting_is_asked_for_once_the_session_is_there(greets: bool) -> None:
    phone = PhoneConnection(greets=greets)
    for _ in range(2):
        await heard(phone, {"type": "session.created"})
    assert await said(phone) == (["response.create"] if greets else [])


async def test_keys_are_told_at_the_hash_however_they_come() -> None:
    phone = PhoneConnection(greets=False)
    await heard(phone, {"type": PRESSED, "event": "1"})
    await phone.send_text(json.dumps({"type": PRESSED, "event": "2"}))
    phone.write(json.dumps({"type": PRESSED, "event": "#"}))
    item = json.loads(await phone.receive())["item"]
    assert "pressed 12#" in item["content"][0]["text"]
    assert await said(phone) == ["response.create"]
    await phone.close(1000, "")
