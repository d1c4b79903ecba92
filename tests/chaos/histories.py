"""A small run in which nothing is wrong, for tests that then break one thing in it.

One client, one session of two epochs: connection 1 in which two calls are made and answered, and connection 2 that is
rebuilt from it, in which a third call follows and the client says goodbye.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.chaos.evidence import Evidence, JobRow, JobStep, SessionStep, Told
from tests.chaos.ledger import Effect, Entry

SESSION = "5e55104e-0000-0000-0000-000000000001"
PURE, ONCE, LATER = "call_1_1", "call_1_2", "call_2_9"
"""The three calls."""
BEGAN = 1000.0
RESUMED = 1010.0
ENDED = 1040.0

Item = dict[str, Any]


def sound() -> Evidence:
    """As it should be."""
    jobs = [
        job(PURE, "look_up", "c1.1.0", delivered_epoch=2, delivery="replayed"),
        job(ONCE, "charge", "c1.1.1", delivered_epoch=2, delivery="replayed", effect="at_most_once"),
        job(LATER, "look_up", "c1.2.0", epoch=2, delivered_epoch=2, created_at=1020.0, finished_at=1021.0),
    ]
    return Evidence(
        jobs=jobs,
        steps=[step for row in jobs for step in steps_of(row)],
        sessions=[
            SessionStep(SESSION, BEGAN, "open", 1, "gateway_a", None),
            SessionStep(SESSION, BEGAN + 0.1, "open", 1, "gateway_a", "sess_1"),
            SessionStep(SESSION, RESUMED, "open", 2, "gateway_b", None),
            SessionStep(SESSION, RESUMED + 0.1, "open", 2, "gateway_b", "sess_2"),
            SessionStep(SESSION, ENDED, "ended", 2, "gateway_b", "sess_2"),
        ],
        effects=[effect_of(row) for row in jobs],
        wire=[*first_conversation(), *second_conversation()],
        clients=[Told(1)],
    )


def job(call_id: str, tool: str, canary: str, **changes: Any) -> JobRow:
    row = JobRow(
        id=f"job-of-{call_id}",
        session_id=SESSION,
        call_id=call_id,
        epoch=1,
        tool=tool,
        arguments={"canary": canary},
        effect="pure",
        state="succeeded",
        delivery="acked",
        attempt=1,
        most_attempts=3,
        rescues=0,
        effect_started=tool == "charge",
        result={"canary": canary},
        error=None,
        delivered_epoch=1,
        created_at=1001.0,
        finished_at=1002.0,
    )
    return replace(row, **changes)


def steps_of(row: JobRow) -> list[JobStep]:
    """From pending to where the row is."""
    moves = [("pending", "none", None), ("running", "none", None), ("succeeded", "ready", None)]
    told = [("succeeded", "sent", row.epoch), ("succeeded", "acked", row.epoch)]
    again = [("succeeded", "replayed", 2)] if row.delivery == "replayed" else []
    return [
        JobStep(row.id, row.created_at + 0.1 * place, state, delivery, min(place, 1), epoch)
        for place, (state, delivery, epoch) in enumerate([*moves, *told, *again])
    ]


def effect_of(row: JobRow) -> Effect:
    return Effect(1001.5, row.id, 1, row.effect, row.tool, row.session_id, row.arguments["canary"])


def first_conversation() -> list[Entry]:
    asked = words(client=1, ask=1, calls=[["look_up", "c1.1.0"], ["charge", "c1.1.1"]])
    return [
        Entry(BEGAN, 1, "world", "opened"),
        *taken(1001.0, 1, asked),
        *created(1001.1, 1, "rb_client_1"),
        done(1001.2, 1, call(PURE, "c1.1.0")),
        done(1001.3, 1, call(ONCE, "c1.1.1")),
        *taken(1002.1, 1, answer(PURE, "c1.1.0")),
        *taken(1002.2, 1, answer(ONCE, "c1.1.1")),
        *created(1002.5, 1, "rb_speak_1"),
        Entry(1009.0, 1, "world", "closed"),
    ]


def second_conversation() -> list[Entry]:
    asked = words(client=1, ask=1, calls=[["look_up", "c1.1.0"], ["charge", "c1.1.1"]])
    replayed = [asked, call(PURE, "c1.1.0"), answer(PURE, "c1.1.0"), call(ONCE, "c1.1.1"), answer(ONCE, "c1.1.1")]
    return [
        Entry(RESUMED, 2, "world", "opened"),
        *(entry for place, item in enumerate(replayed) for entry in taken(1011.0 + place / 10, 2, item)),
        *taken(1019.0, 2, words(client=1, ask=2, calls=[["look_up", "c1.2.0"]])),
        *created(1019.1, 2, "rb_client_1"),
        done(1019.5, 2, call(LATER, "c1.2.0")),
        *taken(1021.1, 2, answer(LATER, "c1.2.0")),
        *created(1021.2, 2, "rb_speak_1"),
        *taken(1030.0, 2, words(client=1, goodbye=SESSION)),
    ]


def taken(at: float, on: int, item: Item) -> list[Entry]:
    """The gateway adds an item, and the server takes it."""
    sent = Entry(at, on, "gateway", "conversation.item.create", {"item": item, "event_id": "rb_output_1"})
    return [sent, done(at, on, item)]


def done(at: float, on: int, item: Item) -> Entry:
    return Entry(at, on, "model", "conversation.item.done", {"item": item})


def created(at: float, on: int, event_id: str) -> list[Entry]:
    sent = Entry(at, on, "gateway", "response.create", {"event_id": event_id})
    return [sent, Entry(at, on, "model", "response.created", {"response": f"resp_{at}"})]


def refused(at: float, on: int, code: str, about: str) -> Entry:
    return Entry(at, on, "model", "error", {"code": code, "about": about})


def words(**said: Any) -> Item:
    content = [{"type": "input_text", "text": json.dumps(said)}]
    return {"type": "message", "role": "user", "content": content}


def call(call_id: str, canary: str) -> Item:
    return {"type": "function_call", "call_id": call_id, "arguments": json.dumps({"canary": canary})}


def answer(call_id: str, canary: str) -> Item:
    output = json.dumps({"canary": canary}, separators=(", ", ": "))
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def with_job(run: Evidence, call_id: str, **changes: Any) -> Evidence:
    """The same run, but for this in a row of `jobs`."""
    return replace(run, jobs=[replace(row, **changes) if row.call_id == call_id else row for row in run.jobs])


def with_more(run: Evidence, *entries: Entry) -> Evidence:
    """The same run, and more on the wire, each line in its place."""
    return replace(run, wire=sorted([*run.wire, *entries], key=lambda entry: entry.at))


def without(run: Evidence, unwanted: Callable[[Entry], bool]) -> Evidence:
    """The same run, and less on the wire."""
    return replace(run, wire=[entry for entry in run.wire if not unwanted(entry)])
