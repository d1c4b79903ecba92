"""What OpenAI's servers were recorded to say about calls, said to our HTTP and sideband code."""

from __future__ import annotations

from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import pytest
import yaml

from tests.calls.toolbox.desk import CallLine
from tests.conformance.player.recordings import FOLDER, load
from tests.line import TOKEN, eventually
from tests.local_http import LOCAL

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]


def exchange(name: str) -> dict[str, Any]:
    """The one HTTP exchange of a recording; the test is skipped where there is none."""
    path = FOLDER / f"{name}.yaml"
    if not path.exists():
        pytest.skip(f"the recording {path} is not here; RINGBACK_RECORDINGS names the folder that has it")
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["interactions"][0]
    return found


def parts(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """Type and content of each part of a form."""
    form: Any = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        part.get_param("name", header="content-disposition"): (part.get_content_type(), part.get_payload(decode=True))
        for part in form.iter_parts()
    }


def test_a_recorded_offer_is_placed_as_the_recorded_client_did_and_its_answer_passed_on(stack: CallLine) -> None:
    recorded = exchange("openai-webrtc-offer")
    asked, said = recorded["request"], recorded["response"]
    theirs = parts(asked["headers"]["content-type"][0], asked["body"].encode())
    stack.provider.recorded = said["headers"]["location"][0], said["body"]["string"]
    answer = stack.asks(theirs["sdp"][1])
    assert (answer.status_code, answer.text) == (201, said["body"]["string"])
    ours = parts(*stack.provider.placed[-1])
    assert {name: kind for name, (kind, _) in ours.items()} == {name: kind for name, (kind, _) in theirs.items()}
    assert ours["sdp"] == theirs["sdp"]
    session_id = answer.headers["location"].rpartition("/")[2]
    assert stack.session(session_id)["call_id"] == said["headers"]["location"][0].rpartition("/")[2]
    stack.provider.attended(stack.provider.only)
    stack.provider.ends(stack.provider.only)


def test_a_recorded_turn_on_a_sideband_is_in_the_history(stack: CallLine) -> None:
    recording = load("openai-sideband-text-turn")
    received = [event for direction, event in recording.messages if direction == "received"]
    assert received[0]["type"] == "session.updated", "no session.created comes there"
    session_id, call = stack.call()
    stack.provider.tells(call, *received[1:])

    def said() -> list[str]:
        rows = stack.rows("SELECT role, content FROM items WHERE session_id = %s ORDER BY position", session_id)
        return [f"{role}: {content[0]['text']}" for role, content in rows if content]

    (done,) = [event for event in received if event["type"] == "response.done"]
    answer = done["response"]["output"][0]["content"][0]["text"]
    eventually(lambda: said() == ["user: Say hello.", f"assistant: {answer}"], "both to be in the history")
    eventually(
        lambda: stack.rows("SELECT input_tokens FROM responses WHERE session_id = %s", session_id),
        "its tokens to be counted",
    )
    stack.provider.ends(call)


def test_a_recorded_request_for_a_secret_is_answered_in_the_recorded_shape(stack: CallLine) -> None:
    recorded = exchange("openai-client-secret")
    body, said = recorded["request"]["parsed_body"], recorded["response"]["parsed_body"]
    url = f"{stack.line.url}/v1/realtime/client_secrets"
    answer = LOCAL.post(url, json=body, headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert set(said) <= set(answer)
    assert answer["value"].startswith("ek_")
    assert set(answer["session"]) <= set(said["session"]) - {"instructions", "tools"}
    assert stack.asks(token=answer["value"]).status_code == 201
    stack.provider.attended(stack.provider.only)
    stack.provider.ends(stack.provider.only)
