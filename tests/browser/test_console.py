"""The console in a real Chromium: signing in, following calls live, the keyboard, and what axe finds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import text

from ringback.jobs import outcomes
from tests.browser.gallery_rows import force, type_token
from tests.browser.stack_of_ones_own import PATIENCE_MS, RECORDER
from tests.integration.statements.test_history import Line as Rows
from tests.integration.statements.test_history import line_on
from tests.line import TOKEN, Line
from tests.local_http import LOCAL

pytestmark = [pytest.mark.long, pytest.mark.timeout(240)]

SERIOUS = ("serious", "critical")
PAGES = ("", "/jobs?q=foo", "/sessions", "/tools", "/queues", "/workers", "/usage", "/audit")
MOMENT = text(
    "INSERT INTO moments (session_id, epoch, number, at, kind, response_id, ms, detail) VALUES (:session, 1, :number, "
    "clock_timestamp() + make_interval(secs => :after), :kind, :response, :ms, :detail)"
)
SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def rows(line: Line) -> Iterator[Rows]:
    with line_on(line.database) as rows:
        yield rows


@pytest.fixture(scope="module")
def talk(rows: Rows) -> UUID:
    """A talk in which the caller waited for a call."""
    session = rows.open()
    told = [
        (0.0, "epoch_began", None, None, "first"),
        (0.5, "user_began", None, None, None),
        (1.5, "user_ended", None, None, "heard"),
        (15.5, "response_spoke", "r", None, "audio"),
        (16.0, "response_ended", "r", 3_000.0, "completed"),
    ]
    for number, (after, kind, response, ms, detail) in enumerate(told):
        given = {"session": session, "number": number, "after": after, "kind": kind}
        rows.run(MOMENT.bindparams(**given, response=response, ms=ms, detail=detail))
    job = rows.ask(session, "search_flights", {"city": "London", "note": SCRIPT})
    rows.finish(job, rows.claim(job), outcomes.succeeded({"said": SCRIPT}))
    return session


@pytest.fixture
def page(browser: Browser, line: Line) -> Iterator[Page]:
    yield from signed_in(browser, line)


def signed_in(browser: Browser, line: Line, **context: object) -> Iterator[Page]:
    inside = browser.new_context(**context)  # type: ignore[arg-type]
    page = inside.new_page()
    page.add_init_script(RECORDER)
    page.on("dialog", lambda dialog: pytest.fail(f"a script of a tool's ran: {dialog.message}"))
    made = LOCAL.post(f"{line.url}/console/links", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    page.goto(f"{line.url}{made['path']}")
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible(timeout=PATIENCE_MS)
    yield page
    assert page.evaluate("recorded.forbidden") == []
    inside.close()


def test_a_token_typed_by_the_keyboard_alone_signs_in(browser: Browser, line: Line) -> None:
    page = browser.new_page()
    page.goto(f"{line.url}/console/jobs?q=tool%3Anix")
    type_token(page, "rb_wrong")
    expect(page.get_by_role("alert")).to_contain_text("This token is not valid", timeout=PATIENCE_MS)
    type_token(page, TOKEN)
    expect(page.get_by_text("No call fits this search.")).to_be_visible(timeout=PATIENCE_MS)
    page.close()


def test_a_new_call_stands_on_the_page_without_a_reload(page: Page, rows: Rows) -> None:
    expect(page.locator("#live-state")).to_have_text("live", timeout=PATIENCE_MS)
    page.evaluate("globalThis.isSame = true")
    job = rows.ask(rows.open(), "weather", {"city": SCRIPT})
    token = rows.claim(job)  # at once: the worker of the line would take a call that waits
    row = page.locator(f"#job-{job}")
    expect(row).to_contain_text(SCRIPT, timeout=PATIENCE_MS)
    rows.finish(job, token, outcomes.succeeded(1))
    expect(row).to_contain_text("succeeded", timeout=PATIENCE_MS)
    assert page.evaluate("globalThis.isSame"), "the page was loaded anew"


def test_an_open_menu_stays_with_its_queue_when_another_comes_before_it(page: Page, line: Line, rows: Rows) -> None:
    page.goto(f"{line.url}/console/queues")
    expect(page.locator("#live-state")).to_have_text("live", timeout=PATIENCE_MS)
    page.get_by_label("Set slow").click()
    menu = page.locator("details[open]")
    menu.get_by_label("At most at once").fill("7")
    menu.get_by_label("Reason").last.fill("the carrier is slow")
    job = rows.ask(rows.open(), "weather", {"city": "Rome"})
    force(rows, text("UPDATE jobs SET queue = 'a-queue-that-comes-first' WHERE id = :job").bindparams(job=job))
    expect(page.get_by_role("link", name="a-queue-that-comes-first")).to_be_visible(timeout=PATIENCE_MS)
    expect(menu.locator("form").last).to_have_attribute("action", "/console/queues/slow/limit")
    expect(menu.get_by_label("At most at once")).to_have_value("7")
    expect(menu.get_by_label("Reason").last).to_have_value("the carrier is slow")


def test_a_search_is_completed_shared_and_taken_back(page: Page, line: Line, talk: UUID) -> None:
    page.locator("#q").fill("args.ci")
    expect(page.locator("#suggestions option[value='args.city:London']")).to_be_attached(timeout=PATIENCE_MS)
    page.locator("#q").fill("tool:search_flights args.city:London")
    page.keyboard.press("Enter")
    expect(page.locator("#live tbody tr")).to_have_count(1, timeout=PATIENCE_MS)
    assert page.url.endswith("/console/jobs?q=tool%3Asearch_flights+args.city%3ALondon")
    page.get_by_role("link", name="Remove tool:search_flights").click()
    expect(page.locator("#q")).to_have_value("args.city:London", timeout=PATIENCE_MS)


def test_why_the_caller_waited_is_two_clicks_away(page: Page, line: Line, talk: UUID) -> None:
    page.get_by_role("link", name="Sessions").click()
    page.locator(f"#talk-{talk} a").click()
    wait = page.locator(".waits tr").first
    expect(wait).to_contain_text("silence after the caller spoke", timeout=PATIENCE_MS)
    expect(wait).to_contain_text("14.0 s")
    page.get_by_role("link", name="4×").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#scroll > svg")).to_have_attribute("width", "400%", timeout=PATIENCE_MS)
    page.locator("#scroll").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#scroll")).not_to_have_js_property("scrollLeft", 0, timeout=PATIENCE_MS)
    page.locator("#scroll a[href^='/console/jobs/']").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="search_flights")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("pre").first).to_contain_text(SCRIPT)


def test_a_page_that_is_open_leads_to_the_sign_in_once_its_visitor_has_signed_out(page: Page, line: Line) -> None:
    expect(page.locator("#live-state")).to_have_text("live", timeout=PATIENCE_MS)
    other = page.context.new_page()
    other.goto(f"{line.url}/console/audit")
    other.locator(".who summary").click()
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=PATIENCE_MS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser: Browser, line: Line, talk: UUID, rows: Rows, scheme: str) -> None:
    (job,) = rows.run(text("SELECT id FROM jobs WHERE session_id = :session").bindparams(session=talk))
    for page in signed_in(browser, line, color_scheme=scheme):
        for path in (*PAGES, f"/sessions/{talk}", f"/jobs/{job.id}"):
            page.goto(f"{line.url}/console{path}")
            found = [each for each in Axe().run(page).response["violations"] if each["impact"] in SERIOUS]
            told = [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
            assert told == [], path


def test_each_page_fits_a_phone(browser: Browser, line: Line, talk: UUID) -> None:
    for page in signed_in(browser, line, viewport={"width": 390, "height": 844}):
        for path in (*PAGES, f"/sessions/{talk}"):
            page.goto(f"{line.url}/console{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390, path


def test_a_call_is_run_again_from_its_page(page: Page, line: Line, rows: Rows) -> None:
    job = rows.ask(rows.open(), "weather", {"city": "Rome"})
    rows.finish(job, rows.claim(job), outcomes.succeeded(1))
    page.goto(f"{line.url}/console/jobs/{job}")
    page.locator("summary", has_text="Run again").click()
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_text("an earlier call; no conversation hears of it")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#live .state").first).to_have_text(re.compile("succeeded"), timeout=PATIENCE_MS)
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("tbody tr").first).to_contain_text("job.retry", timeout=PATIENCE_MS)


FILL = text(
    "INSERT INTO jobs (id, session_id, call_id, epoch, tool, queue, arguments, effect, timeout, max_attempts, "
    "deadline_at, state, delivery, finished_at, created_at) "
    "SELECT gen_random_uuid(), :session, 'filled_' || n, 1, 'filled', 'unserved', "
    "jsonb_build_object('city', CASE WHEN n IN (1, 9000) THEN 'Oslo' ELSE 'Rome' END), 'pure', 1, 1, now(), "
    "'succeeded', 'history_only', now(), now() - make_interval(secs => n) FROM generate_series(1, 9000) AS n"
)


def test_an_act_looks_through_older_calls_by_itself(page: Page, line: Line, rows: Rows) -> None:
    session = rows.open()
    rows.run(text("SET session_replication_role = replica"))
    rows.run(FILL.bindparams(session=session))
    rows.run(text("RESET session_replication_role"))
    page.goto(f"{line.url}/console/jobs?q=tool%3Afilled+args.city%3AOslo")
    page.get_by_text("Act on all that match").click()
    page.get_by_role("button", name="Run again those that are over").click()
    expect(page.get_by_role("heading", name="Run 2 calls again?")).to_be_visible(timeout=PATIENCE_MS)
    page.get_by_role("button", name="Run 2 calls").click()
    expect(page.get_by_role("heading", name="2 of 2 calls run again")).to_be_visible(timeout=PATIENCE_MS)
