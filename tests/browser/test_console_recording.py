"""The voices of a recorded talk in a real Chromium: drawn on the timeline's axis, played, and sought in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from ringback.recordings.audio import Codec, Piece, Voice
from ringback.statements import recordings
from tests.browser.gallery_rows import hum, key_with, sign_in
from tests.browser.stack_of_ones_own import PATIENCE_MS, RECORDER
from tests.browser.test_console import MOMENT, SERIOUS
from tests.integration.statements.test_history import Line as Rows
from tests.integration.statements.test_history import line_on
from tests.line import Line, eventually

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

TOLD = [
    (0.0, "epoch_began", None, None, "first"),
    (1.0, "user_began", None, None, None),
    (3.0, "user_ended", None, None, "heard"),
    (4.0, "response_spoke", "r", None, "audio"),
    (9.0, "response_ended", "r", 5_000.0, "completed"),
    (12.0, "client_left", None, None, "client_closed_1000"),
]
BEYOND_HALF = re.compile(r"^(5\d|6\d|7\d)\.\d+%$")
"""Where the line stands once the middle of the talk is played, and not its end."""
POSITION = "document.getElementById('voices').currentTime"
OVER = text("UPDATE sessions SET state = 'ended', ended_at = created_at + interval '12 seconds' WHERE id = :session")


@pytest.fixture(scope="module")
def rows(line: Line) -> Iterator[Rows]:
    with line_on(line.database) as rows:
        yield rows


@pytest.fixture(scope="module")
def talk(rows: Rows) -> UUID:
    """A recorded talk of twelve seconds, of which a part of the model's voice was lost."""
    session = rows.open()
    tell(rows, session)
    lost = Piece(Voice.MODEL, 1, 8_000, 1_000, Codec.LOST, 0, b"", b"")
    pieces = [hum(1_000, 2.0, Voice.CALLER, 0.05), hum(4_000, 4.0, Voice.MODEL, 0.03), lost]
    rows.run(recordings.save(session, pieces))
    rows.run(OVER.bindparams(session=session))
    return session


def tell(rows: Rows, session: UUID) -> None:
    for number, (after, kind, response, ms, detail) in enumerate(TOLD):
        given = {"session": session, "number": number, "after": after, "kind": kind}
        rows.run(MOMENT.bindparams(**given, response=response, ms=ms, detail=detail))


@pytest.fixture
def page(browser: Browser, line: Line, rows: Rows) -> Iterator[Page]:
    yield from visiting(browser, line, key_with(rows, "history", "recordings"))


def visiting(browser: Browser, line: Line, key: str, **context: object) -> Iterator[Page]:
    inside = browser.new_context(**context)  # type: ignore[arg-type]
    page = inside.new_page()
    page.add_init_script(RECORDER)
    sign_in(page, line.url, key)
    yield page
    assert page.evaluate("recorded.forbidden") == []
    inside.close()


def opened(page: Page, line: Line, talk: UUID, zoom: int = 1) -> None:
    page.goto(f"{line.url}/console/sessions/{talk}?zoom={zoom}")
    expect(page.locator("#scroll > svg")).to_be_visible(timeout=PATIENCE_MS)


def place(page: Page, what: str) -> float:
    """Where the middle of something is on the timeline, from 0 to 1."""
    box, whole = page.locator(what).bounding_box(), page.locator("#scroll > svg").bounding_box()
    assert box is not None
    assert whole is not None
    return (box["x"] + box["width"] / 2 - whole["x"]) / whole["width"]


def test_the_voices_stand_under_their_lanes_at_every_zoom(page: Page, line: Line, talk: UUID) -> None:
    for zoom in (1, 4, 32):
        opened(page, line, talk, zoom)
        assert place(page, ".voice path.k-caller") == pytest.approx(place(page, "rect.box.k-caller"), abs=0.01)
        assert place(page, ".voice path.k-model") == pytest.approx(6 / 12, abs=0.02)
        assert place(page, ".voice .lost") == pytest.approx(8.5 / 12, abs=0.02)


