"""Servers that speak the protocol their own way: a call goes all the way round with each of them.

Some differences are those of providers (xAI nests the tools that it confirms, and sends no `conversation.item.done`),
some are of the beta, and some no document rules out.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conformance.conftest import Stage
from tests.conformance.player.model import Call, Model, Ways
from tests.conformance.player.wire import Event, Script, Wire
from tests.line import Caller, are_placed, eventually

QUESTION = "What is the weather in Oslo?"
ANSWER = "Foggy, 12 degrees."
OSLO = "It is foggy and 12 degrees in Oslo."

WAYS = {
    "as OpenAI does": Ways(),
    "an echo bears the server's own item id": Ways(keeps_ids=False),
    "an answer is echoed only after it was spoken of": Ways(echoes="late"),
    "an answer is never echoed": Ways(echoes="never"),
    "no conversation.item.done": Ways(item_done=False),
    "conversation.item.created, as in the beta": Ways(item_added="conversation.item.created", item_done=False),
    "response.done lists no output": Ways(lists_output=False),
    "a call is shown in response.done alone": Ways(output_item_done=False, item_done=False),
    "only response.done says that anything is completed": Ways(call_status=False),
    "session.updated shows the instructions trimmed": Ways(confirms="trimmed"),
    "session.updated nests each tool under `function`": Ways(confirms="nested"),
    "session.updated lists no tools": Ways(confirms="no tools"),
    "session.updated says that there are none": Ways(confirms="empty tools"),
    "session.updated holds no session": Ways(confirms="nothing"),
    "events that nobody has heard of": Ways(
        noise=(
            {"type": "ping", "timestamp": 1},
            {"type": "response.telepathy.delta", "response_id": "resp_1", "delta": "…", "item_id": None},
            {"type": "rate_limits.updated", "rate_limits": []},
        )
    ),
}


async def one_round(stage: Stage, ways: Ways, *calls: Call) -> tuple[Wire, Caller]:
    """A question, a response with the calls, their answers, and what the model says then."""

    async def script(wire: Wire) -> None:
        model = Model(wire, ways)
        await model.open()
        assert await model.hear_question() == QUESTION
        await model.call(calls)
        answers = await model.take_answers(len(calls))
        await model.answer(ANSWER, answers)

    async with stage.upstream(script) as upstream, stage.line.call() as caller:
        await caller.ask(QUESTION)
        assert await caller.hear_answer() == ANSWER
    return upstream.wire, caller


def weather(call_id: str = "call_1", city: str = "Oslo") -> Call:
    return Call.of("get_weather", call_id, city=city)


@pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS.keys())
def test_a_call_goes_all_the_way_round(ways: Ways, stage: Stage) -> None:
    wire, caller = asyncio.run(one_round(stage, ways, weather()))
    assert [(item["call_id"], item["output"]) for item in wire.outputs()] == [("call_1", OSLO)]
    assert len(wire.by_gateway("response.create")) == 2
    assert "call_1" not in "".join(caller.frames)
    assert "secret" not in "".join(caller.frames)


@pytest.mark.parametrize("ways", ["as OpenAI does", "an echo bears the server's own item id"])
def test_an_echoed_answer_is_acknowledged_in_the_history(ways: str, stage: Stage) -> None:
    _, caller = asyncio.run(one_round(stage, WAYS[ways], weather()))
    eventually(lambda: are_placed(stage.line.jobs(caller.session_id)), "an acked job")


def test_an_answer_that_nobody_echoes_is_never_said_to_be_acknowledged(stage: Stage) -> None:
    _, caller = asyncio.run(one_round(stage, Ways(echoes="never"), weather()))
    known = eventually(
        lambda: [job["delivery"] for job in stage.line.jobs(caller.session_id) if job["delivery"] != "ready"],
        "what is known of the answer in its row",
    )
    assert known[0] in ("sent", "spoken", "heard")


@pytest.mark.parametrize(
    "arguments", ['{  \n  "city": "Oslo" \n} \n', ' {"city":"\\u004fslo"}', '\t{"city":\r\n"Oslo"}']
)
def test_arguments_with_odd_spaces_are_read(arguments: str, stage: Stage) -> None:
    wire, _ = asyncio.run(one_round(stage, Ways(), Call("get_weather", arguments, "call_1")))
    assert [item["output"] for item in wire.outputs()] == [OSLO]


REFUSED_ARGUMENTS = {
    "cut off": '{"city": "Os',
    "an empty text": "",
    "a list": '["Oslo"]',
    "of another type": '{"city": 7}',
    "with more than was asked for": '{"city": "Oslo", "country": "Norway"}',
    "with a NUL": '{"town": "a\\u0000b"}',
    "with half a surrogate pair": '{"town": "\\ud800"}',
    "with a number beyond all numbers": '{"city": 1e999}',
    "nested without end": '{"city": ' + "[" * 5_000 + "]" * 5_000 + "}",
}


@pytest.mark.parametrize("arguments", REFUSED_ARGUMENTS.values(), ids=REFUSED_ARGUMENTS.keys())
def test_arguments_that_do_not_fit_are_answered_with_an_error_that_the_model_can_act_on(
    arguments: str, stage: Stage
) -> None:
    wire, caller = asyncio.run(one_round(stage, Ways(), Call("get_weather", arguments, "call_1")))
    (item,) = wire.outputs()
    error = json.loads(item["output"])["error"]
    assert error["code"] == "invalid_arguments"
    assert error["message"].endswith(("Call again.", "Correct them and call the function again."))
    assert [job["state"] for job in stage.line.jobs(caller.session_id)] == ["failed"]


def test_a_function_that_does_not_exist_is_answered_with_those_that_do(stage: Stage) -> None:
    wire, _ = asyncio.run(one_round(stage, Ways(), Call.of("get_wether", "call_1", city="Oslo")))
    (item,) = wire.outputs()
    assert json.loads(item["output"])["error"]["code"] == "unknown_tool"
    assert "get_weather" in item["output"]


@pytest.mark.parametrize("ways", [Ways(), Ways(output_item_done=False), Ways(echoes="late")])
def test_two_calls_of_one_response_have_an_answer_each_and_share_one_request_to_speak(ways: Ways, stage: Stage) -> None:
    calls = weather(), weather("call_2", "Bergen")
    wire, _ = asyncio.run(one_round(stage, ways, *calls))
    answered = {item["call_id"]: item["output"] for item in wire.outputs()}
    assert answered == {"call_1": OSLO, "call_2": "It is foggy and 12 degrees in Bergen."}
    assert len(wire.outputs()) == 2
    assert len(wire.by_gateway("response.create")) == 2, "the client's, and one for both"


def test_a_call_that_is_shown_again_and_again_is_run_once(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        response_id = await model.call([weather()], done=False)
        for _ in range(3):
            await model.tell("response.output_item.done", response_id=response_id, item=weather().item())
        await model.end_response(response_id, [weather().item()])
        await model.end_response(response_id, [weather().item()])
        await model.take_answers(1)
        await model.answer(ANSWER)

    wire, caller = asyncio.run(ask_once(stage, script))
    assert len(wire.outputs()) == 1
    assert len(wire.by_gateway("response.create")) == 2
    assert len(stage.line.jobs(caller.session_id)) == 1


async def ask_once(stage: Stage, script: Script) -> tuple[Wire, Caller]:
    """A question to a server of the test's own; the client stays until it has its answer."""
    async with stage.upstream(script) as upstream, stage.line.call() as caller:
        await caller.ask(QUESTION)
        assert await caller.hear_answer() == ANSWER
    return upstream.wire, caller


