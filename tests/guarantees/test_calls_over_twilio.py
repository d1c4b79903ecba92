"""A phone call over Twilio, through real processes: heard, answered, interrupted, transferred, ended, and not lost."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from websockets.asyncio.client import connect

from gateway.telephony.twilio.signature import signature
from simulator.scripting.scenario import load
from tests.guarantees.toolbox import FOLDER
from tests.guarantees.toolbox.bakery import HERE, Bakery
from tests.guarantees.toolbox.phone_agents import FAMILY_NUMBER, NUMBER, SALES, agents_in
from tests.guarantees.toolbox.twilio import (
    AUTH_TOKEN,
    CALLER,
    MEDIA,
    PUBLIC_URL,
    VOICE,
    Phone,
    Rest,
    asks,
    calling,
    new_sid,
    rest,
    streaming,
    token_in,
)
from tests.line import GATEWAYS, OF_A_FILE, TOKEN, Event, eventually, redis_number, running_line
from tests.local_http import LOCAL
from tests.played import Provider, played
from tests.servers import own_database, own_redis_db

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(180)]

FIRST, SECOND = GATEWAYS
ORDER = "A-7"
GREETING = "Good day."
SAID_MS = 2_000
"""How long a sentence sounds, but for two."""
LENGTHS = {"Goodbye.": 1_000, "I connect you.": 500}


@dataclass(frozen=True)
class Exchange(Bakery):
    """Two gateways that Twilio calls, the model behind them, and Twilio's REST API."""

    model: Provider
    rest: Rest

    def job(self, on: str = FIRST) -> Event | None:
        """The newest call of a function of the bakery."""
        listed = self.line.get("/v1/jobs?tool=order_status", on=on)["data"]
        return listed[0] if listed else None

    async def is_heard(self, job: Event, on: str = FIRST) -> Event:
        """Wait until the row of a call says that its result was heard."""

        def read() -> Event | None:
            told: Event = self.line.get(f"/v1/jobs/{job['id']}", on=on)
            return told if told["delivery"] == "heard" else None

        found: Event = await asyncio.to_thread(eventually, read, "the result to be heard")
        return found


@pytest.fixture(scope="module")
def _exchange(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exchange]:
    logs = tmp_path_factory.mktemp("exchange")
    folder = logs / "orders"
    folder.mkdir()
    with (
        own_database(database_url, "ringback_phone", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FILE)) as redis,
        played(load(str(HERE / "phone_desk.yaml")), LENGTHS, SAID_MS) as model,
        rest() as api,
        running_line(
            database,
            redis,
            logs,
            upstream=model.url,
            tools="tests.guarantees.toolbox",
            agents=agents_in(logs / "agents"),
            settings={FOLDER: str(folder)},
            gateway_settings={
                "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
                "RINGBACK_PUBLIC_URL": PUBLIC_URL,
                "TWILIO_API_URL": api.url,
            },
            gateways=2,
        ) as line,
    ):
        yield Exchange(line, folder, model, api)


@pytest.fixture
def exchange(_exchange: Exchange) -> Exchange:
    """Two gateways and the model, with nothing said yet."""
    _exchange.line.make_whole()
    _exchange.tidy()
    _exchange.model.calm()
    _exchange.rest.asked.clear()
    _exchange.rest.status = 200
    return _exchange


async def hears_all(phone: Phone, ms: float) -> None:
    """Take, and play, so much audio."""
    await phone.hears(lambda _: phone.sounded_ms >= ms, f"{ms} ms of audio")
    await phone.hears(lambda frame: frame is phone.frames[-1] and frame["event"] == "mark", "the last mark")
    await phone.plays()


async def asks_for_order(exchange: Exchange, phone: Phone) -> Event:
    """Be greeted, ask for the order, and wait until a worker has it."""
    await hears_all(phone, 2_000)
    exchange.model.words.append(f"order_status {ORDER}")
    await phone.speaks()
    await asyncio.to_thread(exchange.begun, 1, ORDER)
    job = await asyncio.to_thread(exchange.job)
    assert job is not None
    return job


