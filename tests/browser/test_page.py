"""A page in a real browser talks to the gateway with nothing but the platform's own WebSocket."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.line import PATIENCE, TOKEN, Line

PATIENCE_MS = PATIENCE * 1_000


@pytest.fixture
def page(browser: Browser, pages: str) -> Iterator[Page]:
    page = browser.new_page()
    page.goto(f"{pages}/talk.html")
    yield page
    page.close()


def ask(page: Page, line: Line, token: str, question: str = "What is the weather in London UK?") -> None:
    page.evaluate("([address, token, question]) => ask(address, token, question)", [line.address(), token, question])


def test_a_typed_question_is_answered_on_the_page(page: Page, line: Line) -> None:
    ask(page, line, TOKEN)
    answer = page.locator("#answer")
    expect(answer).to_have_text("In London, UK it is 12 degrees with light rain.", timeout=PATIENCE_MS)
    told = page.locator("#events li").all_text_contents()
    assert told[:2] == ["speaks realtime", "session.created"]
    assert not [kind for kind in told if "function_call" in kind or kind == "error"]


def test_a_page_with_an_unknown_token_does_not_get_in(page: Page, line: Line) -> None:
    ask(page, line, "not-known-here")
    expect(page.locator("#events li")).to_have_text(["closed 1006"], timeout=PATIENCE_MS)