def test_a_click_on_the_timeline_plays_from_there_and_a_line_follows(page: Page, line: Line, talk: UUID) -> None:
    opened(page, line, talk)
    whole = page.locator("#scroll > svg").bounding_box()
    assert whole is not None
    page.mouse.click(whole["x"] + whole["width"] / 2, whole["y"] + whole["height"] - 20)
    expect(page.locator("#cursor")).to_have_attribute("x1", BEYOND_HALF, timeout=PATIENCE_MS)
    expect(page.locator("#voices")).not_to_have_js_property("readyState", 0, timeout=PATIENCE_MS)
    assert page.evaluate("document.getElementById('voices').duration") == pytest.approx(9.0, abs=0.01)


def test_a_live_update_neither_stops_nor_rewinds_the_player(page: Page, line: Line, rows: Rows) -> None:
    session = rows.open()
    tell(rows, session)
    rows.run(recordings.save(session, [hum(0, 9.0, Voice.CALLER, 0.05)]))
    opened(page, line, session)
    page.evaluate("document.getElementById('voices').isSame = true")
    page.evaluate("document.getElementById('voices').playbackRate = 0.25")  # it is not over before the test is
    page.locator("#voices").focus()
    page.keyboard.press("Space")
    eventually(lambda: page.evaluate(f"{POSITION} > 0"), "it to play")
    played = updated(page, rows, session, 9_000)
    eventually(lambda: page.evaluate(f"{POSITION} > {played}"), "it to play on")
    assert 0 < played < updated(page, rows, session, 10_000), "it was rewound, or is another"
    page.keyboard.press("Space")
    expect(page.locator("#voices")).to_have_js_property("paused", True, timeout=PATIENCE_MS)
    rests_at = page.evaluate(POSITION)
    assert updated(page, rows, session, 11_000) == rests_at
    expect(page.locator("#cursor")).not_to_have_attribute("x1", "0.000%")
    expect(page.locator("#cursor")).not_to_have_attribute("x1", "0")
    expect(page.locator("#voices")).to_have_js_property("isSame", True)


def updated(page: Page, rows: Rows, session: UUID, from_ms: int) -> float:
    """Record a further second, wait until the page shows it, and return where its player is then, in seconds."""
    rows.run(recordings.save(session, [hum(from_ms, 1.0, Voice.CALLER, 0.05)]))
    grown = re.compile(f"until_ms={from_ms + 1_000}")
    expect(page.locator("#voices")).to_have_attribute("data-file", grown, timeout=PATIENCE_MS)
    return float(page.evaluate(POSITION))


def test_the_keyboard_alone_plays_and_pauses(page: Page, line: Line, talk: UUID) -> None:
    opened(page, line, talk)
    page.locator("#scroll").focus()
    for _ in range(9):
        if page.evaluate("document.activeElement.id") == "voices":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "voices"
    page.keyboard.press("Space")
    expect(page.locator("#voices")).to_have_js_property("paused", False, timeout=PATIENCE_MS)
    page.keyboard.press("Space")
    expect(page.locator("#voices")).to_have_js_property("paused", True, timeout=PATIENCE_MS)


def test_without_the_scope_there_is_a_word_of_it_and_no_voice(
    browser: Browser, line: Line, rows: Rows, talk: UUID
) -> None:
    for page in visiting(browser, line, key_with(rows, "history")):
        opened(page, line, talk)
        expect(page.get_by_text("sign in with a token that has the scope recordings")).to_be_visible()
        expect(page.locator("#voices, .voice")).to_have_count(0)
        assert page.request.get(f"{line.url}/console/sessions/{talk}/recording.wav").status == 403


@pytest.mark.parametrize(
    ("scheme", "width", "height"),
    [("light", 1_280, 900), ("dark", 1_280, 900), ("light", 390, 844), ("dark", 390, 844)],
)
def test_it_is_read_by_everyone_and_no_wider_than_the_screen(
    browser: Browser, line: Line, rows: Rows, talk: UUID, scheme: str, width: int, height: int
) -> None:
    key = key_with(rows, "history", "recordings")
    size = {"width": width, "height": height}
    for page in visiting(browser, line, key, viewport=size, color_scheme=scheme):
        opened(page, line, talk)
        found = Axe().run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in SERIOUS] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
