"""The official SDK places and controls the simulator's calls, and takes its webhook for the provider's."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from websockets.asyncio.client import ClientConnection, connect

from simulator.server.server import NO_SPEECH, Control, Simulator
from tests.conformance.test_simulator_order import OFFER, PATIENCE_S
from tests.receiver import receiving

SECRET = "whsec_" + base64.b64encode(b"a shared secret of bytes").decode()


@asynccontextmanager
async def by_sdk() -> AsyncIterator[tuple[Simulator, AsyncOpenAI]]:
    simulator = Simulator(speech=NO_SPEECH, media="none", key="sk-test", control=Control())
    async with asyncio.timeout(PATIENCE_S), simulator.serving():
        base = f"http://127.0.0.1:{simulator.port}/v1"
        async with AsyncOpenAI(api_key="sk-test", webhook_secret=SECRET, base_url=base, max_retries=0) as client:
            yield simulator, client


@asynccontextmanager
async def dialling(simulator: Simulator, webhook: str) -> AsyncIterator[ClientConnection]:
    """A phone that has dialled."""
    async with connect(f"ws://127.0.0.1:{simulator.port}/control/phone") as phone:
        await phone.send(json.dumps({"type": "dial", "webhook": webhook, "secret": SECRET}))
        yield phone


def test_a_call_is_placed_joined_and_hung_up() -> None:
    async def run() -> None:
        async with by_sdk() as (_, client):
            session = {"type": "realtime", "model": "gpt-realtime", "instructions": "Be brief."}
            placed = await client.realtime.calls.with_raw_response.create(sdp=OFFER, session=session)  # type: ignore[arg-type]
            call_id = placed.headers["location"].rpartition("/")[2]
            assert (await placed.parse().aread()).startswith(b"v=0")
            async with client.realtime.connect(call_id=call_id) as sideband:
                await sideband.session.update(session={"type": "realtime", "output_modalities": ["text"]})
                updated = await sideband.recv()
                assert updated.type == "session.updated"
                await client.realtime.calls.hangup(call_id)
            with pytest.raises(NotFoundError):
                await client.realtime.calls.hangup(call_id)

    asyncio.run(run())


def test_a_client_secret_is_made_for_a_session() -> None:
    async def run() -> None:
        async with by_sdk() as (_, client):
            made = await client.realtime.client_secrets.create(session={"type": "realtime", "instructions": "Hi."})
            assert made.value.startswith("ek_")

    asyncio.run(run())


def test_a_ringing_phone_is_verified_accepted_referred_and_its_wrong_session_refused() -> None:
    async def run() -> None:
        async with by_sdk() as (simulator, client), dialling(simulator, receiver.url) as phone:
            posted = await asyncio.to_thread(receiver.next)
            event = client.webhooks.unwrap(posted.body, posted.headers)
            assert event.type == "realtime.call.incoming"
            call_id = event.data.call_id
            with pytest.raises(BadRequestError):
                await client.realtime.calls.accept(call_id, type="realtime", output_modalities=["audio", "text"])
            await client.realtime.calls.accept(call_id, type="realtime", model="gpt-realtime")
            await client.realtime.calls.refer(call_id, target_uri="tel:+15550199")
            news = [json.loads(frame)["type"] async for frame in phone]
            assert [each for each in news if each != "webhook"] == ["ringing", "answered", "referred", "ended"]

    with receiving() as receiver:
        asyncio.run(run())