async def test_a_call_is_heard_answered_and_its_result_known_to_be_heard(exchange: Exchange) -> None:
    async with calling(exchange.line.url) as phone:
        job = await asks_for_order(exchange, phone)
        conversation = exchange.model.conversations[0]
        audio = conversation.session["audio"]
        assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcmu"}
        payloads = {event["audio"] for event in conversation.of_kind("input_audio_buffer.append")}
        assert {base64.b64decode(each)[0] for each in payloads} == {0xFF, 0x31}, "the caller's bytes, as they came"
        exchange.let_go(ORDER)
        await hears_all(phone, 4_000)
        await phone.is_silent()
        told = await exchange.is_heard(job)
        assert told["heard_by"] == "report"
        assert (round(told["played_ms"]), round(told["audio_ms"], -1)) == (2_000, 2_000)
        await phone.hangs_up()
    session = exchange.line.get(f"/v1/sessions/{job['session_id']}")
    ended = await asyncio.to_thread(
        eventually, lambda: exchange.line.get(f"/v1/sessions/{session['id']}").get("end_reason"), "the end"
    )
    assert (ended, session["user_id"]) == ("caller_hung_up", f"phone:{CALLER}")


async def test_a_caller_who_speaks_over_the_model_is_heard_at_once(exchange: Exchange) -> None:
    async with calling(exchange.line.url) as phone:
        await phone.hears(lambda _: phone.sounded_ms >= 2_000, "the greeting")
        played = await phone.plays(700)
        await phone.interrupts()
        await phone.hears(lambda frame: frame["event"] == "clear", "clear")
        await phone.clears()
        await phone.is_silent(400)
        conversation = exchange.model.conversations[0]
        (cut,) = await asyncio.to_thread(
            eventually, lambda: conversation.of_kind("conversation.item.truncate"), "truncate"
        )
        assert played <= cut["audio_end_ms"] <= played + 250
        await phone.hears(lambda _: phone.sounded_ms >= 4_000, "the next answer")
        await phone.hangs_up()


async def test_keys_reach_the_model_as_words(exchange: Exchange) -> None:
    async with calling(exchange.line.url) as phone:
        await hears_all(phone, 2_000)
        for key in "42#":
            await phone.presses(key)
        conversation = exchange.model.conversations[0]
        await phone.hears(lambda _: bool(conversation.of_kind("conversation.item.create")), "the item")
        (said,) = conversation.of_kind("conversation.item.create")
        assert "pressed 42#" in said["item"]["content"][0]["text"]
        await phone.hangs_up()


async def test_a_call_ends_when_its_goodbye_was_heard(exchange: Exchange) -> None:
    exchange.model.words.append("goodbye")
    async with calling(exchange.line.url) as phone:
        await hears_all(phone, 2_000)
        await phone.speaks()
        await phone.hears(lambda _: phone.sounded_ms >= 3_000, "the goodbye")
        await phone.is_hung_up_on()
        asked_again = await asyncio.to_thread(asks, exchange.line.url, phone.call_sid, query="again=1")
        assert "<Hangup/>" in asked_again.text
    session = exchange.line.get("/v1/sessions")["data"][0]
    assert session["end_reason"] == "call_ended"
    assert len(exchange.model.conversations[0].of_kind("response.create")) == 1, "the greeting; no second goodbye"


async def test_a_call_is_transferred_to_a_place_of_the_agents_file_alone(exchange: Exchange) -> None:
    exchange.model.words += ["connect me with tel:+19005550000", "connect me with sales"]
    async with calling(exchange.line.url) as phone:
        await hears_all(phone, 2_000)
        await phone.speaks()
        await hears_all(phone, 4_500)
        assert "unknown_place" in exchange.model.conversations[0].outputs()[0]["output"]
        await phone.speaks()
        await phone.is_hung_up_on()
    ((path, _, twiml),) = exchange.rest.asked
    assert path == f"/2010-04-01/Accounts/AC1/Calls/{phone.call_sid}.json"
    assert f"<Dial>{SALES}</Dial>" in twiml


