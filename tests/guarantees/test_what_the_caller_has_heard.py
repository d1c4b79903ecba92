"""A result is heard as far as its client says, through real processes and in the history."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest

from tests.guarantees.toolbox.bakery import FIRST, SECOND, Pair, baked, order
from tests.line import Caller, Event, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.long, pytest.mark.timeout(120)]

BYTES_A_MS = 48
"""Of PCM16 at 24 kHz."""


def sounded(caller: Caller) -> tuple[str, float]:
    """The item that the model said last, and how many milliseconds of it the client was sent."""
    deltas = [event for event in caller.heard if event["type"] == "response.output_audio.delta"]
    item = deltas[-1]["item_id"]
    pieces = [base64.b64decode(event["delta"]) for event in deltas if event["item_id"] == item]
    return item, sum(map(len, pieces)) / BYTES_A_MS


def reports(item: str, ms: float) -> Event:
    return {"type": "ringback.playback", "item_id": item, "played_ms": round(ms)}


def cuts_off(item: str, ms: float) -> Event:
    """Not before it counts as heard: the answer may be shorter than a second."""
    return {"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": most_of(ms)}


def most_of(ms: float) -> int:
    return round(0.8 * ms)


async def hears_its_order(pair: Pair, ringback: str, does: Callable[[str, float], Event] | None) -> tuple[str, float]:
    """Ask for an order, hear it told, do something about it and leave; return the call's id and its sound's length."""
    name = order()
    async with pair.line.call(on=FIRST, ringback=ringback) as caller:
        call_id = await pair.ask(caller, name)
        await asyncio.to_thread(pair.finish, name, call_id)
        await caller.hear_words(baked(name))
        item, ms = sounded(caller)
        if does is not None:
            await caller.send(does(item, ms))
            await asyncio.to_thread(eventually, lambda: pair.delivery(call_id) == "heard", f"{call_id} to be heard")
    return call_id, ms


def told(pair: Pair, call_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job of a call, and its session's timeline, as the other gateway tells them."""
    jobs = pair.line.get("/v1/jobs", on=SECOND)["data"]
    (listed,) = [job for job in jobs if job["call_id"] == call_id]
    session = pair.line.get(f"/v1/sessions/{listed['session_id']}/timeline", on=SECOND)
    return pair.line.get(f"/v1/jobs/{listed['id']}", on=SECOND), session


def is_over(pair: Pair, session_id: str) -> None:
    """Wait until a session has ended: then all that is known of it is written."""
    eventually(lambda: pair.session_state(session_id) == "ended", "the session to end")


def is_played(moment: Event, answer: str) -> bool:
    return (moment["kind"], moment["response_id"]) == ("response_played", answer)


async def test_a_result_is_heard_as_the_client_says_and_spoken_where_the_client_is_gone(pair: Pair) -> None:
    reported, cut_off, left = [
        await hears_its_order(pair, ringback, does)
        for ringback, does in (("jobs,playback", reports), ("jobs", cuts_off), ("jobs,playback", None))
    ]
    for call_id, _ in (reported, cut_off, left):
        is_over(pair, told(pair, call_id)[0]["session_id"])
    heard = {}
    for call_id, ms in (reported, cut_off, left):
        job, timeline = told(pair, call_id)
        heard[call_id] = (job["delivery"], job["heard_by"], job["played_ms"] and round(job["played_ms"]))
        assert round(job["audio_ms"]) == round(ms)
        spent = job["timeline"]
        assert all(spent[part] is not None for part in ("waited_ms", "ran_ms", "rang_ms", "floor_ms", "voice_ms"))
        assert (spent["heard_ms"] is None) == (job["delivery"] == "spoken")
        kinds = [moment["kind"] for moment in timeline["moments"]]
        assert kinds[:3] == ["client_came", "epoch_began", "user_typed"]
        assert kinds[-1] == "client_left"
        played = next(m for m in timeline["moments"] if is_played(m, job["answer_id"]))
        assert played["detail"] == job["heard_by"]
    assert heard == {
        reported[0]: ("heard", "report", round(reported[1])),
        cut_off[0]: ("heard", "truncate", most_of(cut_off[1])),
        left[0]: ("spoken", "unknown", None),
    }
