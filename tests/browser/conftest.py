"""A whole stack, and a page that talks to it from a real browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.caller import PATIENCE
from tests.line import OF_A_FOLDER, Line, redis_number, running_line
from tests.servers import own_database, own_redis_db

PAGES = Path(__file__).parent / "pages"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# As root in a container a browser has no sandbox to begin with, and no display or graphics card.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves files without a line on stderr for each."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="package")
def line(
    database_url: str, redis_url: str, migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    with (
        own_database(database_url, "ringback_browser", migrated_template) as database,
        own_redis_db(redis_url, redis_number(OF_A_FOLDER)) as redis,
        running_line(database, redis, tmp_path_factory.mktemp("browser"), voice=True) as line,
    ):
        yield line


@pytest.fixture(scope="package")
def pages() -> Iterator[str]:
    """The address where the test's own pages are served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(PAGES)))
    serving = threading.Thread(target=server.serve_forever, name="pages", daemon=True)
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    serving.join()
    server.server_close()


@contextmanager
def launched(*arguments: str) -> Iterator[Browser]:
    """The system's own Chromium: none is downloaded."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        pytest.skip(f"no real browser is tried: none of {', '.join(BROWSERS)} is installed")
    with playing() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


_playing: list[Playwright] = []


@contextmanager
def playing() -> Iterator[Playwright]:
    """The one that lives already, or a new one: its event loop runs in this thread, which can have no second loop."""
    if _playing:
        yield _playing[0]
        return
    expect.set_options(timeout=PATIENCE * 1_000)  # its own 5 s are short for a machine that does other things
    with sync_playwright() as playwright:
        _playing.append(playwright)
        try:
            yield playwright
        finally:
            _playing.clear()  # also after a test that failed, or every later one would be given what has ended


@pytest.fixture(scope="module")
def _browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def browser(_browser: Browser) -> Iterator[Browser]:
    """One for the tests of a file, as its start takes a second. What a test has opened ends with the test.

    No test of that file can run an event loop of its own.
    """
    yield _browser
    for context in _browser.contexts:
        context.close()