async def test_a_transfer_that_fails_leaves_the_caller_with_the_model(exchange: Exchange) -> None:
    exchange.rest.status = 500
    exchange.model.words.append("connect me with sales")
    async with calling(exchange.line.url) as phone:
        await hears_all(phone, 2_000)
        await phone.speaks()
        await hears_all(phone, 2_500)
        await hears_all(phone, 4_500)
        items = [event["item"] for event in exchange.model.conversations[0].of_kind("conversation.item.create")]
        assert [item["role"] for item in items if item["type"] == "message"] == ["system"]
        await phone.hangs_up()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_a_call_outlives_its_gateway_and_hears_its_result_once(exchange: Exchange, how: signal.Signals) -> None:
    line, model = exchange.line, exchange.model
    async with calling(line.url) as phone:
        job = await asks_for_order(exchange, phone)
        os.kill(line.pids[FIRST], how)
        await phone.socket.wait_closed()
    exchange.let_go(ORDER)
    over = await asyncio.to_thread(lambda: asks(line.second_url, phone.call_sid, query="again=1", CallStatus="failed"))
    assert "<Hangup/>" in over.text, "no token is made for a call that Twilio says is over"
    answer = await asyncio.to_thread(asks, line.second_url, phone.call_sid, query="again=1")
    async with streaming(line.second_url, phone.call_sid, token_in(answer.text)) as again:
        await hears_all(again, 2_000)
        await again.is_silent()
        await exchange.is_heard(job, on=SECOND)
        await again.hangs_up()
    assert len(model.conversations) == 2
    assert len([item for each in model.conversations for item in each.outputs(job["call_id"])]) == 1
    assert GREETING not in str(model.conversations[1].of_kind("response.create")), "the caller was greeted before"
    session = line.get("/v1/sessions", on=SECOND)["data"][0]
    assert session["id"] == job["session_id"]


def test_a48_a_request_that_is_not_twilios_is_refused(exchange: Exchange) -> None:
    url = exchange.line.url
    for method in ("GET", "POST"):
        assert asks(url, new_sid(), method=method).status_code == 200
    form = {"CallSid": new_sid(), "From": CALLER, "To": NUMBER}
    for given in ("", "AAAA", signature(AUTH_TOKEN, PUBLIC_URL + VOICE, ())):
        answer = LOCAL.post(f"{url}{VOICE}", data=form, headers={"X-Twilio-Signature": given})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "wrong_signature")
    assert "<Reject" in asks(url, new_sid(), To="+19999999999").text
    assert "<Reject" in asks(url, new_sid(), To=FAMILY_NUMBER).text
    assert "<Hangup/>" in asks(url, new_sid(), query="again=1").text, "a call that no session goes on for"


async def test_a48_a_stream_without_a_token_of_its_call_is_closed(exchange: Exchange) -> None:
    url, call_sid = exchange.line.url, new_sid()
    token = token_in((await asyncio.to_thread(asks, url, call_sid)).text)
    async with streaming(url, call_sid, token) as phone:
        await phone.hears(lambda _: phone.sounded_ms >= 2_000, "the greeting")
        for other, presented in ((call_sid, token), (new_sid(), ""), (new_sid(), "ek_" + "x" * 43), (new_sid(), TOKEN)):
            async with streaming(url, other, presented) as stranger:
                await stranger.socket.wait_closed()
                assert stranger.socket.close_code == 1008
        await phone.hangs_up()
    second = token_in((await asyncio.to_thread(asks, url, call_sid)).text)
    async with streaming(url, new_sid(), second) as stranger:
        await stranger.socket.wait_closed()
        assert stranger.socket.close_code == 1008, "it is another call's"
    claims = {"phone": {"carrier": "twilio", "call": call_sid}}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"ringback": {"claims": claims}}
    assert LOCAL.post(f"{url}/v1/realtime/client_secrets", json=body, headers=headers).status_code == 400


async def test_a_stream_that_says_nothing_or_nonsense_is_closed(exchange: Exchange) -> None:
    async with connect(f"{exchange.line.url.replace('http', 'ws', 1)}{MEDIA}") as socket:
        await socket.send("{}")
        await socket.wait_closed()
        assert socket.close_code == 1008
    async with calling(exchange.line.url) as phone:
        await phone.hears(lambda _: phone.sounded_ms >= 2_000, "the greeting")
        await phone.socket.send('{"event": "media", "media": 7}')
        await phone.socket.wait_closed()
