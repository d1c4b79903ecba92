"""Twilio's signatures: the vector of its documentation, and what must not pass."""

from __future__ import annotations

import pytest

from gateway.telephony.twilio.signature import is_signed, signature

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Caller", "+14158675309"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
]
PUBLISHED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
"""Twilio's own, of this token, URL and form: docs/usage/security, and the tests of its libraries."""


def test_the_published_signature_is_made() -> None:
    assert signature(TOKEN, URL, FORM) == PUBLISHED
    assert signature(TOKEN, URL, reversed(FORM)) == PUBLISHED


@pytest.mark.parametrize(
    ("given", "tokens", "url", "form"),
    [
        (PUBLISHED, [TOKEN], URL, FORM),
        (PUBLISHED, ["another", TOKEN], URL, FORM),
        (PUBLISHED, [TOKEN], URL.replace(".com", ".com:443"), FORM),
        (signature(TOKEN, URL.replace(".com", ".com:443"), FORM), [TOKEN], URL, FORM),
        (signature(TOKEN, URL), [TOKEN], URL, []),
        (signature(TOKEN, URL, [("A", "1"), ("A", "1"), ("A", "0")]), [TOKEN], URL, [("A", "0"), ("A", "1")]),
    ],
)
def test_a_signed_request_passes(given: str, tokens: list[str], url: str, form: list[tuple[str, str]]) -> None:
    assert is_signed(given, tokens, url, form)


@pytest.mark.parametrize(
    ("given", "tokens", "url", "form"),
    [
        ("", [TOKEN], URL, FORM),
        ("é" * 28, [TOKEN], URL, FORM),
        (PUBLISHED[:-1], [TOKEN], URL, FORM),
        (PUBLISHED, [], URL, FORM),
        (PUBLISHED, ["another"], URL, FORM),
        (PUBLISHED, [TOKEN], URL + "&baz=3", FORM),
        (PUBLISHED, [TOKEN], URL.replace("https", "http"), FORM),
        (PUBLISHED, [TOKEN], URL, FORM[:-1]),
        (PUBLISHED, [TOKEN], URL, [*FORM[:-1], ("To", "+18005551213")]),
    ],
)
def test_any_other_does_not(given: str, tokens: list[str], url: str, form: list[tuple[str, str]]) -> None:
    assert not is_signed(given, tokens, url, form)
