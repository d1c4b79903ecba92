"""See every page at once: `python -m tests.browser.gallery FOLDER` writes each as a picture in four looks.

The page that talks comes first. Each of the console is seen empty, with rows (`gallery_rows`) and in error, 1,280 and
390 pixels wide, light and dark.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser import gallery_rows, gallery_talk
from tests.browser.conftest import launched
from tests.browser.stack_of_ones_own import PATIENCE_MS, Up, running_up
from tests.integration.statements.test_history import line_on

LOOKS: dict[str, tuple[int, int, Literal["light", "dark"]]] = {
    "wide-light": (1280, 860, "light"),
    "wide-dark": (1280, 860, "dark"),
    "phone-light": (390, 844, "light"),
    "phone-dark": (390, 844, "dark"),
}
SCOPES = ("history", "control", "transcripts", "recordings")
EMPTY = {name: f"/{name}" for name in ("jobs", "sessions", "usage", "audit")}
FILLED = {name: f"/{name}" for name in ("jobs", "sessions", "tools", "queues", "workers", "usage", "audit")}
ASKED = {
    "jobs-filtered": "/jobs?q=state%3Afailed+args.order_id%3AZ-9",
    "jobs-no-match": "/jobs?q=tool%3Anix",
    "jobs-refused": "/jobs?q=colour%3Ared",
    "sessions-no-match": "/sessions?user=nobody",
    "usage-by-user": "/usage?by=user",
    "not-found": "/nowhere",
    "no-such-job": "/jobs/00000000-0000-4000-8000-000000000000",
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with running_up() as up, launched() as browser:
        with line_on(up.database) as rows:
            key = gallery_rows.key_with(rows, *SCOPES)
        looks = {look: signed_in(browser, up, look, key) for look in LOOKS}
        see_talk(looks, folder, up)
        see(looks, folder, up, {f"{name}-empty": path for name, path in EMPTY.items()})
        with line_on(up.database) as rows:
            one = gallery_rows.fill(rows)
        zoomed = {"session-zoomed": f"{one['session-past']}?zoom=8#timeline"}
        see(looks, folder, up, {**FILLED, **ASKED, **one, **zoomed})
        for look, page in looks.items():
            for name, button in (("act-none", "Cancel those"), ("act-confirm", "Run again those")):
                page.goto(f"{up.url}/console/jobs?q=state%3Afailed")
                page.locator("summary", has_text="Act on all").click()
                page.screenshot(path=folder / f"jobs-menu.{look}.png")
                page.get_by_role("button", name=button).click()
                expect(page.get_by_text("Back to the calls")).to_be_visible(timeout=PATIENCE_MS)
                page.screenshot(path=folder / f"{name}.{look}.png")
            page.goto(f"{up.url}/console/jobs")
            page.locator("summary", has_text="Export").click()
            page.screenshot(path=folder / f"jobs-export.{look}.png")
            page.goto(f"{up.url}/console/queues")
            page.locator("summary", has_text="Set").first.click()
            page.screenshot(path=folder / f"queues-menu.{look}.png")
        with no_postgres(up):
            see(looks, folder, up, {"postgres-away": "/jobs"}, settled=False)
        for look, page in looks.items():
            page.context.clear_cookies()
            page.goto(f"{up.url}/console/jobs")
            page.screenshot(path=folder / f"sign-in.{look}.png")
            page.locator("#token").fill("rb_wrong")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
            page.screenshot(path=folder / f"sign-in-refused.{look}.png")


def signed_in(browser: Browser, up: Up, look: str, key: str) -> Page:
    width, height, scheme = LOOKS[look]
    context = browser.new_context(viewport=ViewportSize(width=width, height=height), color_scheme=scheme)
    page = context.new_page()
    gallery_rows.sign_in(page, up.url, key)
    return page


def see_talk(looks: dict[str, Page], folder: Path, up: Up) -> None:
    """Write pictures of the page that talks: of a gateway in production, with a problem, and of `ringback up`."""
    for look, page in looks.items():
        page.goto(up.url)
        page.screenshot(path=folder / f"talk-production.{look}.png", full_page=True)
        page.get_by_role("button", name="Talk").click()  # this browser allows no microphone
        expect(page.locator("#problem")).to_be_visible(timeout=PATIENCE_MS)
        page.screenshot(path=folder / f"talk-problem.{look}.png", full_page=True)
        page.goto(up.link)
        expect(page.locator("#suggestions")).to_be_visible(timeout=PATIENCE_MS)
        page.screenshot(path=folder / f"talk-demo.{look}.png", full_page=True)
        gallery_talk.see_busy(page, look, folder, up)
    (first, *_) = looks.values()
    other = first.context.new_page()
    gallery_talk.see_killed(other, LOOKS, folder, up)
    other.close()


def see(looks: dict[str, Page], folder: Path, up: Up, pages: dict[str, str], *, settled: bool = True) -> None:
    """Write a picture of each page in each look, and tell which is wider than its window."""
    for name, path in pages.items():
        for look, page in looks.items():
            page.goto(f"{up.url}/console{path}", wait_until="load", timeout=PATIENCE_MS)
            if settled:
                page.wait_for_timeout(100)  # for a chart to be drawn
            page.screenshot(path=folder / f"{name}.{look}.png", full_page=True)
            wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if wide > 0:
                print(f"{name}.{look} is {wide} pixels too wide")  # noqa: T201 - it is for the terminal


@contextmanager
def no_postgres(up: Up) -> Iterator[None]:
    """Have the stack's Postgres refuse every connection for the duration of the block."""
    with psycopg.connect(
        host=str(up.folder / "postgres"), user="ringback", dbname="template1", autocommit=True
    ) as keeper:
        keeper.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS false")
        keeper.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'postgres'")
        yield
        keeper.execute("ALTER DATABASE postgres ALLOW_CONNECTIONS true")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