CUT = {
    "cancelled, and so is its call": ("cancelled", "incomplete", "get_weather"),
    "incomplete, and so is its call": ("incomplete", "incomplete", "get_weather"),
    "failed, and its call is in progress": ("failed", "in_progress", "get_weather"),
}


@pytest.mark.parametrize(("status", "call_status", "name"), CUT.values(), ids=CUT.keys())
@pytest.mark.parametrize("arguments", ['{"city": "Oslo"}', '{"city": "O'])
def test_an_unfinished_call_is_not_run_and_not_answered(
    status: str, call_status: str, name: str, arguments: str, stage: Stage
) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        await model.call([Call(name, arguments, "call_1", call_status)], status=status)
        await model.say(ANSWER)

    wire, caller = asyncio.run(ask_once(stage, script))
    assert wire.outputs() == []
    assert len(wire.by_gateway("response.create")) == 1, "the client's own"
    assert stage.line.jobs(caller.session_id) == []


@pytest.mark.parametrize("status", ["cancelled", "incomplete", "failed"])
def test_what_nobody_may_do_twice_is_not_done_in_a_response_that_was_cut_off(status: str, stage: Stage) -> None:
    """Its item was completed, so the conversation has the call, and the model is told that it was not run."""

    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        await model.call([Call.of("charge", "call_1", cents=100)], status=status)
        await model.take_answers(1)
        await model.answer(ANSWER)

    wire, caller = asyncio.run(ask_once(stage, script))
    (item,) = wire.outputs()
    assert json.loads(item["output"])["error"]["code"] == "response_interrupted"
    assert [job["state"] for job in stage.line.jobs(caller.session_id)] == ["failed"]


