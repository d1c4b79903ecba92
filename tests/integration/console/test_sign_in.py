"""Signing in to the console: a token for a cookie that ends with the token."""

from __future__ import annotations

import pytest

from gateway.web.console.visitors import COOKIE
from ringback.statements.identity import credentials
from tests.integration.console.visitor import TOKEN, Visitor, new_key
from tests.integration.statements.test_history import Line


def test_a_token_is_exchanged_for_a_cookie_that_no_script_reads(line: Line, database: str) -> None:
    visitor = Visitor(database)
    answer = visitor.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/console", "Max-Age=43200"))
    assert TOKEN not in cookie
    assert "Jobs" in visitor.get("/console")


def test_behind_tls_the_cookie_travels_by_tls_alone(line: Line, database: str) -> None:
    how = {"data": {"token": TOKEN}, "headers": {"x-forwarded-proto": "https"}}
    assert "Secure" in Visitor(database).ask("POST", "/console/sign-in", **how).headers["set-cookie"]


@pytest.mark.parametrize("token", ["", "rb_unknown", "rb_sk_" + "a" * 43, "rb_link_" + "a" * 43])
def test_a_token_that_is_not_valid_is_answered_with_the_form_and_a_sentence(
    line: Line, database: str, token: str
) -> None:
    answer = Visitor(database).sign_in(token)
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


def test_a_token_without_the_scope_is_told_so(line: Line, database: str) -> None:
    _, key = new_key(line, scopes=("realtime",))
    answer = Visitor(database).sign_in(key)
    assert answer.status_code == 403
    assert "scope &#39;history&#39;; this one has: realtime" in answer.text


def test_without_a_cookie_each_page_leads_to_the_form_and_back(line: Line, database: str) -> None:
    visitor = Visitor(database)
    answer = visitor.ask("GET", "/console/jobs?q=tool%3Aweather")
    assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fjobs%3Fq%3Dtool%253Aweather"
    fields = {"token": TOKEN, "next": "/console/jobs?q=tool%3Aweather"}
    assert visitor.ask("POST", "/console/sign-in", data=fields).headers["location"] == fields["next"]
    live = Visitor(database).ask("GET", "/console/jobs", headers={"hx-request": "true"})
    assert (live.status_code, live.headers["hx-redirect"]) == (401, "/console/sign-in?next=%2Fconsole%2Fjobs")


@pytest.mark.parametrize(
    "there", ["https://evil.example", "//evil.example", "/console/../v1", "/consoles", "/console\\x"]
)
def test_a_sign_in_leads_to_no_other_place(line: Line, database: str, there: str) -> None:
    answer = Visitor(database).ask("POST", "/console/sign-in", data={"token": TOKEN, "next": there})
    assert answer.headers["location"] == "/console"


def test_a_revoked_key_ends_its_sign_in(line: Line, database: str) -> None:
    key_id, key = new_key(line)
    visitor = Visitor(database)
    visitor.sign_in(key)
    assert visitor.ask("GET", "/console").status_code == 200
    line.run(credentials.revoke_key(key_id, "default"))
    assert visitor.ask("GET", "/console").status_code == 303


def test_a_token_that_the_settings_no_longer_have_ends_its_sign_in(line: Line, database: str) -> None:
    visitor = Visitor(database)
    visitor.sign_in()
    changed = Visitor(database, {"ada": "rb_another-token-of-the-same-user"})
    changed.cookies = visitor.cookies
    assert changed.ask("GET", "/console").status_code == 303


def test_signing_out_ends_the_sign_in_everywhere(line: Line, database: str) -> None:
    visitor, copy = Visitor(database), Visitor(database)
    visitor.sign_in()
    copy.cookies.set(COOKIE, visitor.cookies[COOKIE], path="/console")
    assert copy.ask("GET", "/console").status_code == 200
    assert visitor.post("/console/sign-out").status_code == 303
    assert copy.ask("GET", "/console").status_code == 303


def test_a_link_signs_in_once(line: Line, database: str) -> None:
    visitor = Visitor(database)
    made = visitor.ask("POST", "/console/links", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    page, _, code = made["path"].partition("#")
    assert page == "/console/sign-in"
    assert visitor.sign_in(code).status_code == 303
    assert visitor.ask("GET", "/console").status_code == 200
    again = Visitor(database).sign_in(code)
    assert again.status_code == 401
    assert "This link was followed before, or is over." in again.text


def test_a_link_is_no_cookie(line: Line, database: str) -> None:
    visitor = Visitor(database)
    made = visitor.ask("POST", "/console/links", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    visitor.cookies.set(COOKIE, made["path"].partition("#")[2], path="/console")
    assert visitor.ask("GET", "/console").status_code == 303


def test_a_cookie_opens_nothing_but_the_console(line: Line, database: str) -> None:
    visitor = Visitor(database)
    visitor.sign_in()
    bearer = {"Authorization": f"Bearer {visitor.cookies[COOKIE]}"}
    assert visitor.ask("POST", "/console/links", headers=bearer).status_code == 401


def test_a_form_of_another_page_does_nothing(line: Line, database: str) -> None:
    visitor = Visitor(database)
    visitor.sign_in()
    for fields in ({}, {"csrf": "guessed"}):
        answer = visitor.ask("POST", "/console/sign-out", data=fields)
        assert answer.status_code == 403
        assert "This form is not from a page that you have open now." in answer.text
    assert visitor.ask("GET", "/console").status_code == 200


def test_a_path_that_is_no_page_is_answered_with_a_page(database: str) -> None:
    visitor = Visitor(database)
    assert visitor.ask("GET", "/console/nowhere").headers["location"].startswith("/console/sign-in?next=")
    visitor.sign_in()
    answer = visitor.ask("GET", "/console/nowhere")
    assert (answer.status_code, "The console has no such page." in answer.text) == (404, True)
    assert 'aria-label="Pages"' in answer.text


def test_an_address_that_is_none_is_answered_with_the_bar(database: str) -> None:
    visitor = Visitor(database)
    visitor.sign_in()
    for path, status in (
        ("/console/jobs/none", 404),
        ("/console/sessions?state=odd", 400),
        ("/console/usage?by=x", 400),
    ):
        answer = visitor.ask("GET", path)
        assert (answer.status_code, 'aria-label="Pages"' in answer.text) == (status, True), path
