"""The page at `/`, in a real Chromium: a person speaks to it, types, cuts in and kills processes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, WebSocketRoute, expect

from simulator.speech import ears, synthesis
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import (
    MICROPHONE,
    MOUTH,
    PATIENCE_MS,
    Tab,
    Up,
    opened,
    running_up,
    samples_of,
    words_in,
    write_speech,
)
from tests.line import eventually
from tests.local_http import LOCAL

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

QUESTION = "what is the weather in london"
ANSWER = "In London, UK it is 12 degrees with light rain."
UNREACHABLE = re.compile("ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection to")
"""What Chromium writes into its console while the gateway is dead."""

needs_voice = pytest.mark.skipif(
    not (ears.available() and synthesis.available()),
    reason="the simulator has no voice: install ringback[voice]",
)


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running_up() as up:
        yield up


def hearing(file: str) -> AbstractContextManager[Browser]:
    """A browser whose microphone is this file, again and again unless it ends with `%noloop`."""
    return launched(*MICROPHONE, f"--use-file-for-fake-audio-capture={file}")


def read(up: Up, path: str) -> Any:
    """The JSON of a GET to the history."""
    return LOCAL.get(f"{up.url}{path}", headers={"Authorization": f"Bearer {up.token}"}).json()


def must_be_clean(tab: Tab, *, killed: bool = False) -> None:
    """No script or style was stopped by the policy, and no error was written into the console."""
    assert tab.forbidden() == []
    assert [said for said in tab.said if not (killed and UNREACHABLE.search(said))] == []


@needs_voice
def test_a_spoken_question_comes_back_as_speech_that_can_be_understood(up: Up, tmp_path: Path) -> None:
    question = write_speech(tmp_path / "question.wav", QUESTION, 1, 2)
    with hearing(f"{question}%noloop") as browser, opened(browser, up.link) as tab:
        tab.page.get_by_role("button", name="Talk").click()
        tab.wait_for_call("heard")
        expect(tab.page.locator("#transcript .user")).to_contain_text(re.compile(QUESTION, re.IGNORECASE))
        expect(tab.page.locator("#transcript .model").last).to_contain_text(ANSWER)
        pieces = tab.to_speaker()
        last = [piece["item"] for piece in pieces if piece["samples"]][-1]
        assert words_in(samples_of([piece for piece in pieces if piece["item"] == last])) >= {"degrees", "rain"}
        (newest, *_) = read(up, "/v1/jobs")["data"]
        look = partial(read, up, f"/v1/jobs/{newest['id']}")
        eventually(lambda: look()["delivery"] == "heard", "the history says that the answer was heard")
        assert look()["heard_by"] == "report"
        must_be_clean(tab)


@needs_voice
def test_over_webrtc_too_a_spoken_question_comes_back_as_speech_that_can_be_understood(up: Up) -> None:
    pytest.importorskip("aiortc", reason="the simulator has no media: install ringback[webrtc]")
    with launched() as browser, opened(browser, up.link, scripts=[MOUTH]) as tab:
        tab.page.get_by_label("Voice over").select_option("webrtc")
        tab.page.get_by_role("button", name="Talk").click()
        expect(tab.page.locator("#state")).to_contain_text("Listening", timeout=PATIENCE_MS)
        tab.say_aloud(QUESTION)
        tab.wait_for_call(re.compile("^(delivered|heard)"))
        expect(tab.page.locator("#transcript .user")).to_contain_text(re.compile("weather in london", re.IGNORECASE))
        expect(tab.page.locator("#transcript .model").last).to_contain_text(ANSWER, timeout=PATIENCE_MS)
        eventually(lambda: understood(tab), "the answer was spoken")
        (newest, *_) = read(up, "/v1/jobs")["data"]
        assert newest["state"] == "succeeded"
        assert tab.to_speaker() == []
        assert not [event for event in tab.sent if event["type"].startswith("input_audio_buffer")]
        tab.page.get_by_role("button", name="End", exact=True).click()
        expect(tab.page.locator("#state")).to_have_text("The talk has ended.")
        must_be_clean(tab)


LATE_LINE = """
globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 0;
  sent = [];
  constructor() { globalThis.line = this; }
  send(text) { this.sent.push(JSON.parse(text).type); }
  close() {}
};
"""
"""A browser whose connection opens when the test says so."""


def test_what_is_spoken_while_the_page_connects_is_heard(up: Up) -> None:
    address = f"{up.url}/#secret=ek_of-a-made-up-gateway"
    with launched(*MICROPHONE) as browser, opened(browser, address, scripts=[LATE_LINE]) as tab:
        tab.page.get_by_role("button", name="Talk").click()
        expect(tab.page.locator("#state")).to_contain_text("Connecting", timeout=PATIENCE_MS)
        level = re.compile(r"--level: \d\.\d\d")  # as the microphone's first piece sets it, also if that is silent
        expect(tab.page.locator("#talk")).to_have_attribute("style", level, timeout=PATIENCE_MS)
        assert tab.page.evaluate("line.sent") == []
        sent = tab.page.evaluate("line.readyState = 1, line.onopen(), line.sent")
        assert set(sent) == {"input_audio_buffer.append"}


def understood(tab: Tab) -> bool:
    """Whether what came over WebRTC has the words of the answer; the last one may end too softly for the ears."""
    if not tab.has_paused():
        return False
    return words_in(tab.over_peer()) >= {"london", "degrees", "light"}


@needs_voice
def test_who_cuts_in_hears_the_answer_stop_and_the_gateway_learns_what_was_heard(up: Up, tmp_path: Path) -> None:
    """The pauses grow, and the file plays again and again: one of its questions falls into an answer."""
    question = write_speech(tmp_path / "question.wav", QUESTION, 0.3, 2.2, 3.5, 5, 7, 9, 11)
    with hearing(f"{question}") as browser, opened(browser, up.link) as tab:
        tab.page.get_by_role("button", name="Talk").click()
        expect(tab.page.locator("#transcript .cut").first).to_be_visible(timeout=2 * PATIENCE_MS)
        tab.page.get_by_role("button", name="End", exact=True).click()
        (cut, *_) = [event for event in tab.sent if event["type"] == "conversation.item.truncate"]
        assert cut["audio_end_ms"] >= 0
        pieces = tab.to_speaker()
        of_the_item = [index for index, piece in enumerate(pieces) if piece["item"] == cut["item_id"]]
        stop = next(index for index, piece in enumerate(pieces) if piece["stop"] and index > of_the_item[0])
        assert not [index for index in of_the_item if index > stop and pieces[index]["samples"]]
        must_be_clean(tab)


def test_the_answer_comes_all_the_same_when_the_worker_is_killed(browser: Browser, up: Up) -> None:
    """By the keyboard alone."""
    with opened(browser, up.link) as tab:
        expect(tab.page.get_by_role("button", name="Where is my order?")).to_be_visible(timeout=PATIENCE_MS)
        tab.ask("Where is my order B-2301?")
        tab.wait_for_call(re.compile("^running"))
        tab.press("Kill the worker")
        tab.wait_for_call("heard (attempt 2)")
        told = tab.moments()
        assert re.search(r"kill -9 \d+: you killed the worker", told)
        assert "order_status: its worker was lost, and the job taken back" in told
        assert "order_status: you heard the answer" in told
        expect(tab.page.locator("#transcript .model").last).to_contain_text("Your order B-2301 is shipped.")
        must_be_clean(tab)


def test_the_answer_comes_all_the_same_when_the_gateway_is_killed(browser: Browser, up: Up) -> None:
    with opened(browser, up.link) as tab:
        tab.page.get_by_role("button", name="Where is my order?").click(timeout=PATIENCE_MS)
        tab.wait_for_call(re.compile("^running"))
        tab.press("Kill the gateway")
        expect(tab.page.locator("#moments")).to_contain_text("resumed the same talk, epoch 2", timeout=PATIENCE_MS)
        tab.wait_for_call("heard")
        expect(tab.page.locator("#transcript .model").last).to_contain_text("Your order A-1042 is out for delivery.")
        must_be_clean(tab, killed=True)
        must_be_on_the_timeline(browser, up)


def must_be_on_the_timeline(browser: Browser, up: Up) -> None:
    """The console shows of the newest talk that its gateway was lost, and that the client came back."""
    (newest, *_) = read(up, "/v1/sessions")["data"]
    made = LOCAL.post(f"{up.url}/console/links", headers={"Authorization": f"Bearer {up.token}"}).json()
    page = browser.new_page()
    page.goto(f"{up.url}{made['path']}")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{up.url}/console/sessions/{newest['id']}")
    lane = page.locator("#scroll")
    expect(lane.locator("path.k-came title")).to_have_text([re.compile("new"), re.compile("resumed")])
    expect(lane.locator("rect.k-unknown title")).to_have_text("epoch 1: its gateway was lost in this time")
    expect(page.locator(".legend")).to_contain_text("gateway lost")
    page.close()


def test_axe_finds_nothing_serious_and_a_phone_need_not_scroll_aside(browser: Browser, up: Up) -> None:
    with opened(browser, up.link, viewport={"width": 390, "height": 844}) as tab:
        tab.page.get_by_role("button", name="Give me a quote of the day.").click(timeout=PATIENCE_MS)
        tab.wait_for_call("heard")
        for scheme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=scheme)
            found = Axe().run(tab.page).response["violations"]
            assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == [], scheme
        tab.page.locator("#agents").evaluate("(label) => (label.hidden = false)")  # where an installation has several
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
        assert tab.page.evaluate("document.querySelector('h1').offsetHeight") < 40, "the name stands in one line"
        must_be_clean(tab)


def test_a_backends_user_talks_with_the_secret_in_the_link_and_kills_nothing(browser: Browser, up: Up) -> None:
    bearer = {"Authorization": f"Bearer {up.token}"}
    secret = LOCAL.post(f"{up.url}/v1/realtime/client_secrets", headers=bearer, json={}).json()["value"]
    with opened(browser, f"{up.url}/#secret={secret}") as tab:
        tab.ask("What is the weather in London UK?")
        expect(tab.page.locator("#transcript .model").last).to_contain_text(ANSWER, timeout=PATIENCE_MS)
        assert tab.page.url == f"{up.url}/"
        assert tab.page.get_by_role("button", name="Kill the worker").count() == 0
        must_be_clean(tab)


def test_what_is_wrong_is_told_in_a_sentence(browser: Browser, up: Up) -> None:
    with opened(browser, f"{up.url}/#secret=ek_not-known-here") as tab:
        tab.page.get_by_role("button", name="Talk").click()  # this browser allows no microphone
        expect(tab.page.locator("#problem")).to_contain_text("microphone")
        tab.ask("Is it me?")
        expect(tab.page.locator("#state")).to_contain_text("The secret has expired, or was used already.")
    with opened(browser, f"{up.url}/#demo=of-yesterday") as tab:
        expect(tab.page.locator("#problem")).to_contain_text("Open the link that `ringback up` has printed.")
    with opened(browser, up.url) as tab:
        tab.ask("Is there a secret?")
        expect(tab.page.locator("#problem")).to_contain_text("Paste a client secret first.")
        tab.page.goto(up.link)
        expect(tab.page.get_by_role("button", name="Kill the worker")).to_be_visible(timeout=PATIENCE_MS)
        for gone in ("#problem", "#admission"):
            expect(tab.page.locator(gone)).to_be_hidden()


@pytest.mark.parametrize("reloads", [False, True], ids=["tried again", "reloaded"])
def test_a_tab_whose_gateway_does_not_answer_keeps_its_link(browser: Browser, up: Up, reloads: bool) -> None:
    with opened(browser, up.url) as tab:
        tab.page.route("**/demo", lambda route: route.abort())
        tab.page.goto(up.link)
        expect(tab.page.locator("#problem")).to_contain_text("The gateway does not answer.", timeout=PATIENCE_MS)
        tab.page.unroute_all()
        if reloads:
            tab.page.reload()
        expect(tab.page.get_by_role("button", name="Kill the worker")).to_be_visible(timeout=PATIENCE_MS)
        for gone in ("#problem", "#admission"):
            expect(tab.page.locator(gone)).to_be_hidden()


# What the gateway says as it hangs up, and what the page says then.
ENDS = [
    pytest.param(4402, "", "The budget is used up", id="budget"),
    pytest.param(4029, "", "too much, too fast", id="rate limit"),
    pytest.param(4401, "", "The secret was revoked", id="revoked"),
    pytest.param(4408, "", "silent for long", id="idle"),
    pytest.param(4409, "", "goes on in another window", id="another window"),
    pytest.param(1011, "The Realtime API refused the session.", "The Realtime API refused the session.", id="key"),
]
# Why the gateway lets nobody in, and what the page says then.
REFUSALS = [
    pytest.param(503, "No session can begin right now: all 60 places are taken.", "all 60 places are taken", id="full"),
    pytest.param(429, "You have as many sessions as you may have.", "as many sessions", id="quota"),
    pytest.param(404, "There is no such agent. The agents are: demo.", "There is no such agent.", id="agent"),
    pytest.param(426, "This address takes WebSockets.", "a proxy lets no WebSocket pass", id="proxy"),
]


@pytest.mark.parametrize(("code", "reason", "said"), ENDS)
def test_a_talk_that_is_ended_says_why(browser: Browser, up: Up, code: int, reason: str, said: str) -> None:
    with opened(browser, up.url) as tab:
        tab.page.route_web_socket(re.compile("/v1/realtime"), lambda socket: socket.close(code=code, reason=reason))
        tab.page.goto(f"{up.url}/?#secret=ek_of-a-made-up-gateway")
        tab.ask("Is anybody there?")
        expect(tab.page.locator("#state")).to_contain_text(said)


@pytest.mark.parametrize(("status", "words", "said"), REFUSALS)
def test_a_talk_that_may_not_begin_says_why(browser: Browser, up: Up, status: int, words: str, said: str) -> None:
    with opened(browser, f"{up.url}/#secret=ek_not-known-here") as tab:
        answer = {"error": {"message": words}}
        tab.page.route(re.compile("/v1/realtime"), lambda route: route.fulfill(status=status, json=answer))
        tab.ask("Is anybody there?")
        expect(tab.page.locator("#state")).to_contain_text(said)


def test_a_device_that_is_offline_is_told_so_and_the_gateway_tried_again(browser: Browser, up: Up) -> None:
    with opened(browser, f"{up.url}/#secret=ek_not-known-here") as tab:
        tab.page.context.set_offline(True)
        tab.ask("Is anybody there?")
        expect(tab.page.locator("#state")).to_contain_text("This device is offline. Trying again in")


def send_all(events: list[dict[str, Any]], socket: WebSocketRoute) -> None:
    for event in events:
        socket.send(json.dumps(event))


MARKUP = "<img src=x onerror='globalThis.ran = 1'><script>globalThis.ran = 1</script><b>bold</b>"


def test_markup_from_models_tools_and_users_is_shown_as_text(browser: Browser, up: Up) -> None:
    job = {"id": "1", "call_id": "c", "tool": MARKUP, "state": "running", "progress": MARKUP}
    events: list[dict[str, Any]] = [
        {"type": "ringback.session.resumable", "token": "rb_resume_x", "seconds": 120, "epoch": 1},
        {"type": "session.created", "session": {}},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "u", "transcript": MARKUP},
        {"type": "response.output_audio_transcript.delta", "item_id": "m", "delta": MARKUP},
        {"type": "ringback.job", "job": job},
        {"type": "ringback.result", "job": job, "result": {MARKUP: MARKUP}},
        {"type": "error", "error": {"message": MARKUP}},
    ]
    with opened(browser, up.url) as tab:
        tab.page.route_web_socket(re.compile("/v1/realtime"), partial(send_all, events))
        tab.page.goto(f"{up.url}/?#secret=ek_of-a-made-up-gateway")
        tab.ask(MARKUP)
        expect(tab.page.locator("#problem")).to_have_text(MARKUP)
        expect(tab.page.locator("#transcript .user").last).to_contain_text(MARKUP)
        expect(tab.page.locator("#transcript .model").last).to_contain_text(MARKUP)
        expect(tab.page.locator(".call strong")).to_have_text(MARKUP)
        expect(tab.page.locator(".call pre")).to_contain_text(MARKUP)
        assert tab.page.locator("main img, main script, main b").count() == 0
        assert tab.page.evaluate("globalThis.ran") is None
        must_be_clean(tab)


def test_a_foreign_page_can_neither_kill_nor_mint(browser: Browser, up: Up, pages: str) -> None:
    page = browser.new_page()
    page.goto(f"{pages}/talk.html")
    tries = """async ([address, token]) => {
      const body = JSON.stringify({ ask: "kill", process: "gateway", token });
      const headers = { "Ringback-Demo": token };
      const ways = [{ mode: "no-cors" }, { headers }, { headers: { "Content-Type": "text/plain" } }];
      const ask = (way) => fetch(`${address}/demo`, { method: "POST", body, ...way });
      return Promise.all(ways.map((way) => ask(way).then((answer) => answer.type, () => "refused")));
    }"""
    token = up.link.partition("#demo=")[2]
    before = LOCAL.get(f"{up.url}/v1/workers", headers={"Authorization": f"Bearer {up.token}"}).json()["data"]
    assert page.evaluate(tries, [up.url, token]) == ["refused"] * 3
    after = LOCAL.get(f"{up.url}/v1/workers", headers={"Authorization": f"Bearer {up.token}"}).json()["data"]
    assert {each["id"] for each in before if each["alive"]} == {each["id"] for each in after if each["alive"]}
