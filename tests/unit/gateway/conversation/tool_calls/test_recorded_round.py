"""A recorded round of gpt-realtime-2.1, played to the brain as it was: commentary and a call in one response.

The recordings are not part of the repository. RINGBACK_RECORDINGS names their folder; without it they are looked for
beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from ringback.tools.spec import ToolSpec
from tests.unit.gateway.conversation.script import PLAIN, SPEAK, Script

ROOT = Path(__file__).parents[5]
FOLDER = Path(os.environ.get("RINGBACK_RECORDINGS") or ROOT.parent / "shared" / "recordings")
REASONING = FOLDER / "openai-reasoning-model-tool-round.yaml"

pytestmark = pytest.mark.skipif(
    not REASONING.is_file(), reason="there are no recordings here: set RINGBACK_RECORDINGS to their folder"
)


def recorded(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the server said and what its client sent, each in order."""
    interactions = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"]
    messages = [each for each in interactions if each["kind"] == "message"]
    received, sent = (
        [each["data"] for each in messages if each["direction"] == direction] for direction in ("received", "sent")
    )
    return received, sent


def test_a_recorded_reasoning_round_is_answered_and_spoken_about_once() -> None:
    received, sent = recorded(REASONING)
    configured = next(event["session"] for event in sent if event["type"] == "session.update")
    tools = [
        ToolSpec(tool["name"], tool["description"], tool["parameters"], behavior=PLAIN) for tool in configured["tools"]
    ]
    script = Script(*tools, instructions=configured["instructions"])

    actions: list[str] = []
    calls: dict[str, str] = {}
    for event in received:
        item = event.get("item") or {}
        if item.get("type") == "function_call_output":
            # The recorded client's item ids are its own; ours are worked out from the job.
            event = {**event, "item": {**item, "id": calls[item["call_id"]]}}
        actions += script.model(event)
        for record in script.records:
            assert record.outcome is None
            actions += script.deliver(record.job.call_id, tool=record.job.name)
            (output,) = [each["item"] for each in script.to_model if "item" in each]
            calls[record.job.call_id] = output["id"]

    assert len(calls) == 1
    (call_id,) = calls
    ours = [line for line in actions if not line.startswith("client:")]
    assert ours == [
        "model: session.update",
        "let the client in",
        f"record {call_id}",
        f"model: output {call_id}",
        SPEAK,
        "acknowledge",
    ]
    first_end, speak = actions.index("client: response.done"), actions.index(SPEAK)
    assert speak == first_end + 1, "the create waits for the response that asked, and not longer"
    assert not any("function_call" in line for line in actions)
    assert actions.count("client: response.created") == 2
    assert script.wait(60) == []


def test_what_the_client_sees_of_it_hangs_together() -> None:
    received, sent = recorded(REASONING)
    configured = next(event["session"] for event in sent if event["type"] == "session.update")
    tools = [
        ToolSpec(tool["name"], tool["description"], tool["parameters"], behavior=PLAIN) for tool in configured["tools"]
    ]
    script = Script(*tools, instructions=configured["instructions"])
    items: list[str] = []
    for event in received:
        script.model(event)
        for shown in script.to_client:
            if shown["type"] == "conversation.item.added":
                assert shown["previous_item_id"] in {None, *items}, "no item follows one that was never shown"
                items.append(shown["item"]["id"])
            text = str(shown)
            assert "call_id" not in text
            assert configured["instructions"] not in text
    assert len(items) == 3, "what the user said, the commentary, the answer"
