"""An upstream that refuses, falls silent, hangs up or talks nonsense: the client is told, or does not notice at all."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conformance.conftest import Stage
from tests.conformance.player.model import Call, Model
from tests.conformance.player.wire import Event, Script, Wire
from tests.line import KEY, OTHER_TOKEN, TOKEN, eventually

ANSWER = "Foggy, 12 degrees."
THEIRS = [{"type": "function", "name": "theirs"}]
"""What the session had before it was asked for ours."""
HUGE = 5 * 1024 * 1024


async def silence(wire: Wire) -> None:
    """A server that takes the connection and stays silent."""
    await wire.connection.wait_closed()


async def goodbye(stage: Stage, script: Script, *, refusal: int | None = None) -> tuple[list[Event], int, str]:
    """Call, and listen until the gateway hangs up: what was heard, close code, reason."""
    async with stage.upstream(script, refusal=refusal), stage.line.call() as caller:
        code, reason = await caller.hear_goodbye()
    return caller.heard, code, reason


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, 1011, "upstream_refused"),
        (403, 1011, "upstream_refused"),
        (404, 1011, "upstream_refused"),
        (429, 1013, "upstream_unavailable"),
        (500, 1013, "upstream_unavailable"),
        (503, 1013, "upstream_unavailable"),
    ],
)
def test_a_refused_upgrade_is_told_as_an_error_and_a_close_code(
    status: int, code: int, reason: str, stage: Stage
) -> None:
    heard, *told = asyncio.run(goodbye(stage, silence, refusal=status))
    assert told == [code, reason]
    (error,) = heard
    assert (error["type"], error["error"]["type"], error["error"]["code"]) == ("error", "server_error", reason)
    assert error["error"]["message"].endswith(".")


def test_an_upstream_that_does_not_listen_is_told_as_unavailable(stage: Stage) -> None:
    """A server of another protocol has the port: it closes the connection at the upgrade."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def go() -> tuple[int, str]:
        server = await asyncio.start_server(hang_up, sock=stage.listener.dup())
        async with server, stage.line.call() as caller:
            return await caller.hear_goodbye()

    assert asyncio.run(go()) == (1013, "upstream_unavailable")


def test_an_upstream_that_says_nothing_is_given_up_within_a_bound(stage: Stage) -> None:
    heard, code, reason = asyncio.run(goodbye(stage, silence))
    assert (code, reason) == (1011, "upstream_silent")
    assert [event["error"]["code"] for event in heard] == ["upstream_silent"]


