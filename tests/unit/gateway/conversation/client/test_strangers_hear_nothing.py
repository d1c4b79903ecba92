"""Whatever the Realtime API sends, in whichever order: nothing of the server's reaches a stranger."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from gateway.conversation.actions import Action, SendToClient
from ringback.jobs.outcomes import failed, succeeded
from tests.unit.gateway.conversation.script import SESSION, Script, job_of, meant

Event = dict[str, Any]

CANARY = "CANARY"
"""Stands in instructions, tools, arguments, outputs, and all that the Realtime API has to say of an account."""
STEPS = 80


def calls(number: int, pick: random.Random) -> list[Event]:
    """Items that are the server's business, and a message, which is not."""
    status = pick.choice(["completed", "incomplete", "in_progress"])
    call = {"name": pick.choice(["weather", "order", CANARY]), "call_id": f"call_{number}", "status": status}
    return [
        {"id": f"f{number}", "type": "function_call", "arguments": json.dumps({"city": CANARY}), **call},
        {"id": f"o{number}", "type": "function_call_output", "call_id": f"call_{number}", "output": CANARY},
        {"id": f"x{number}", "type": "mcp_call", "arguments": CANARY, "output": CANARY},
        {"id": f"w{number}", "type": "web_search_call", "action": {"query": CANARY}},
        {"id": f"m{number}", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi."}]},
    ]


def event(pick: random.Random) -> Event:
    """Any event of the Realtime API."""
    number = pick.randrange(4)
    item, other = pick.choice(calls(number, pick)), pick.choice(calls(pick.randrange(4), pick))
    error = {"type": "invalid_request_error", "code": pick.choice(["some_code", None]), "message": CANARY}
    hidden = {"instructions": CANARY, "tools": [{"name": CANARY}], "tool_choice": CANARY, "prompt": {"id": CANARY}}
    response = {
        **hidden,
        "id": f"R{number}",
        "status": pick.choice(["completed", "failed", "cancelled", "incomplete"]),
        "status_details": {"type": "failed", "error": error},
        "metadata": pick.choice([None, {"ringback": CANARY}]),
        "output": [item, other],
    }
    heard = {"turn_detection": None, "transcription": {"model": "m", "prompt": CANARY, "keywords": [CANARY]}}
    session = {**hidden, "id": CANARY, "tracing": CANARY, "audio": {"input": heard}}
    previous = {"previous_item_id": pick.choice([None, other["id"]])}
    kinds: list[Event] = [
        *({"type": f"session.{kind}", "session": session} for kind in ("created", "updated")),
        *({"type": f"response.{kind}", "response": response} for kind in ("created", "done")),
        *({"type": f"response.output_item.{kind}", "item": item} for kind in ("added", "done")),
        *(
            {"type": f"conversation.item.{kind}", "item": item, **previous}
            for kind in ("added", "created", "done", "retrieved")
        ),
        {"type": "response.function_call_arguments.delta", "item_id": f"f{number}", "delta": CANARY},
        {"type": "response.function_call_arguments.done", "item_id": f"f{number}", "arguments": CANARY},
        {"type": "response.mcp_call_arguments.done", "item_id": f"x{number}", "arguments": CANARY},
        {"type": "error", "error": {**error, "event_id": pick.choice([None, "mine", "rb_speak_1_1"])}},
        {"type": "conversation.item.input_audio_transcription.failed", "item_id": f"m{number}", "error": error},
        {"type": "rate_limits.updated", "rate_limits": [{"name": CANARY}]},
        {"type": "provider.extra", "value": CANARY},
        *({"type": f"input_audio_buffer.speech_{kind}", "item_id": "u"} for kind in ("started", "stopped")),
    ]
    return pick.choice(kinds)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_of_the_servers_reaches_a_stranger(seed: int) -> None:
    pick = random.Random(seed)
    script = Script(instructions=CANARY, wants=("calls",)).opened()
    seen: list[Action] = []

    def deliver() -> list[Action]:
        call_id = f"call_{pick.randrange(4)}"
        outcome = pick.choice([succeeded(CANARY), failed("some_code", CANARY)])
        return script.conversation.deliver(job_of(call_id), call_id, "weather", outcome, script.now)

    steps: list[Callable[[], list[Action]]] = [
        lambda: script.conversation.receive_model(meant(event(pick)), script.now),
        lambda: script.conversation.tick(script.now),
        deliver,
    ]
    for _ in range(STEPS):
        script.now += pick.random()
        seen += pick.choices(steps, weights=(8, 1, 1))[0]()
    shown = [json.dumps(action.event) for action in seen if isinstance(action, SendToClient)]
    assert any(str(SESSION) in told or "message" in told for told in shown), "a stranger hears the conversation"
    assert [told for told in shown if CANARY in told] == []
