"""The pages' files: addresses with a version, what a browser may keep, and headers that let no foreign script run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from gateway.api.error_handlers import add_error_handlers
from gateway.web import static, talk
from gateway.web.security_headers import HEADERS, POLICY, SecurityHeaders
from gateway.web.static import ASK_AGAIN, FOLDER, FOR_EVER, assets, assets_at

MARKUP_FROM_TEXT = re.compile(r"\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval)\b|srcdoc")
OWN_SCRIPTS = [path for path in sorted(FOLDER.rglob("*.js")) if "vendor" not in path.parts]


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    app = FastAPI(openapi_url=None)
    add_error_handlers(app)
    app.include_router(static.router)
    app.include_router(talk.router)
    app.add_middleware(SecurityHeaders)
    with TestClient(app) as client:
        yield client


def test_each_file_that_the_page_names_is_there_and_is_kept_for_ever(client: TestClient) -> None:
    named = re.findall(r'(?:src|href)="(/assets/[^"]+)"', client.get("/").text)
    assert f"{assets_at()}/theme.css" in named
    for address in named:
        answer = client.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, FOR_EVER), address


def test_a_browser_that_has_the_file_is_not_sent_it_again(client: TestClient) -> None:
    address = f"{assets_at()}/theme.css"
    answer = client.get(address, headers={"if-none-match": client.get(address).headers["etag"]})
    assert (answer.status_code, answer.content) == (304, b"")


def test_another_releases_address_is_answered_and_not_kept(client: TestClient) -> None:
    answer = client.get("/assets/0123456789ab/theme.css")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, ASK_AGAIN)


@pytest.mark.parametrize(
    "path",
    ["static.py", "talk/__init__.py", "talk/talk.html", "../errors.py", "..%2f..%2fetc/passwd", "theme.css/", ""],
)
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    assert client.get(f"{assets_at()}/{path}").status_code == 404


@pytest.mark.parametrize("address", ["/", "/assets/x/theme.css", "/assets/x/not-there.js", "/not-there"])
def test_each_answer_tells_the_browser_what_it_may_do(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS


def test_the_policy_allows_no_inline_and_no_foreign_code() -> None:
    assert POLICY["default-src"] == "'none'"
    assert POLICY["script-src"] == POLICY["style-src"] == "'self'"
    assert not [sources for sources in POLICY.values() if "unsafe" in sources or "//" in sources or "*" in sources]


@pytest.mark.parametrize("page", sorted(FOLDER.rglob("*.html")), ids=lambda path: path.name)
def test_no_page_holds_inline_scripts_or_styles(page: Path) -> None:
    """The browser would refuse them by the policy above."""
    text = page.read_text(encoding="utf-8")
    assert not re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text)


@pytest.mark.parametrize("script", OWN_SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_from_text(script: Path) -> None:
    """What models, tools and users say is shown by `textContent` alone."""
    assert not MARKUP_FROM_TEXT.findall(script.read_text(encoding="utf-8"))


def test_a_script_that_makes_markup_from_text_is_found() -> None:
    assert MARKUP_FROM_TEXT.search("box.innerHTML = said")


def test_the_files_fit_into_a_process() -> None:
    assert sum(len(asset.content) for asset in assets().values()) < 2_000_000
