"""The page at `/` on a WebRTC call, in a real Chromium: its gateway is killed, and its caller cuts in."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.conversation.item_log import SPOKEN_CHARS_A_MS
from simulator.speech import ears, synthesis
from simulator.speech.hints import NO_HINTS
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import MOUTH, PATIENCE_MS, Tab, opened
from tests.guarantees.toolbox import FOLDER
from tests.guarantees.toolbox.bakery import FIRST, SECOND, Bakery
from tests.line import OF_A_FILE, TOKEN, Line, eventually, redis_number, running_line
from tests.local_http import LOCAL
from tests.servers import in_dialect, own_database, own_redis_db

pytest.importorskip("aiortc", reason="the simulator has no media: install ringback[webrtc]")

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not (ears.available() and synthesis.available()), reason="the simulator has no voice: install ringback[voice]"
    ),
]

QUESTION, ORDER = "where is my order", "A-1042"
BAKED = f"Your order {ORDER} is baked. It should arrive today."
STORY = (
    "Once there was a baker who baked one loaf a day, and carried it up the hill to the old clock tower. "
    "The keeper of the tower paid with a button, and the baker sewed it onto a long blue coat. "
    "When the winter came, the coat had a hundred buttons, and the river was white and still. "
    "So the baker put it on, and walked over the ice to the town on the other side. "
    "There a child asked for bread, and then another, and soon the whole street. "
    "And the baker gave a button to each of them, for luck, and walked home through the forest. That is the end."
)
"""It takes the voice half a minute: however slow the machine, the caller cuts in before its end."""
SCENARIO = f"""
about: An order, and a long story about baking to cut in on.
like: demo
turns:
  - hears: 'baking'
    says: {STORY!r}
  - hears: 'order'
    calls:
      - {{tool: order_status, arguments: {{order_id: {ORDER}}}}}
"""
LONGEST_WORD = 12
IS_LOUD = "Math.max(0, ...overPeer.slice(-8192).map(Math.abs)) > 500"
"""Whether there was sound over the connection in the last third of a second."""
PACKETS = """async () => {
  const found = { received: 0, sent: 0, state: peers.at(-1).connectionState };
  for (const each of (await peers.at(-1).getStats()).values()) {
    if (each.type === "inbound-rtp") found.received = each.packetsReceived;
    if (each.type === "outbound-rtp") found.sent = each.packetsSent;
  }
  return found;
}"""


@pytest.fixture(scope="module")
def _bakery(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bakery]:
    logs = tmp_path_factory.mktemp("page-calls")
    folder = logs / "orders"
    folder.mkdir()
    scenario = logs / "story.yaml"
    scenario.write_text(SCENARIO)
    with (
        own_database(database_url, "ringback_page_calls", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FILE)) as redis,
        running_line(
            database,
            redis,
            logs,
            tools="tests.guarantees.toolbox",
            settings={FOLDER: str(folder)},
            gateways=2,
            scenario=str(scenario),
            voice=True,
        ) as line,
    ):
        asyncio.run(has_spoken(line))
        yield Bakery(line, folder)


async def has_spoken(line: Line) -> None:
    """Have the simulator load what it hears and speaks with: meanwhile it would keep no call's connection alive."""
    hello = synthesis.speak("hello") + bytes(2 * 24_000)
    async with line.call() as caller:
        await caller.send({"type": "input_audio_buffer.append", "audio": base64.b64encode(hello).decode()})
        await caller.hear_kind("response.output_audio.delta")


@pytest.fixture
def bakery(_bakery: Bakery) -> Bakery:
    """Two gateways, whole again whatever the test before has broken."""
    _bakery.line.make_whole()
    _bakery.tidy()
    return _bakery


@contextmanager
def calling(browser: Browser, bakery: Bakery) -> Iterator[Tab]:
    """The page on the first gateway, on a WebRTC call whose caller may speak."""
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    made = LOCAL.post(f"{bakery.line.url}/v1/realtime/client_secrets", headers=bearer, json={}).json()
    with opened(browser, f"{bakery.line.url}/?way=webrtc#secret={made['value']}", scripts=[MOUTH]) as tab:
        tab.page.get_by_role("button", name="Talk").click()
        expect(tab.page.locator("#state")).to_contain_text("Listening", timeout=PATIENCE_MS)
        yield tab
        assert tab.forbidden() == []
        assert tab.said == []


def newest_session(bakery: Bakery, gateway: str) -> dict[str, Any]:
    found: dict[str, Any] = bakery.line.get("/v1/sessions", on=gateway)["data"][0]
    return found


def flows(tab: Tab, before: dict[str, Any]) -> bool:
    """Whether more packets than before were received, and sent."""
    now = tab.page.evaluate(PACKETS)
    return bool(now["received"] > before["received"] and now["sent"] > before["sent"])


