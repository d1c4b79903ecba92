"""Every invalid setting of `@tool`, and the sentence that says what to change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ringback import Breaker, tool
from ringback.errors import DeclarationError
from ringback.jobs.states import Effect
from ringback.tools.behavior import Late
from ringback.tools.declaration import OURS, check, chosen, per_second
from ringback.tools.spec import ToolSpec

ONCE = {"effect": "at_most_once"}
NAN, ENDLESS = float("nan"), float("inf")


def weather(city: str) -> str:
    """The weather in a city."""
    return city


def optional_seconds() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what `say_after`, `say_every` and `drop_after` refuse alike."""
    for name in ("say_after", "say_every", "drop_after"):
        rest = {"say_after": 1.0} if name == "say_every" else {}
        for value in (0, -1, NAN, ENDLESS):
            yield {**rest, name: value}, f"{name}={value}: use seconds above 0, or None."
        for text in ("3", True):
            yield {**rest, name: text}, f"{name}={text!r}: use a number of seconds, or None."


def seconds_within() -> Iterator[tuple[dict[str, Any], str]]:
    """Yield what seconds with an upper bound refuse alike."""
    for name, most in (("timeout", 3300), ("approval_seconds", 3300), ("backoff", 60)):
        for value in (0, -1, most + 1, NAN, ENDLESS):
            yield {name: value}, f"{name}={value}: use seconds above 0, up to {most}."
        for text in ("3", None, True):
            yield {name: text}, f"{name}={text!r}: use a number of seconds."


def words() -> Iterator[tuple[dict[str, Any], str]]:
    known = {
        "effect": '"pure", "idempotent", "at_most_once"',
        "on_barge_in": '"continue", "cancel"',
        "late": '"speak", "when_quiet", "silent"',
        "on_duplicate": '"join", "reject", "allow", "replace"',
        "audience": '"model", "client", "both"',
    }
    for name, choices in known.items():
        nothing_of_it: tuple[Any, ...] = ("maybe", "", 3, [])
        for word in nothing_of_it:
            yield {name: word}, f"{name}={word!r} is none of {choices}."


REFUSED: list[tuple[dict[str, Any], str]] = [
    *optional_seconds(),
    *seconds_within(),
    *words(),
    ({"queue": "Orders"}, "queue='Orders': use 1 to 64 of a-z, 0-9, _, . and -."),
    ({"queue": ""}, "queue='': use 1 to 64"),
    ({"queue": "q" * 65}, "queue='qqq"),
    ({"queue": 3}, "queue=3: use a text."),
    ({"retries": -1}, "retries=-1: use 0 to 10."),
    ({"retries": 11}, "retries=11: use 0 to 10."),
    ({"retries": 1.5}, "retries=1.5: use a whole number."),
    ({"retries": True}, "retries=True: use a whole number."),
    ({**ONCE, "retries": 1}, "an at_most_once tool is never run again; leave out retries, or make it idempotent."),
    ({**ONCE, "on_duplicate": "replace"}, 'on_duplicate="replace" would do an at_most_once tool\'s work twice'),
    ({"say": "One moment."}, "say=… needs say_after=…: after how many seconds to say it."),
    ({"say_every": 3}, "say_every=… needs say_after=… for the first time."),
    ({"say_after": 1, "say": " "}, "say=…: use 1 to 200 characters."),
    ({"say_after": 1, "say": "x" * 201}, "say=…: use 1 to 200 characters."),
    ({"say_after": 1, "say": 3}, "say=3: use a text, or None."),
    ({"cancellable": "yes"}, "cancellable='yes': use True or False."),
    ({"requires_approval": "yes"}, "requires_approval='yes': use True or False."),
    ({"requires_approval": 1}, "requires_approval=1: use True or False."),
    ({"untrusted": 1}, "untrusted=1: use True or False."),
    ({"scopes": "orders:write"}, "scopes='orders:write': use a list of texts, such as [\"orders:write\"]."),
    ({"scopes": None}, "scopes=None: use a list of texts"),
    ({"scopes": ("a", 1)}, "scopes=('a', 1): use a list of texts"),
    ({"scopes": ("",)}, "scopes: '': use 1 to 128 characters of ASCII, no space, quote or backslash."),
    (
        {"scopes": ("two words",)},
        "scopes: 'two words': use 1 to 128 characters of ASCII, no space, quote or backslash.",
    ),
    ({"scopes": ("x" * 129,)}, "scopes: 'xxx"),
    ({"scopes": tuple(map(str, range(17)))}, "scopes: use at most 16; give the right to use it one name."),
    ({"redact": "city"}, "redact='city': use a list of texts"),
    ({"redact": ("iban",)}, "redact: 'iban' is neither an argument (city) nor result.FIELD."),
    ({"redact": ("result",)}, "redact: 'result' is neither an argument (city) nor result.FIELD."),
    ({"redact": ("city.",)}, "redact: 'city.' is neither an argument (city) nor result.FIELD."),
    ({"redact": ("result..a",)}, "redact: 'result..a' is neither"),
    ({"redact": ("city",) * 65}, "redact: use at most 64 names."),
    ({"concurrency": 0}, "concurrency=0: use 1 to 100000, or None."),
    ({"concurrency": 100_001}, "concurrency=100001: use 1 to 100000, or None."),
    ({"concurrency": 1.5}, "concurrency=1.5: use a whole number, or None."),
    ({"rate": "30"}, "rate='30': write calls per second, minute or hour, such as \"30/m\"."),
    ({"rate": "0/s"}, "rate='0/s': write calls per second"),
    ({"rate": "1/d"}, "rate='1/d': write calls per second"),
    ({"rate": "1.5/s"}, "rate='1.5/s': write calls per second"),
    ({"rate": 30}, "rate=30: write calls per second"),
    ({"rate": "1/s", "burst": 0}, "burst=0: use 1 to 100000."),
    ({"rate": "1/s", "burst": 1.5}, "burst=1.5: use a whole number."),
    ({"burst": 2}, 'burst=… needs rate=…, such as "30/m".'),
    ({"breaker": True}, "breaker=True: use Breaker(failures=…, seconds=…), or None."),
    ({"breaker": 5}, "breaker=5: use Breaker(failures=…, seconds=…), or None."),
    ({"breaker": Breaker(failures=0)}, "Breaker(failures=0): use 1 or more."),
    ({"breaker": Breaker(failures=True)}, "Breaker.failures=True: use a whole number, or None."),
    ({"breaker": Breaker(seconds=0)}, "Breaker.seconds=0: use seconds above 0, up to 3600."),
    ({"breaker": Breaker(seconds=3_601)}, "Breaker.seconds=3601: use seconds above 0, up to 3600."),
    ({"breaker": Breaker(seconds=NAN)}, "Breaker.seconds=nan: use seconds above 0, up to 3600."),
]


