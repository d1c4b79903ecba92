"""What redaction removes from a value, and what it leaves unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.privacy.redaction import KINDS, Redaction, of_arguments, of_result, words_in

ALL = Redaction(KINDS)
TEXTS = {
    "card": [
        ("4111111111111111", "[card removed]"),
        ("my card is 4111 1111 1111 1111, good until 12 27", "my card is [card removed], good until 12 27"),
        ("4111-1111-1111-1111", "[card removed]"),
        ("4111 1111 1111 1111 12 27", "[card removed] 12 27"),
        ("4111 1111 1111 1111, 078-05-1120", "[card removed], 078-05-1120"),
        ("4111, 1111, 1111, 1111", "[card removed]"),
        ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[card removed]"),
        ("41 11 11 11 11 11 11 11", "[card removed]"),
        ("3782 822463 10005 and 3056 930902 5904", "[card removed] and [card removed]"),
        ("5555555555554444, 4012888888881881", "[card removed], [card removed]"),
        ("6011 0009 9013 9424 4111 1111 1111 1111", "[card removed] [card removed]"),
        ("2223003122003222", "[card removed]"),
        ("card=4222222222222;", "card=[card removed];"),
        ("A4111111111111111B", "A[card removed]B"),
        ("6304000000000000000", "[card removed]"),
        ("4111\u00a01111\u00a01111\u00a01111", "[card removed]"),
        ("4111\u20131111/1111_1111", "[card removed]"),
        ("\uff14\uff11\uff11\uff11 1111 1111 \u0661\u0661\u0661\u0661", "[card removed]"),
    ],
    "iban": [
        ("DE89370400440532013000", "[iban removed]"),
        ("from DE89 3704 0044 0532 0130 00 is mine", "from [iban removed] is mine"),
        ("gb29 nwbk 6016 1331 9268 19.", "[iban removed]."),
        ("NO9386011117947, FR1420041010050500013M02606", "[iban removed], [iban removed]"),
    ],
    "ssn": [("078-05-1120", "[ssn removed]"), ("it is 219 09 9999.", "it is [ssn removed].")],
    "email": [
        ("write to ada.l+x@mail.example.co.uk.", "write to [email removed]."),
        ("<ada@example.com>", "<[email removed]>"),
    ],
    "phone": [
        ("call +49 (30) 901820 now", "call [phone removed] now"),
        ("(415) 555-2671 or 415-555-2671", "[phone removed] or [phone removed]"),
        ("0049 30 901820", "[phone removed]"),
        ("+14155552671", "[phone removed]"),
    ],
    "secret": [
        ("sk-proj-abcdefgh12345678", "[secret removed]"),
        ("key sk_live_abcdefgh12345678!", "key [secret removed]!"),
        ("ek_abcdefgh12345678 rb_sk_abcdefgh12345678", "[secret removed] [secret removed]"),
        ("Authorization: Bearer abcdefgh12345678==", "Authorization: [secret removed]"),
        (f"rb_resume_{'Ab1-_' * 8}xyz, rb_{'Ab1-' * 8}", "[secret removed], [secret removed]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3", "[secret removed]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end", "[secret removed] end"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret removed]"),
        ("a.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0. b", "a.[secret removed] b"),
        ("token_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjg", "token_[secret removed]"),
    ],
}


@pytest.mark.parametrize(("kind", "text", "left"), [(kind, *each) for kind, found in TEXTS.items() for each in found])
def test_what_has_the_shape_is_taken_out(kind: str, text: str, left: str) -> None:
    assert Redaction((kind,)).text(text) == left
    assert Redaction(()).text(text) is text


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",  # the checksum is wrong
        "1764000000000 ms",
        "order 1234567890123456",
        "41111111111111111111111111111111",
        "4111 1111 1111 111",
        "12 44 57 23 90 31 66 28 71 45, 4, 17, 33",
        "DE88370400440532013000",
        "DE89 3704",
        "000-12-3456",
        "666-12-3456",
        "2026-11-24 14:50:11",
        "between 3 and 10 o'clock, A-1042",
        "a@b",
        "sk-short",
        "rb_lookup_order",
        "the bearer of this letter",
        "3f2a9c1b-0f4e-4d55-9a31-6d1f3a7b2c10",
        "+1",
        "12.50",
    ],
)
def test_what_only_looks_a_little_like_it_stays(text: str) -> None:
    assert ALL.text(text) == text


@pytest.mark.parametrize(
    ("value", "names", "left"),
    [
        ({"iban": "x", "to": "Ada"}, ("iban",), {"iban": "[iban removed]", "to": "Ada"}),
        ({"a": {"street": 1, "city": "Rome"}}, ("a.street",), {"a": {"street": "[street removed]", "city": "Rome"}}),
        ({"people": [{"pin": 1}, {"pin": 2}]}, ("people.pin",), {"people": [{"pin": "[pin removed]"}] * 2}),
        ([{"pin": 1}, {"other": 2}], ("pin",), [{"pin": "[pin removed]"}, {"other": 2}]),
        ({"iban": {"number": "x"}}, ("iban",), {"iban": "[iban removed]"}),
        ({"other": {"iban": "x"}}, ("iban",), {"other": {"iban": "x"}}),
        ({"a": "Main Street 5"}, ("a.street",), {"a": "[street removed]"}),
        ({"a": None}, ("a.street",), {"a": None}),
        ('{"iban": ', ("iban",), "[iban removed]"),
        ({"note": "4111 1111 1111 1111", "n": 4111111111111111}, (), {"note": "[card removed]", "n": "[card removed]"}),
        ({"4111111111111111": [True, None, 1.5]}, (), {"[card removed]": [True, None, 1.5]}),
    ],
)
def test_data_is_looked_through_by_shape_and_by_name(value: Any, names: tuple[str, ...], left: Any) -> None:
    assert Redaction(("card",)).data(value, names) == left


def test_a_tools_fields_are_its_arguments_and_its_results() -> None:
    fields = ("iban", "to.street", "result", "result.iban", "result.rows.pin")
    assert of_arguments(fields) == ["iban", "to.street", "result"]
    assert of_result(fields) == ["iban", "rows.pin"]


def test_what_lies_too_deep_to_be_looked_at_is_taken_out() -> None:
    deep: Any = "4111111111111111"
    for _ in range(100):
        deep = [deep]
    assert "4111" not in json.dumps(ALL.data(deep))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(JSON)
def test_any_data_can_be_looked_through_and_is_then_left_alone(value: Any) -> None:
    once = ALL.data(value, ("a.b",))
    assert ALL.data(once, ("a.b",)) == once
    json.dumps(once)


@pytest.mark.parametrize("unit", ["-eyJ", "-eyJaaaaaaaa", "_eyJa.", "1 ", "+1 ", "a@a.", "NO93 "])
def test_a_text_of_nothing_but_beginnings_is_read_to_its_end(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))  # a search that reads the rest anew from each of them takes minutes
    assert ALL.text(text) == text


@given(st.text(), st.text())
def test_a_card_is_found_in_whatever_stands_around_it(before: str, after: str) -> None:
    around = [part for part in (before, after) if not any(each.isdigit() for each in part)]
    text = " x ".join([*around[:1], "4111 1111 1111 1111", *around[1:]])
    assert "1111" not in Redaction(("card",)).text(text)


def test_what_was_taken_out_of_the_arguments_is_taken_out_of_what_comes_of_them() -> None:
    arguments = {"account": {"owner": "Ada Lovelace", "pins": ["1234", 98765]}, "to": "Bob", "is_new": True}
    words = words_in(arguments, ("account.owner", "account.pins", "to", "is_new", "nothing"))
    assert words == ("Ada Lovelace", "98765", "1234")
    told = Redaction(words=words).data({"said": "Ada Lovelace has 1234", "number": 98765, "to": "Bob"})
    assert told == {"said": "[a field removed] has [a field removed]", "number": "[a field removed]", "to": "Bob"}


def test_each_shape_is_found_beside_the_others() -> None:
    said = "4111 1111 1111 1111, 078-05-1120, +1 415 555 2671, a@b.de, DE89 3704 0044 0532 0130 00, sk-abcdefgh1234"
    told = "[card removed], [ssn removed], [phone removed], [email removed], [iban removed], [secret removed]"
    assert ALL.text(said) == told
