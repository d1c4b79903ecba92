"""Arguments as they are typed: read by the schema, or refused by one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from cli.tools import argument_parser
from ringback import tool
from ringback.errors import ConfigurationError
from tests.unit.cli.tools.sample_tools import bake, nothing


@tool
def loose(anything: Any, either: int | str = "", texts: str | list[str] = "", sure: bool = False) -> None:
    """Take what comes."""


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["cake=apple"], {"cake": "apple"}),
        (["cake=3"], {"cake": "3"}),
        (["cake=null"], {"cake": "null"}),
        (["cake=a=b"], {"cake": "a=b"}),
        (["cake=", "count=3"], {"cake": "", "count": 3}),
        (["cake=apple", "size=large"], {"cake": "apple", "size": "large"}),
        (["cake=apple", "when=2026-01-01"], {"cake": "apple", "when": "2026-01-01"}),
        (["cake=apple", "when=null"], {"cake": "apple", "when": None}),
        (["cake=apple", 'to={"street": "Mill Lane"}'], {"cake": "apple", "to": {"street": "Mill Lane"}}),
        (["cake=apple", 'notes=["no nuts"]'], {"cake": "apple", "notes": ["no nuts"]}),
        (["cake=apple", "cake=plum"], {"cake": "plum"}),
    ],
)
def test_a_value_is_read_as_the_schema_takes_it(words: list[str], arguments: dict[str, Any]) -> None:
    assert argument_parser.arguments(bake.announcement, words) == arguments


@pytest.mark.parametrize(
    ("word", "value"),
    [("anything=3", 3), ("anything=x", "x"), ("either=3", 3), ("either=three", "three"), ("texts=3", "3")],
)
def test_where_several_kinds_fit_json_comes_first(word: str, value: Any) -> None:
    words = [word] if word.startswith("anything") else ["anything=0", word]
    assert argument_parser.arguments(loose.announcement, words)[word.partition("=")[0]] == value


def test_a_whole_object_may_be_given_and_a_word_counts_more() -> None:
    text = '{"cake": "apple", "count": 2}'
    assert argument_parser.arguments(bake.announcement, ["count=3"], text) == {"cake": "apple", "count": 3}


@pytest.mark.parametrize(
    ("words", "text", "sentence"),
    [
        (["cake"], None, "'cake' is no argument: write key=value, such as cake=…"),
        (["=apple"], None, "'=apple' is no argument: write key=value, such as cake=…"),
        (["cake=a", "flour=b"], None, "bake takes cake, count, size, when, to, notes, and not flour"),
        ([], None, "cake: Field required; see `ringback tools schema bake`"),
        (["cake=a", "count=0"], None, "count: Input should be greater than or equal to 1; see"),
        (["cake=a", "count=many"], None, "count: Input should be a valid integer; see"),
        (["cake=a", "size=huge"], None, "size: Input should be 'small' or 'large'; see"),
        (["cake=a"], "{", "--json is not JSON: "),
        (["cake=a"], "[1]", '--json must be one JSON object, such as \'{"city": "Rome"}\''),
    ],
)
def test_what_does_not_fit_is_named(words: list[str], text: str | None, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        argument_parser.arguments(bake.announcement, words, text)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


def test_a_tool_without_arguments_says_so() -> None:
    with pytest.raises(ConfigurationError, match="nothing takes no arguments, and not x"):
        argument_parser.arguments(nothing.announcement, ["x=1"])
