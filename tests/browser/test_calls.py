"""A real Chromium calls the simulator over WebRTC; a sideband answers the call's function."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page
from websockets.sync.client import ClientConnection, connect

from simulator.speech import ears, synthesis
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import (
    HAS_PAUSED,
    MOUTH,
    PATIENCE,
    PATIENCE_MS,
    Tab,
    last_words,
    words_in,
)
from tests.forked import popen
from tests.line import eventually
from tests.local_http import LOCAL

pytest.importorskip("aiortc", reason="calls have no media: install ringback[webrtc]")

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "Look up the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
KEY = {"Authorization": "Bearer sk-test"}


@contextmanager
def simulating() -> Iterator[str]:
    """`python -m simulator` as a process; the address of its API."""
    command = [sys.executable, "-m", "simulator", "--key", "sk-test"]
    with popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = re.search(r"ws://(\S+)/v1/realtime", process.stdout.readline())
        assert ready
        try:
            yield f"{ready[1]}/v1/realtime"
        finally:
            process.terminate()


class Beside:
    """A sideband: it offers the weather, and answers for it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[str] = []
        session = {"type": "realtime", "tools": [WEATHER], "audio": {"input": {"transcription": {"model": "any"}}}}
        self.send("session.update", session=session)

    def send(self, kind: str, **fields: Any) -> None:
        self.socket.send(json.dumps({"type": kind, **fields}))

    def until(self, kind: str) -> dict[str, Any]:
        while True:
            event: dict[str, Any] = json.loads(self.socket.recv(PATIENCE))
            self.seen.append(event["type"])
            if event["type"] == kind:
                return event

    def answer(self) -> str:
        """Answer the call, when it comes; returns the words that are said then."""
        call = self.until("response.function_call_arguments.done")
        assert "London" in json.loads(call["arguments"])["city"]
        self.until("response.done")
        said = json.dumps({"summary": "There is light rain in London, and it is twelve degrees warm."})
        self.send(
            "conversation.item.create",
            item={"type": "function_call_output", "call_id": call["call_id"], "output": said},
        )
        self.send("response.create")
        return str(self.until("response.output_audio_transcript.done")["transcript"])


def understood(page: Page) -> bool:
    """Whether what the page has heard last has the words of the answer. The sound comes a little behind its events."""
    if not page.evaluate(f"({HAS_PAUSED})(samples)"):
        return False
    pcm = last_words(array("h", page.evaluate("samples")).tobytes())
    return words_in(pcm) >= {"london", "degrees", "rain"}


@pytest.mark.skipif(
    not (ears.available() and synthesis.available()), reason="the simulator has no voice: install ringback[voice]"
)
def test_a_spoken_question_over_webrtc_comes_back_as_speech_that_can_be_understood(pages: str) -> None:
    with simulating() as api, launched() as browser:
        page = browser.new_page()
        page.add_init_script(MOUTH)
        page.goto(f"{pages}/call.html?at=http://{api}/calls")
        page.click("#call")
        page.wait_for_function("globalThis.placed", timeout=PATIENCE_MS)
        call_id = page.evaluate("placed").rpartition("/")[2]
        with connect(f"ws://{api}?call_id={call_id}", additional_headers=KEY, max_queue=None) as socket:
            sideband = Beside(socket)
            page.wait_for_function("peer.connectionState === 'connected'", timeout=PATIENCE_MS)
            Tab(page).say_aloud("what is the weather in london")
            assert "twelve degrees" in sideband.answer()
            sideband.until("output_audio_buffer.stopped")
            page.wait_for_function(
                "seen.some((event) => event.type === 'output_audio_buffer.stopped')", timeout=PATIENCE_MS
            )
            eventually(lambda: understood(page), "the answer has come over WebRTC, and is understood")
            assert "session.created" not in sideband.seen
            assert LOCAL.post(f"http://{api}/calls/{call_id}/hangup", headers=KEY).status_code == 200
            page.wait_for_function("globalThis.hungUp", timeout=PATIENCE_MS)
