"""A response can be cut off between any two events, and is always closed properly."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.behavior import Knobs
from simulator.items import Items
from simulator.responses.responses import PlayedResponse
from simulator.responses.steps import steps_of
from simulator.scripting.scenario import Cut
from simulator.scripting.script import Call, Plan, Say
from simulator.speech.chunking import pieces_of_arguments, pieces_of_audio, pieces_of_text
from simulator.wire import obfuscation
from tests.unit.simulator.rehearsal import sound, types

WEATHER = Call("weather", '{"city":"London"}')
QUOTE = Call("quote_of_the_day", "{}")
COMMENTARY = Say("Let me look.", "commentary")
PLANS = {
    "a message": Plan((Say("Good day to you."),)),
    "a call": Plan((WEATHER,)),
    "two calls": Plan((WEATHER, QUOTE)),
    "a commentary and two calls": Plan((COMMENTARY, WEATHER, QUOTE)),
}


def played(plan: Plan, *, audio: bool = False, limit: Any = "inf", knobs: Knobs | None = None) -> PlayedResponse:
    response = {
        "id": "resp_1",
        "status": "in_progress",
        "output_modalities": ["audio"] if audio else ["text"],
        "max_output_tokens": limit,
    }
    made = PlayedResponse(response, Items(), knobs or Knobs())
    made.load_plan(plan, {output.text: sound(250) for output in plan.outputs if isinstance(output, Say)})
    return made


def play(made: PlayedResponse, steps: int = 1000) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    while made.wait_ms is not None and steps > 0:
        events += made.advance()
        steps -= 1
    return events


def steps_left(made: PlayedResponse, steps: int) -> bool:
    """Whether a response like this one is still going on after so many steps."""
    twin = copy.deepcopy(made)
    play(twin, steps)
    return not twin.finished


@pytest.mark.parametrize("audio", [False, True], ids=["text", "audio"])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_a_response_cut_off_after_any_step_closes_everything_that_it_opened(plan: Plan, audio: bool) -> None:
    steps = 0
    while steps_left(whole := played(plan, audio=audio), steps):
        events = [*play(whole, steps), *whole.cut("turn_detected")]
        kinds = Counter(types(events))
        for opened, closed in (
            ("response.output_item.added", "response.output_item.done"),
            ("conversation.item.added", "conversation.item.done"),
            ("response.content_part.added", "response.content_part.done"),
        ):
            assert kinds[opened] == kinds[closed]
        assert types(events)[-1] == "response.done"
        done = events[-1]["response"]
        assert done["status"] == "cancelled"
        assert {item["status"] for item in done["output"]} <= {"completed", "incomplete"}
        assert len(done["output"]) == kinds["response.output_item.added"]
        steps += 1
    assert steps > len(plan.outputs)


def test_the_deltas_of_a_cut_response_join_to_what_its_done_events_say() -> None:
    made = played(Plan((WEATHER,)))
    events = [*play(made, 3), *made.cut("client_cancelled")]
    deltas = "".join(e["delta"] for e in events if e["type"].endswith("arguments.delta"))
    done = next(e for e in events if e["type"].endswith("arguments.done"))
    assert WEATHER.arguments.startswith(deltas)
    assert done["arguments"] == deltas == events[-1]["response"]["output"][0]["arguments"]


def test_a_call_is_announced_before_the_commentary_beside_it_ends() -> None:
    events = play(played(PLANS["a commentary and two calls"]))
    order = [(e["type"], e.get("output_index")) for e in events]
    call_added = order.index(("response.output_item.added", 1))
    assert call_added < order.index(("response.output_text.done", 0)) < order.index(("response.output_item.done", 1))
    assert order.index(("response.output_item.done", 0)) < order.index(("response.function_call_arguments.done", 1))
    assert order.index(("response.output_item.done", 1)) < order.index(("response.output_item.added", 2))


def test_the_phase_of_a_message_is_on_all_its_items() -> None:
    events = play(played(Plan((Say("Done.", "final_answer"),))))
    phases = [e["item"]["phase"] for e in events if "item" in e]
    assert phases == ["final_answer"] * 4


def test_every_call_gets_its_whole_arguments() -> None:
    done = play(played(PLANS["two calls"]))[-1]["response"]
    assert [item["arguments"] for item in done["output"]] == [WEATHER.arguments, QUOTE.arguments]


@pytest.mark.parametrize("status", ["cancelled", "incomplete"])
def test_a_plan_may_end_in_the_middle_of_the_last_calls_arguments(status: Any) -> None:
    cut = Cut(status=status, reason="max_output_tokens", after_deltas=3)
    done = play(played(Plan((WEATHER, WEATHER), cut)))[-1]["response"]
    assert done["status"] == status
    assert done["status_details"] == {"type": status, "reason": "max_output_tokens"}
    assert [item["status"] for item in done["output"]] == ["completed", "incomplete"]
    assert done["output"][1]["arguments"] == "".join(pieces_of_arguments(WEATHER.arguments)[:3])


def test_a_failed_response_has_no_output_and_says_why() -> None:
    events = play(played(Plan((WEATHER,), Cut(status="failed"))))
    assert types(events) == ["response.done"]
    assert events[0]["response"]["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"


def test_audio_runs_a_little_behind_its_transcript() -> None:
    events = play(played(Plan((Say("Good day to you."),)), audio=True))
    kinds = [k for k in types(events) if k.endswith("delta")]
    assert kinds[0] == "response.output_audio_transcript.delta"
    assert kinds.count("response.output_audio.delta") == 3
    assert types(events)[-6:-3] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
    ]


@pytest.mark.parametrize(("speed", "wait"), [(10.0, 10.0), (1.0, 100.0), (0.0, 0.0)])
def test_audio_is_sent_so_many_times_faster_than_real_time(speed: float, wait: float) -> None:
    say = Say("Hi")
    steps = steps_of(Plan((say,)), {"Hi": sound(100)}, audio=True, limit=None, knobs=Knobs(audio_speed=speed))
    assert [step.wait_ms for step in steps if step.kind == "sound"] == [wait]


def test_the_model_thinks_once_and_then_writes_at_its_pace() -> None:
    knobs = Knobs(think_ms=300, text_delta_ms=20)
    steps = steps_of(Plan((Say("Hi there"),)), {}, audio=False, limit=None, knobs=knobs)
    assert [step.wait_ms for step in steps] == [300, 20, 20, 0]


@pytest.mark.parametrize(
    ("knob", "first", "second"), [("recorded", None, "item_1"), ("null", None, None), ("right", "item_0", "item_1")]
)
def test_done_names_its_predecessor_as_the_knob_says(knob: Any, first: str | None, second: str | None) -> None:
    for count, expected in ((1, first), (2, second)):
        made = played(Plan((Say("Hi"),)), knobs=Knobs(done_previous_item_id=knob))
        assert made.items is not None
        for number in range(count):
            made.items.append({"id": f"item_{number}"})
        done = next(e for e in play(made) if e["type"] == "conversation.item.done")
        assert done["previous_item_id"] == expected


@given(st.text())
def test_pieces_join_to_the_whole(text: str) -> None:
    assert "".join(pieces_of_text(text)) == text
    assert "".join(pieces_of_arguments(text)) == text
    assert b"".join(pieces_of_audio(text.encode())) == text.encode()


@given(st.text(max_size=40))
def test_a_delta_and_its_padding_fill_whole_blocks(delta: str) -> None:
    assert (len(delta) + len(obfuscation(delta))) % 16 == 0
