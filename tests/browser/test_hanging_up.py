"""Hanging up while the page at `/` still begins a call over WebRTC, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.stack_of_ones_own import PATIENCE_MS
from tests.line import TOKEN, Line, running_line
from tests.local_http import LOCAL

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]
LATE_TRACK = """
const ready = Promise.withResolvers();
globalThis.letGo = ready.resolve;
const replace = RTCRtpSender.prototype.replaceTrack;
RTCRtpSender.prototype.replaceTrack = async function (track) {
  globalThis.asked = true;
  await ready.promise;
  return replace.call(this, track);
};
"""
"""A browser that takes its time to attach a microphone, until `letGo` is called."""


def test_who_hangs_up_before_a_call_is_placed_places_none(
    browser: Browser, database: str, redis_db: str, tmp_path: Path
) -> None:
    with running_line(database, redis_db, tmp_path) as line:
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        made = LOCAL.post(f"{line.url}/v1/realtime/client_secrets", headers=bearer, json={})
        page = browser.new_page()
        errors: list[str] = []
        placed: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: placed.append(request.url) if request.method == "POST" else None)
        page.add_init_script(LATE_TRACK)
        page.goto(f"{line.url}/?way=webrtc#secret={made.json()['value']}")
        page.locator("#words").fill("hello")
        page.keyboard.press("Enter")
        page.wait_for_function("globalThis.asked", timeout=PATIENCE_MS)
        page.select_option("#way", "websocket")
        page.evaluate("letGo()")
        page.evaluate("new Promise((done) => setTimeout(done))")  # whatever follows has run
        expect(page.locator("#problem")).to_be_hidden()
        expect(page.locator("#state")).to_have_text("The talk has ended.")
        assert (errors, placed) == ([], [])
        page.close()


BLOCKED = """
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  get connectionState() { return "failed"; }
  async setRemoteDescription() { this.dispatchEvent(new Event("connectionstatechange")); }
};
"""
"""A browser that reaches no address of the call's, told at once instead of after half a minute."""


def test_whom_webrtc_does_not_let_through_is_told_to_use_the_websocket(browser: Browser, line: Line) -> None:
    page = browser.new_page()
    page.add_init_script(BLOCKED)
    page.route("**/v1/realtime/calls*", lambda route: route.fulfill(status=201, body="v=0", headers={"location": "/x"}))
    page.goto(f"{line.url}/?way=webrtc#secret=ek_of-a-made-up-gateway")
    page.locator("#words").fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text("Choose WebSocket above", timeout=PATIENCE_MS)
    page.close()
