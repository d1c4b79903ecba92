"""The page at `/` says that a talk is recorded before it opens the microphone, in a real Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.stack_of_ones_own import PATIENCE_MS
from tests.line import TOKEN, running_line
from tests.local_http import LOCAL

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

AGENT = 'instructions = "Be kind."\ntools = ["*"]\n'


def test_a_person_reads_it_before_the_microphone_is_opened(
    browser: Browser, database: str, redis_db: str, tmp_path: Path
) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "demo.toml").write_text(AGENT)
    (agents / "recorded.toml").write_text(AGENT + "recording = true\n")
    with running_line(database, redis_db, tmp_path, agents=agents) as line:
        for agent, is_recorded in (("recorded", True), ("demo", False)):
            bearer, wish = {"Authorization": f"Bearer {TOKEN}"}, {"ringback": {"agent": agent}}
            made = LOCAL.post(f"{line.url}/v1/realtime/client_secrets", headers=bearer, json=wish)
            page = browser.new_page()
            with page.expect_response(lambda answer: answer.url.startswith(f"{line.url}/v1/realtime")):
                page.goto(f"{line.url}/#secret={made.json()['value']}")
            said = page.get_by_text("This talk is recorded: your voice, and the model’s.")
            expect(said).to_be_visible(visible=is_recorded, timeout=PATIENCE_MS)
            page.select_option("#way", "webrtc")  # past the gateway
            expect(said).to_be_visible(visible=False, timeout=PATIENCE_MS)
            page.select_option("#way", "websocket")
            expect(said).to_be_visible(visible=is_recorded, timeout=PATIENCE_MS)
            page.locator("#words").fill("hello")
            page.keyboard.press("Enter")
            expect(page.locator("#state")).to_contain_text("Connected", timeout=PATIENCE_MS)
            expect(said).to_be_visible(visible=is_recorded)
            page.close()