def console(browser: Browser, bakery: Bakery, gateway: str, session: str) -> Page:
    """The talk's page in the console."""
    url = bakery.line.url_of(gateway)
    made = LOCAL.post(f"{url}/console/links", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    page = browser.new_page()
    page.goto(f"{url}{made['path']}")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{url}/console/sessions/{session}")
    return page


def said_by_the_model(bakery: Bakery, session: str, begins: str) -> list[str]:
    """Lines of the model's, as the history has them."""
    query = "SELECT content -> 0 ->> 'text' FROM items WHERE session_id = %s AND role = 'assistant'"
    with psycopg.connect(in_dialect(bakery.line.database, "postgresql")) as rows:
        found = [words for (words,) in rows.execute(query, (session,)).fetchall()]
    return [words for words in found if words.startswith(begins)]


def words_of(pcm: bytes) -> set[str]:
    return set(re.findall("[a-z]+", ears.ears().hear(pcm, NO_HINTS).lower()))


def test_a_call_goes_on_when_its_gateway_is_killed_and_the_result_is_told_once(bakery: Bakery) -> None:
    with launched() as browser, calling(browser, bakery) as tab:
        tab.say_aloud(QUESTION)
        bakery.begun(1, ORDER)
        expect(tab.page.locator(".call .outcome")).to_have_text("running", timeout=PATIENCE_MS)
        os.kill(bakery.line.pids[FIRST], signal.SIGKILL)
        eventually(partial(bakery.line.has_ended, FIRST), "the gateway to be gone")
        before = tab.page.evaluate(PACKETS)
        session = newest_session(bakery, SECOND)
        look = partial(bakery.line.get, f"/v1/sessions/{session['id']}", on=SECOND)
        eventually(lambda: look()["epoch"] == 2, "the other gateway to sit beside the call")
        eventually(partial(flows, tab, before), "sound to flow both ways")
        assert tab.page.evaluate(PACKETS)["state"] == "connected"
        bakery.let_go(ORDER)
        tab.wait_for_call("heard")
        expect(tab.page.locator("#transcript .model", has_text="is baked")).to_have_text(re.compile(re.escape(BAKED)))
        eventually(lambda: {"order", "baked"} <= words_of(tab.over_peer()), "the answer to sound")  # behind its words
        (job,) = bakery.line.get(f"/v1/jobs?session={session['id']}", on=SECOND)["data"]
        assert (job["state"], job["attempt"]) == ("succeeded", 1)
        told = partial(bakery.line.get, f"/v1/jobs/{job['id']}", on=SECOND)
        eventually(lambda: told()["delivery"] == "heard", "the history says that the answer was heard")
        assert tab.page.locator("#transcript .model", has_text="is baked").count() == 1
        simulator = bakery.line.simulator
        given = [item for number in simulator.about(job["call_id"]) for item in simulator.outputs(number)]
        assert len(given) == 1
        timeline = console(browser, bakery, SECOND, session["id"])
        expect(timeline.locator("#scroll rect.k-epoch")).to_have_count(2)
        expect(timeline.locator("#scroll rect.k-unknown title")).to_have_text(re.compile("its gateway was lost"))


def test_who_cuts_in_on_a_call_hears_the_answer_stop_and_the_history_has_what_was_heard(bakery: Bakery) -> None:
    with launched() as browser, calling(browser, bakery) as tab:
        tab.ask("What is baking?")
        answer = tab.page.locator("#transcript .model").first
        expect(answer).to_contain_text(STORY[-20:], timeout=PATIENCE_MS)
        eventually(partial(tab.page.evaluate, IS_LOUD), "the answer to sound")
        tab.say_aloud(QUESTION)
        expect(answer).to_have_class(re.compile("cut"), timeout=PATIENCE_MS)
        bakery.begun(1, ORDER)
        session = newest_session(bakery, FIRST)["id"]
        is_cut = lambda: [each for each in said_by_the_model(bakery, session, "Once") if each != STORY]  # noqa: E731
        (heard,) = eventually(is_cut, "the history to have what was heard of the answer")
        assert STORY.startswith(heard)
        bakery.let_go(ORDER)
        tab.wait_for_call("heard")
        assert "forest" not in words_of(array("h", tab.page.evaluate("overPeer")).tobytes())
        timeline = partial(bakery.line.get, f"/v1/sessions/{session}/timeline")
        look = lambda: [each["ms"] for each in timeline()["moments"] if each["kind"] == "response_played"]  # noqa: E731
        played, *_ = eventually(look, "the timeline to have what was played")
        assert abs(len(heard) - played * SPOKEN_CHARS_A_MS) < LONGEST_WORD
        shown = console(browser, bakery, FIRST, session)
        expect(shown.locator("#scroll path.k-barge_in title")).to_have_text(re.compile("^barge-in"))
