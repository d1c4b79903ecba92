"""Many conversations at once: what a function returns for one of them is heard in that one, and nowhere else."""

from __future__ import annotations

import asyncio
import json
import random

from tests.conformance.conftest import Stage
from tests.conformance.player.model import Call, Model
from tests.conformance.player.wire import Event, Wire
from tests.line import Caller

SESSIONS = 20
CALLS = 3
SLOWEST_SECONDS = 1.5


async def script(wire: Wire) -> None:
    """Calls three times in one response, each for a parcel that bears the caller's name, and says what came back."""
    model = Model(wire)
    await model.open()
    name = await model.hear_question()
    delays = random.Random(name)
    await model.call(
        [
            # The same call ids in every conversation: only the session tells them apart.
            Call.of("deliver", f"call_{n}", parcel=f"{name}-{n}", seconds=delays.uniform(0, SLOWEST_SECONDS))
            for n in range(CALLS)
        ]
    )
    outputs: list[str] = []
    while len(outputs) < CALLS:
        frame = await wire.receive("conversation.item.create", "response.create")
        if frame["type"] == "conversation.item.create":
            outputs.append(frame["item"]["output"])
        else:
            await model.say("One moment.")
    await wire.receive("response.create")
    await model.say(json.dumps(outputs))


async def converse(stage: Stage, name: str) -> tuple[str, str]:
    """One caller's conversation: the session's id, and what the model said last."""
    async with stage.line.call() as caller:
        await caller.ask(name)
        answer = await last_answer(caller)
        return caller.session_id, answer


async def last_answer(caller: Caller) -> str:
    while (answer := await caller.hear_answer()) == "One moment.":
        pass
    return answer


async def everybody(stage: Stage) -> tuple[list[Wire], list[tuple[str, str]]]:
    async with stage.upstream(script) as upstream:
        told = await asyncio.gather(*(converse(stage, f"parcel-of-{n}") for n in range(SESSIONS)))
    return upstream.wires, told


def test_twenty_callers_with_three_calls_each_hear_of_their_own_and_of_nothing_else(stage: Stage) -> None:
    wires, told = asyncio.run(everybody(stage))
    for n, (session_id, answer) in enumerate(told):
        expected = {f"parcel-of-{n}-{call}" for call in range(CALLS)}
        assert {json.loads(output)["delivered"] for output in json.loads(answer)} == expected
        kept = [stage.line.get(f"/v1/jobs/{job['id']}") for job in stage.line.jobs(session_id)]
        assert {job["arguments"]["parcel"] for job in kept} == expected
    assert [len(wire.outputs()) for wire in wires] == [CALLS] * SESSIONS
    assert [spoken_over(wire) for wire in wires] == [[]] * SESSIONS


def spoken_over(wire: Wire) -> list[Event]:
    """Requests to speak that came while a response was active."""
    active, over = False, []
    for by, event in wire.story:
        if by == "gateway" and event["type"] == "response.create" and active:
            over.append(event)
        elif event["type"] in ("response.created", "response.done"):
            active = event["type"] == "response.created"
    return over