def test_a_call_of_a_cancelled_response_is_not_taken_from_its_list(stage: Stage) -> None:
    """A server that shows calls in response.done alone, and one that was cut off after the item."""

    async def script(wire: Wire) -> None:
        model = Model(wire, Ways(output_item_done=False))
        await model.open()
        await model.hear_question()
        await model.call([weather()], status="cancelled")
        await model.say(ANSWER)

    wire, _ = asyncio.run(ask_once(stage, script))
    assert wire.outputs() == []


@pytest.mark.parametrize("ways", [Ways(echoes="late"), Ways(echoes="late", names_event=False)])
def test_a_refused_request_to_speak_is_made_again_when_the_rival_is_done(ways: Ways, stage: Stage) -> None:
    """The rival response began before the server had our answer; the client does not notice."""

    async def script(wire: Wire) -> None:
        model = Model(wire, ways)
        await model.open()
        await model.hear_question()
        await model.call([weather()])
        answers = await model.take_answers(1)
        create = await wire.receive("response.create")
        rival = await model.begin_response()
        await model.refuse(create, "conversation_already_has_active_response", f"{rival} is active")
        await model.end_response(rival, [])
        await model.answer(ANSWER, answers)

    wire, caller = asyncio.run(ask_once(stage, script))
    assert len(wire.outputs()) == 1
    assert len(wire.by_gateway("response.create")) == 3
    assert [event for event in caller.heard if event["type"] == "error"] == []


@pytest.mark.parametrize("ways", [Ways(), Ways(names_event=False)])
def test_an_answer_that_the_conversation_does_not_take_ends_neither_side(ways: Ways, stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire, ways)
        await model.open()
        await model.hear_question()
        await model.call([weather()])
        output = await wire.receive("conversation.item.create")
        await model.refuse(output, "invalid_tool_call_id", "Tool call ID 'call_1' not found in conversation.")
        await model.say(ANSWER)

    _, caller = asyncio.run(ask_once(stage, script))
    assert "call_1" not in "".join(caller.frames)


def test_an_error_about_a_frame_of_the_clients_reaches_the_client_under_the_clients_name(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        for _ in range(2):
            frame = await wire.receive("input_audio_buffer.commit")
            await model.refuse(frame, "input_audio_buffer_commit_empty", "buffer too small")

    async def go() -> list[Event]:
        async with stage.upstream(script), stage.line.call() as caller:
            await caller.send({"type": "input_audio_buffer.commit", "event_id": "mine"})
            await caller.send({"type": "input_audio_buffer.commit"})
            return [(await caller.hear_kind("error"))["error"] for _ in range(2)]

    errors = asyncio.run(go())
    assert [error["code"] for error in errors] == ["input_audio_buffer_commit_empty"] * 2
    assert [error["event_id"] for error in errors] == ["mine", None]