@pytest.mark.parametrize(("settings", "sentence"), REFUSED, ids=[str(settings) for settings, _ in REFUSED])
def test_a_setting_that_cannot_be_is_refused_where_it_stands(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        tool(**settings)(weather)
    assert str(raised.value).startswith(f"weather: {sentence}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("two words", "two words: its name may have 1 to 64 letters, digits, _ and -; pass name=…"),
        ("x" * 65, f"{'x' * 65}: its name may have 1 to 64"),
        ("", ": its name may have 1 to 64"),
        (3, "3: name=3: use a text."),
        *(
            (name, f"{name}: this name is a function of the gateway itself; pass another name=…")
            for name in sorted(OURS)
        ),
    ],
)
def test_a_name_that_cannot_be_is_refused_where_it_stands(name: Any, sentence: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        tool(name=name)(weather)
    assert str(raised.value).startswith(sentence)


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": 3_300, "retries": 10, "backoff": 60},
        {"say_after": 0.5, "say": "x" * 200, "say_every": 1, "drop_after": 4_000},
        {**ONCE, "on_duplicate": "allow", "on_barge_in": "cancel", "cancellable": True},
        {"requires_approval": True, "approval_seconds": 3_300},
        {"concurrency": 1, "rate": "999999/h", "burst": 100_000, "breaker": Breaker(1, 3_600)},
        {"queue": "a-z_0.9", "name": "A-z_9"},
        {"scopes": tuple(str(n).rjust(128, "s") for n in range(16)), "redact": ["city.zip", "result.a-1.b_2"] * 32},
        {"scopes": ("https://example.com/orders.read",), "untrusted": True},
    ],
)
def test_what_lies_at_the_edge_is_taken(settings: dict[str, Any]) -> None:
    assert tool(**settings)(weather).announcement


@pytest.mark.parametrize(
    ("rate", "in_a_second"), [("1/s", 1.0), ("30/m", 0.5), ("3600/h", 1.0), ("999999/s", 999_999.0)]
)
def test_a_rate_is_calls_in_a_second(rate: str, in_a_second: float) -> None:
    assert per_second("weather", rate) == in_a_second


def test_a_word_is_the_choice_that_it_names() -> None:
    assert chosen("weather", "late", Late, "speak") is Late.SPEAK


def test_a_declaration_from_elsewhere_is_checked_alike() -> None:
    announced = ToolSpec("quote", "A quote.", {"type": "object", "properties": {}})
    check(announced)
    with pytest.raises(DeclarationError, match="quote: an at_most_once tool is never run again"):
        check(replace(announced, effect=Effect.AT_MOST_ONCE, retries=1))