def test_an_upstream_that_confirms_nothing_is_given_up_within_a_bound(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        await wire.send({"type": "session.created", "session": {"id": "sess_1"}})
        await wire.receive("session.update")

    _, code, reason = asyncio.run(goodbye(stage, script))
    assert (code, reason) == (1011, "upstream_silent")


@pytest.mark.parametrize("changes", [{"instructions": "Be rude."}, {"instructions": None}, {"tools": THEIRS}])
def test_a_session_that_did_not_take_our_instructions_or_tools_is_not_begun(changes: Event, stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        await wire.send(
            {"type": "session.created", "session": {"id": "sess_1", "instructions": "Be rude.", "tools": THEIRS}}
        )
        session = (await wire.receive("session.update"))["session"]
        await wire.send({"type": "session.updated", "session": {**session, **changes}})

    heard, code, reason = asyncio.run(goodbye(stage, script))
    assert (code, reason) == (1011, "upstream_refused")
    assert [event["type"] for event in heard] == ["error"]


def test_a_session_that_the_upstream_refuses_is_not_begun(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.tell("session.created", session={})
        await model.refuse(await wire.receive("session.update"), "invalid_value", "no such voice as that")

    heard, code, reason = asyncio.run(goodbye(stage, script))
    assert (code, reason) == (1011, "upstream_refused")
    assert "voice" not in json.dumps(heard), "how the session is configured is between the two servers"


AWAY = "the server's own reason"
EXPIRED = {"type": "invalid_request_error", "code": "session_expired", "message": "It lasted for 60 minutes."}
CLOSED: list[tuple[int, Event | None, str]] = [
    (1000, None, "upstream_closed"),
    (1001, None, "upstream_closed"),
    (1001, EXPIRED, "session_expired"),
    (1011, None, "upstream_closed"),
    (1006, None, "upstream_closed"),
]


@pytest.mark.parametrize(("code", "error", "reason"), CLOSED)
def test_an_upstream_that_hangs_up_in_mid_call_is_told_and_the_call_is_kept(
    code: int, error: Event | None, reason: str, stage: Stage
) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        await model.call([Call.of("get_weather", "call_1", city="Oslo")], done=False)
        await wire.receive("conversation.item.create")
        if error is not None:
            await model.tell("error", error=error)
        if code == 1006:
            wire.connection.transport.abort()
        else:
            await wire.connection.close(code, AWAY)

    async def go() -> tuple[str, int, str]:
        async with stage.upstream(script), stage.line.call() as caller:
            await caller.ask("What is the weather in Oslo?")
            code_and_reason = await caller.hear_goodbye()
        return caller.session_id, *code_and_reason

    session_id, *told = asyncio.run(go())
    assert told == [1011, reason]
    assert [job["state"] for job in stage.line.jobs(session_id)] == ["succeeded"]
    ended = eventually(lambda: stage.line.get(f"/v1/sessions/{session_id}")["ended_at"], "the session to have ended")
    assert ended


NONSENSE: dict[str, str | bytes] = {
    "bytes": b"\x00\xff\xfe",
    "an empty frame": "",
    "no JSON": "The weather is fine.",
    "half an object": '{"type": "response.do',
    "a list": '[{"type": "response.done"}]',
    "null": "null",
    "a text": '"response.done"',
    "nested without end": "[" * 200_000,
    "an object nested without end": '{"type": "ping", "x": ' + "[" * 200_000,
    "half a surrogate pair": '{"type": "ping", "x": "\\ud800"}',
    "no type": "{}",
    "a type that is a number": '{"type": 7}',
    "a type that is null": '{"type": null, "item": null}',
    "a response that is missing": '{"type": "response.done"}',
    "a response that is null": '{"type": "response.created", "response": null}',
    "a response that is a text": '{"type": "response.done", "response": "resp_1"}',
    "a response created as a text": '{"type": "response.created", "response": "resp_1"}',
    "an output that is an object": '{"type": "response.done", "response": {"id": "resp_x", "output": {"a": 1}}}',
    "an output of texts": '{"type": "response.done", "response": {"status": "completed", "output": ["x", null]}}',
    "an item that is a list": '{"type": "response.output_item.done", "item": ["x"]}',
    "an item that is a text": '{"type": "conversation.item.done", "item": "item_1"}',
    "an item id that is a list": '{"type": "conversation.item.deleted", "item_id": ["x"], "previous_item_id": {}}',
    "a call without an id": '{"type": "response.output_item.done", "item": {"type": "function_call", "call_id": 7}}',
    "an error without an error": '{"type": "error"}',
    "an error that is a text": '{"type": "error", "error": "bad"}',
    "a session that is null": '{"type": "session.updated", "session": null}',
    "a session that is a text": '{"type": "session.updated", "session": "x"}',
    "audio settings that are texts": '{"type": "session.updated", "session": {"audio": "x", "turn_detection": "y"}}',
    "a huge event that nobody has heard of": json.dumps({"type": "response.novel", "text": "x" * HUGE}),
    "a huge piece of audio": json.dumps({"type": "response.output_audio.delta", "delta": "A" * HUGE}),
}


@pytest.mark.parametrize("frame", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_in_between_ends_no_conversation(frame: str | bytes, stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await wire.connection.send(frame)
        await model.hear_question()
        await wire.connection.send(frame)
        await model.call([Call.of("get_weather", "call_1", city="Oslo")])
        await wire.connection.send(frame)
        await model.take_answers(1)
        await model.answer(ANSWER)

    async def go() -> Wire:
        async with stage.upstream(script) as upstream, stage.line.call() as caller:
            await caller.ask("What is the weather in Oslo?")
            assert await caller.hear_answer() == ANSWER
        return upstream.wire

    wire = asyncio.run(go())
    assert len(wire.outputs()) == 1


def test_an_event_beyond_every_bound_ends_the_session_and_not_the_gateway(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        await Model(wire).open()
        await wire.connection.send(json.dumps({"type": "response.novel", "text": "x" * 17 * 1024 * 1024}))

    _, code, reason = asyncio.run(goodbye(stage, script))
    assert (code, reason) == (1011, "upstream_closed")
    assert stage.line.get("/healthz") == {"status": "ok"}


def test_the_log_holds_no_token_and_no_key_even_with_every_logger_at_debug(stage: Stage) -> None:
    asyncio.run(goodbye(stage, silence, refusal=401))
    asyncio.run(greet_and_leave(stage))
    log = (stage.line.logs / "gateway.log").read_text(encoding="utf-8")
    assert "DEBUG" in log
    assert [secret for secret in (TOKEN, OTHER_TOKEN, KEY) if secret in log] == []


async def greet_and_leave(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        await Model(wire).open()

    async with stage.upstream(script) as upstream, stage.line.call(OTHER_TOKEN) as caller:
        await caller.hear_kind("session.created")
    assert upstream.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in "".join(caller.frames)
