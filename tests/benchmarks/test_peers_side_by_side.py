"""What a recording comes to in the table of `benchmarks/peers.py`: the same rules for every side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers_side_by_side.cases import CASES
from benchmarks.peers_side_by_side.recording import Entry, Recording, entry_of
from benchmarks.peers_side_by_side.seen import COLLISION, Seen, Task, is_over, read
from benchmarks.peers_side_by_side.tables import Run, cell, figures, table, together
from benchmarks.peers_side_by_side.verdicts import verdict
from simulator.items import Items
from simulator.scripting.scenario import load
from simulator.scripting.script import Call, Request, Script

ONE = {"alpha": 1_000}
TWO = {"alpha": 1_000, "bravo": 1_500}
SCENARIO = Path(__file__).parents[2] / "benchmarks" / "peers_side_by_side" / "scenario.yaml"


def at(ms: float, direction: str, kind: str, connection: int = 0, **fields: Any) -> Entry:
    return entry_of(
        {"ms": ms, "connection": connection, "direction": direction, "event": {"type": kind, **fields}}
        if kind
        else {"ms": ms, "connection": connection, "direction": direction, "detail": 1001}
    )


def call(ms: float, name: str) -> Entry:
    arguments = json.dumps({"name": name, "milliseconds": 1_000})
    return at(ms, "out", "response.function_call_arguments.done", call_id=f"call_{name}", arguments=arguments)


def output(ms: float, name: str, words: str = "", connection: int = 0) -> Entry:
    words = words or f"{name} is done"
    item = {"type": "function_call_output", "call_id": f"call_{name}", "output": words}
    return at(ms, "in", "conversation.item.create", connection, item=item)


def create(ms: float) -> Entry:
    return at(ms, "in", "response.create", event_id="mine")


def began(ms: float, number: int, connection: int = 0) -> Entry:
    return at(ms, "out", "response.created", connection, response={"id": f"resp_{number}"})


def done(ms: float, number: int, words: str, connection: int = 0) -> Entry:
    content = [{"type": "output_text", "text": words}]
    response = {"id": f"resp_{number}", "output": [{"type": "message", "content": content}]}
    return at(ms, "out", "response.done", connection, response=response)


def refusal(ms: float, event_id: str | None) -> Entry:
    return at(ms, "out", "error", error={"code": COLLISION, "event_id": event_id})


BOTH = "alpha is done bravo is done"
STARTED, STOPPED = "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped"
ASKED = [create(0), began(1, 1), call(400, "alpha"), done(401, 1, "")]
BOTH_ASKED = [create(0), began(1, 1), call(400, "alpha"), call(400, "bravo"), done(401, 1, "")]
TOLD = [output(1_410, "alpha"), create(1_411), began(1_412, 2), done(1_800, 2, "The answer is: alpha is done")]


@pytest.mark.parametrize(
    ("entries", "works", "said"),
    [
        ([*ASKED, *TOLD], ONE, "told"),
        (ASKED, ONE, "**lost**"),
        ([create(0), began(1, 1)], ONE, "**lost**"),
        ([*ASKED, output(1_410, "alpha")], ONE, "delivered, never told"),
        ([*ASKED, output(1_410, "alpha"), began(1_411, 2), done(1_800, 2, "alpha is")], ONE, "delivered, never told"),
        ([*ASKED, output(710, "alpha", "CANCELLED")], ONE, "cancelled"),
        ([*ASKED, output(710, "alpha", "It failed.")], ONE, "answered with “It failed.”"),
        ([*ASKED, output(410, "alpha", "It has begun."), *TOLD], ONE, "told"),
        ([*ASKED, *TOLD, began(1_900, 3), done(2_000, 3, "alpha is done")], ONE, "told, told twice"),
        ([*ASKED, call(900, "alpha"), *TOLD], ONE, "told, called again"),
        ([*ASKED, at(700, "out", STARTED), *TOLD], ONE, "told, over the user's words"),
        ([*ASKED, at(700, "out", STARTED), at(1_000, "out", STOPPED), *TOLD], ONE, "told"),
        ([*ASKED, create(1_300), refusal(1_301, "mine"), *TOLD], ONE, "told, 1 refused"),
        ([*ASKED, refusal(1_301, None), *TOLD], ONE, "told, in the place of the answer to the user"),
        ([*BOTH_ASKED, *TOLD], TWO, "1 of 2 told, bravo **lost**"),
        (
            [*BOTH_ASKED, *TOLD, output(1_910, "bravo"), began(1_911, 3), done(2_000, 3, "bravo is done")],
            TWO,
            "both told, one after the other",
        ),
        (
            [*BOTH_ASKED, output(1_410, "alpha"), output(1_910, "bravo"), began(1_911, 2), done(2_000, 2, BOTH)],
            TWO,
            "both told in one reply",
        ),
        (
            [*BOTH_ASKED, output(1_910, "alpha"), output(1_911, "bravo"), began(1_912, 2), done(2_000, 2, BOTH)],
            TWO,
            "both told in one reply, the first held up by the second",
        ),
    ],
)
def test_a_conversation_in_words(entries: list[Entry], works: dict[str, int], said: str) -> None:
    assert verdict(read(entries, works)) == said


def test_times_count_from_the_call_and_creates_from_then_on() -> None:
    seen = read([*ASKED, *TOLD, create(1_900), refusal(1_901, "mine")], ONE)
    told = Task("alpha", 1_000, calls=1, delivered_ms=1_010, told_ms=1_012, told_in=("resp_2",))
    assert seen == Seen((told,), replies=1, refused=1)


def test_a_result_counts_on_whichever_connection_and_in_a_message_too() -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "before: alpha is done"}]}
    seen = read([*ASKED, at(2_400, "in", "conversation.item.create", connection=7, item=item)], ONE)
    assert seen.tasks[0].delivered_ms == 2_000


def test_a_conversation_is_over_when_all_is_told_and_nothing_runs() -> None:
    assert not is_over(ASKED, ONE)
    assert is_over([*ASKED, *TOLD], ONE)
    running = began(1_900, 3, connection=1)
    assert not is_over([*ASKED, *TOLD, running], ONE)
    assert is_over([*ASKED, *TOLD, running, at(1_950, "close", "", connection=1)], ONE)


@pytest.mark.parametrize(
    ("conversations", "said"),
    [
        ([[*ASKED, *TOLD]] * 2, "told (1,010 → 1,012)"),
        ([[*ASKED, *TOLD], [*ASKED, *TOLD], ASKED], "2 of 3: told; 1 of 3: **lost** (1,010 → 1,012)"),
        ([ASKED, ASKED], "**lost**"),
    ],
)
def test_a_cell_has_words_first_and_medians_second(conversations: list[list[Entry]], said: str) -> None:
    assert cell(Run("one", "ours", conversations=tuple(read(entries, ONE) for entries in conversations))) == said


def test_an_option_stands_in_its_sides_column() -> None:
    told, lost = read([*ASKED, *TOLD], ONE), read(ASKED, ONE)
    runs = [
        Run("one", "ours", conversations=(told,)),
        Run("one", "theirs", conversations=(lost,)),
        Run("one", "theirs", "better=True", (told,)),
        Run("line", "theirs", note="as above"),
    ]
    assert table(runs, {"ours": "ours", "theirs": "theirs 1.0"}).splitlines() == [
        "| | ours | theirs 1.0 |",
        "| --- | --- | --- |",
        "| one call of 1 s | told (1,010 → 1,012) | **lost**<br>with better=True: told (1,010 → 1,012) |",
        "| kill -9, at 0.3 s, of the process that holds the socket |  | as above |",
    ]


def test_rounds_are_put_together() -> None:
    told, lost = read([*ASKED, *TOLD], ONE), read(ASKED, ONE)
    ours, theirs = Run("one", "ours", conversations=(told,)), Run("one", "ours", "better=True", (told,))
    failed, again = Run("one", "ours", note="not measured"), Run("one", "ours", conversations=(lost,))
    runs: list[Run] = []
    for run in (ours, theirs, failed, again):
        runs = together(runs, run)
    assert runs == [Run("one", "ours", conversations=(told, lost)), theirs]
    assert together([failed], again) == [again]
    assert together([failed], failed) == [failed]


def test_the_figures_of_a_run_are_one_line() -> None:
    told, lost = read([*ASKED, *TOLD], ONE), read(ASKED, ONE)
    lines = figures(
        [Run("one", "ours", "better=True", (told, lost)), Run("line", "ours", note="as above")]
    ).splitlines()
    cells = "1,010 (1,010 to 1,010) | 1,012 (1,012 to 1,012) | 0 to 1 | 0 | 0 | 1 of 2 | 1 of 2"
    assert lines[2:] == [f"| one | ours, better=True | 2 | {cells} |"]


def test_a_record_is_read_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    path.write_text('{"ms": 1, "connection": 0, "direction": "open", "detail": "/"}\n{"ms": 2, "conn')
    recording = Recording(path)
    assert [entry.direction for entry in recording.more()] == ["open"]
    with path.open("a") as file:
        file.write('ection": 0, "direction": "in", "event": {"type": "input_audio_buffer.append"}}\n')
        file.write('{"ms": 3, "connection": 0, "direction": "in", "event": {"type": "response.create"}}\n')
    assert [entry.kind for entry in recording.more()] == ["response.create"]
    assert recording.more() == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_the_scenario_understands_the_question_of_each_case(case: Any) -> None:

    items = Items()
    content = [{"type": "input_text", "text": case.words}]
    items.append({"id": "item_1", "type": "message", "role": "user", "content": content})
    plan = Script(load(str(SCENARIO))).plan(items, Request(tools=frozenset({"work"})), {})
    arguments = [json.loads(made.arguments) for made in plan.outputs if isinstance(made, Call)]
    assert {made["name"]: made["milliseconds"] for made in arguments} == case.works
