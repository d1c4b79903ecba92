"""What must wait for its moment, and what must not be lost when the moment is the last."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import psycopg

from tests.conformance.conftest import Stage
from tests.conformance.player.model import Call, Model
from tests.conformance.player.wire import Wire
from tests.line import PATIENCE, eventually
from tests.scraped import scrape
from tests.servers import in_dialect

LOOK_SECONDS = 0.02
A_MINUTE = base64.b64encode(bytes(24_000 * 2 * 60)).decode()
"""Of silence: the model is speaking still, however slow this machine is."""
OSLO = Call.of("get_weather", "call_1", city="Oslo")
WAITING = """
    SELECT pid, query_start FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%is_echoed%'
"""


async def waiter(watching: psycopg.AsyncConnection[Any], *, other_than: object = None) -> Any:
    """The record of a delivery that waits for a locked job, once there is one (another than the one that was seen)."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await (await watching.execute(WAITING)).fetchall()
            new = [row for row in found if row != other_than]
            if new:
                return new[0]
            await asyncio.sleep(LOOK_SECONDS)


def test_an_answer_goes_in_while_a_response_runs_and_is_spoken_of_after_it(stage: Stage) -> None:
    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        response_id = await model.call([OSLO], done=False)
        await model.take_answers(1)
        await model.tell("input_audio_buffer.cleared")
        # The client's next frame comes through: what the gateway had to say of the answer, it would have said.
        await wire.receive("input_audio_buffer.clear")
        await model.end_response(response_id, [OSLO.item()])
        await model.answer("Foggy.")

    async def go() -> str:
        async with stage.upstream(script), stage.line.call() as caller:
            await caller.ask("What is the weather in Oslo?")
            await caller.hear_kind("input_audio_buffer.cleared")
            await caller.send({"type": "input_audio_buffer.clear"})
            return await caller.hear_answer()

    assert asyncio.run(go()) == "Foggy."


def test_an_acknowledgement_under_way_is_written_though_the_client_is_gone(stage: Stage) -> None:
    """The job's row is locked while its answer is echoed: the first attempt waits, and ends with the session."""
    is_locked = asyncio.Event()

    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.hear_question()
        await model.call([OSLO])
        answer = (await wire.receive("conversation.item.create"))["item"]
        await is_locked.wait()
        await model.tell("conversation.item.added", item=answer)

    async def go() -> str:
        address = in_dialect(stage.line.database, "postgresql")
        async with (
            await psycopg.AsyncConnection.connect(address, autocommit=True) as watching,
            await psycopg.AsyncConnection.connect(address) as locking,
            stage.upstream(script),
        ):
            async with stage.line.call() as caller:
                await caller.ask("What is the weather in Oslo?")
                await caller.hear_kind("response.done")
                await asyncio.to_thread(delivered, stage, caller.session_id, "sent")
                await locking.execute("SELECT id FROM jobs WHERE session_id = %s FOR UPDATE", [caller.session_id])
                is_locked.set()
                first = await waiter(watching)
            await waiter(watching, other_than=first)
            await locking.rollback()
        return caller.session_id

    delivered(stage, asyncio.run(go()), "acked")


def test_who_speaks_over_the_model_is_counted_and_who_speaks_into_its_silence_is_not(stage: Stage) -> None:
    def barge_ins() -> float:
        return scrape(stage.line.url).value("ringback_barge_ins_total")

    async def script(wire: Wire) -> None:
        model = Model(wire)
        await model.open()
        await model.tell("input_audio_buffer.speech_started", audio_start_ms=0, item_id="item_u1")
        await model.tell("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="item_u1")
        response_id = await model.begin_response()
        place = {"response_id": response_id, "output_index": 0}
        said = {"id": "item_m", "type": "message", "role": "assistant", "status": "completed", "content": []}
        await model.tell("response.output_item.added", **place, item={**said, "status": "in_progress"})
        await model.tell("response.output_audio.delta", **place, item_id="item_m", content_index=0, delta=A_MINUTE)
        await model.tell("response.output_item.done", **place, item=said)
        await model.end_response(response_id, [said])
        await model.tell("input_audio_buffer.speech_started", audio_start_ms=2_000, item_id="item_u2")
        await wire.receive("input_audio_buffer.clear")

    async def go() -> None:
        async with stage.upstream(script), stage.line.call() as caller:
            for _ in range(2):
                await caller.hear_kind("input_audio_buffer.speech_started")
            await asyncio.to_thread(eventually, lambda: barge_ins() == before + 1, "one barge-in to be counted")
            await caller.send({"type": "input_audio_buffer.clear"})

    before = barge_ins()
    asyncio.run(go())
    assert barge_ins() == before + 1


def delivered(stage: Stage, session_id: str, state: str) -> None:
    """Wait until the session's only call is delivered so far."""
    eventually(lambda: [job["delivery"] for job in stage.line.jobs(session_id)] == [state], f"a call that is {state}")
