"""The page that talks in every state worth a look: a made-up gateway tells it what to show.

A real one is talked to in `test_talk` and `test_page_calls`; here each state stands still for a picture.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.stack_of_ones_own import PATIENCE_MS, Up

AGENT = "a-front-desk-for-the-night-shift-of-a-large-hotel"
LONG_ANSWER = "I can tell you the weather, give you a quote of the day, look up an order or fetch a page."


def job(number: int, tool: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "ringback.job",
        "job": {"id": str(number), "call_id": f"c{number}", "tool": tool, "state": state} | more,
    }


def said(item: str, words: str) -> dict[str, Any]:
    return {"type": "conversation.item.input_audio_transcription.completed", "item_id": item, "transcript": words}


def answered(item: str, words: str) -> list[dict[str, Any]]:
    return [
        {"type": "response.created", "response": {"id": f"r-{item}"}},
        {"type": "response.output_item.added", "response_id": f"r-{item}", "item": {"id": item, "type": "message"}},
        {"type": "response.output_audio_transcript.done", "item_id": item, "transcript": words},
    ]


TALK: list[dict[str, Any]] = [
    {"type": "ringback.session.resumable", "token": "rb_resume_x", "seconds": 120, "epoch": 1},
    {"type": "session.created", "session": {}},
    {"type": "ringback.session.recorded"},
    said("u1", "What can you do?"),
    *answered("m1", LONG_ANSWER),
    {"type": "output_audio_buffer.cleared", "response_id": "r-m1"},
    said("u2", "Where is my order, and what is the weather in Graz?"),
    job(1, "weather", "running"),
    job(1, "weather", "succeeded"),
    job(1, "weather", "acked"),
    job(2, "order_status", "pending"),
    job(2, "order_status", "running", progress="the carrier is asked"),
    job(3, "reconcile_the_quarterly_inventory_of_every_warehouse", "running"),
    job(3, "reconcile_the_quarterly_inventory_of_every_warehouse", "timed_out"),
    *answered("m2", "In Graz it is twelve degrees, with light rain. I am still looking for your order."),
]
"""A talk that was cut in on, with a call that is told, one that runs, and one that came to nothing."""


def see_busy(page: Page, look: str, folder: Path, up: Up) -> None:
    """Write pictures of a talk in the middle of it, of one that is recorded, and of one that lost its gateway."""
    page.route_web_socket(re.compile("/v1/realtime"), partial(_tell, TALK))
    page.goto(f"{up.url}/?look=busy#secret=ek_of-a-made-up-gateway")
    page.locator("#words").fill("Hello")
    page.keyboard.press("Enter")
    expect(page.locator("#transcript .cut")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#recording")).to_be_visible()
    page.screenshot(path=folder / f"talk-busy.{look}.png", full_page=True)
    page.select_option("#way", "webrtc")
    page.screenshot(path=folder / f"talk-webrtc.{look}.png", full_page=True)
    page.unroute_all()


def see_killed(page: Page, looks: dict[str, tuple[int, int, Any]], folder: Path, up: Up) -> None:
    """Kill the worker and then the gateway, with the page in one tab, and write a picture of it in each look."""
    page.goto(up.link)
    page.locator("#agents").evaluate(
        """(label, name) => {
      label.hidden = false;
      label.querySelector("select").append(new Option(name, name, true, true));
    }""",
        AGENT,
    )
    _each_look(page, looks, folder, "talk-agents")
    page.goto(up.link)
    page.reload()
    for process, after in (("worker", "heard (attempt 2)"), ("gateway", "heard")):
        page.get_by_role("button", name="Where is my order?").click(timeout=PATIENCE_MS)
        outcome = page.locator(".call .outcome").first
        expect(outcome).to_have_text(re.compile("^running"), timeout=PATIENCE_MS)
        page.get_by_role("button", name=f"Kill the {process}").click()
        if process == "gateway":
            expect(page.locator("#moments")).to_contain_text("gateway lost", timeout=PATIENCE_MS)
        expect(outcome).to_have_text(after, timeout=PATIENCE_MS)
    _each_look(page, looks, folder, "talk-killed")


def _each_look(page: Page, looks: dict[str, tuple[int, int, Any]], folder: Path, name: str) -> None:
    for look, (width, height, scheme) in looks.items():
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=folder / f"{name}.{look}.png", full_page=True)


def _tell(events: list[dict[str, Any]], socket: WebSocketRoute) -> None:
    for event in events:
        socket.send(json.dumps(event))
