"""Which pages may ask: those named, letter by letter, and nobody who only looks like them."""

from __future__ import annotations

import pytest

from gateway.auth.origins import may_ask, origin, token_in

OURS = frozenset({"https://app.example.com", "https://app.example.com:8443", "https://xn--bcher-kva.example"})


@pytest.mark.parametrize("page", sorted(OURS))
def test_a_page_that_is_named_may_ask(page: str) -> None:
    assert may_ask([page], OURS, loopback=False)


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.com",
        "https://app.example.com.evil.com",
        "https://evil.com/https://app.example.com",
        "https://evilapp.example.com",
        "https://example.com",
        "https://sub.app.example.com",
        "http://app.example.com",
        "https://app.example.com:443",
        "https://app.example.com:8444",
        "https://APP.example.com",
        "HTTPS://app.example.com",
        "https://app.example.com/",
        "https://app.example.com.",
        "https://app.example.com@evil.com",
        "https://app.example.com ",
        " https://app.example.com",
        "https://app.example.com\x00",
        "https://аpp.example.com",  # a Cyrillic а
        "https://bücher.example",
        "null",
        "",
        "*",
        "file://",
        "http://localhost",
        "http://127.0.0.1:8080",
    ],
)
def test_every_other_page_may_not(page: str) -> None:
    assert not may_ask([page], OURS, loopback=False)


def test_who_says_two_origins_is_believed_neither_and_who_says_none_is_no_browser() -> None:
    assert not may_ask(["https://app.example.com"] * 2, OURS, loopback=True)
    assert may_ask([], frozenset(), loopback=False)


@pytest.mark.parametrize(
    "page", ["http://localhost", "http://127.0.0.1:8080", "https://localhost:3000", "http://[::1]:1"]
)
def test_pages_of_this_machine_may_ask_while_one_develops(page: str) -> None:
    assert may_ask([page], (), loopback=True)
    assert not may_ask([page], (), loopback=False)


@pytest.mark.parametrize(
    "page",
    [
        "http://localhost.evil.com",
        "http://127.0.0.1.evil.com",
        "http://127.0.0.2",
        "http://localhost:",
        "http://localhost:80/x",
        "http://LOCALHOST",
        "ftp://localhost",
        "null",
        "http://localhost@evil.com",
        "http://127.0.0.1:8080\n",
    ],
)
def test_what_only_looks_like_this_machine_may_not(page: str) -> None:
    assert not may_ask([page], (), loopback=True)


@pytest.mark.parametrize("page", [*sorted(OURS), "http://[::1]:8080", "http://10.0.0.1"])
def test_an_origin_in_the_settings_is_taken_as_a_browser_sends_it(page: str) -> None:
    assert origin(page) == page


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("https://App.example.com", "write https://app.example.com"),
        ("https://app.example.com:443", "write https://app.example.com"),
        ("http://app.example.com:80", "write http://app.example.com"),
        ("https://app.example.com/", "write https://app.example.com"),
        ("https://app.example.com/path?q", "write https://app.example.com"),
        ("https://bücher.example", "write https://xn--bcher-kva.example"),
        ("https://*.example.com", "is not an origin"),
        ("app.example.com", "is not an origin"),
        ("*", "is not an origin"),
        ("null", "is not an origin"),
        ("https://", "is not an origin"),
        ("https://me:secret@app.example.com", "is not an origin"),
        ("https://app.example.com:port", "is not an origin"),
        ("wss://app.example.com", "is not an origin"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_with_what_to_write(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace(".", r"\.")):
        origin(written)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("token=x", "token"),
        ("agent=demo&access_token=x", "access_token"),
        ("API_KEY=x", "API_KEY"),
        ("key=", "key"),
        ("authorization=Bearer%20x", "authorization"),
        ("x=Bearer%20rb_sk_abc", "x"),
        ("x=ek_abc", "x"),
        ("model=sk-proj-abc", "model"),
        ("x=eyJhbGciOiJSUzI1NiJ9.e30.x", "x"),
        ("%74oken=x", "token"),
        ("x=1&" * 500 + "ek=1", "ek"),
        ("ringback-resume=rb_resume_x", "ringback-resume"),
    ],
)
def test_a_token_in_a_url_is_found_by_its_name_or_by_its_looks(query: str, name: str) -> None:
    assert token_in(query) == name


@pytest.mark.parametrize(
    "query",
    [
        "",
        "agent=demo&model=gpt-realtime&ringback=jobs,resume",
        "limit=20&after=AAYkqg&state=open",
        "tool=token",
        "tool=desk-lamp&agent=seek_help",
        "&&=&%%%",
    ],
)
def test_what_clients_really_ask_is_no_token(query: str) -> None:
    assert token_in(query) is None
