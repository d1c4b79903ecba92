"""The search line: one text, the filters that it says, and the chips that it is shown as."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.web.console.search_line import (
    NAMES,
    Chip,
    LineRefused,
    Term,
    chips,
    line_of,
    search,
    suggestions,
    terms,
    with_term,
)
from ringback.history.job_search import Argument

LONDON = Term("args.city", "London")

READ = {
    "": [],
    "  ": [],
    "tool:weather": [Term("tool", "weather")],
    "tool:weather   state:failed": [Term("tool", "weather"), Term("state", "failed")],
    'args.city:"New York"': [Term("args.city", "New York")],
    r'args.said:"a \"b\" \\ c"': [Term("args.said", 'a "b" \\ c')],
    "since:2026-01-31T12:00:00Z": [Term("since", "2026-01-31T12:00:00Z")],
    "args.address.city:London": [Term("args.address.city", "London")],
    "user:<b>eve</b>": [Term("user", "<b>eve</b>")],
    "EC8F9D18-CABA-4A15-AAA1-A4A4A967D23D": [Term("id", "ec8f9d18-caba-4a15-aaa1-a4a4a967d23d")],
}
REFUSED = {
    "London": "'London' is no filter: write a name and a value, such as tool:weather or args.city:London.",
    "town:London": "There is no filter 'town': there are state, tool,",
    "args.:London": "There is no filter 'args.'",
    "tool:": "The filter tool needs a value",
    'tool:"weather': "is no filter",
    "tool:a tool:b": "There are 2 filters tool: a search takes one.",
    "state:sleeping": "state must be one or more of pending,",
    "since:yesterday": "since must be a time such as",
    "args.a.b.c.d.e.f:1": "args must be at most five values",
    "x" * 1_001: "A search has at most 1000 characters.",
}


@pytest.mark.parametrize(("line", "read"), READ.items())
def test_a_line_is_read(line: str, read: list[Term]) -> None:
    assert terms(line) == read


@pytest.mark.parametrize(("line", "why"), REFUSED.items())
def test_a_line_that_is_none_is_refused_with_a_sentence(line: str, why: str) -> None:
    with pytest.raises(LineRefused) as refused:
        search(terms(line))
    assert why in str(refused.value)


def test_the_terms_become_filters() -> None:
    found = search(terms("state:failed,dead state:running agent:demo args.people:3 since:2h"), limit=7)
    assert [str(state) for state in found.state] == ["failed", "dead", "running"]
    assert (found.agent, found.args, found.limit) == ("demo", (Argument(("people",), "3"),), 7)
    assert found.since == timedelta(hours=2)


def test_a_number_is_looked_for_as_a_number_and_as_text() -> None:
    assert Argument(("order", "people"), "3").documents == [{"order": {"people": "3"}}, {"order": {"people": 3}}]
    assert Argument(("is_new",), "true").documents == [{"is_new": "true"}, {"is_new": True}]
    assert Argument(("city",), "London").documents == [{"city": "London"}]


def test_each_chip_says_the_line_without_it() -> None:
    assert chips([Term("tool", "weather"), LONDON]) == [
        Chip("tool:weather", "args.city:London"),
        Chip("args.city:London", "tool:weather"),
    ]


def test_a_term_takes_the_place_of_others_of_its_name() -> None:
    parts = [Term("since", "1h"), LONDON]
    assert with_term(parts, "since", "7d") == "args.city:London since:7d"
    assert with_term(parts, "since", "") == "args.city:London"


KNOWN = [Term("state", "failed"), LONDON, Term("args.city", "Lund"), Term("tool", "weather"), Term("user", "Li Wei")]
COMPLETED = {
    "": ["state:", "args.city:", "tool:", "user:"],
    "args.ci": ["args.city:", "args.city:London", "args.city:Lund"],
    "args.city:l": ["args.city:London", "args.city:Lund"],
    "tool:weather args.city:Lo": ["tool:weather args.city:London"],
    "user:": ['user:"Li Wei"'],
    "tool:weather": [],
}


@pytest.mark.parametrize(("line", "lines"), COMPLETED.items())
def test_the_last_word_is_completed(line: str, lines: list[str]) -> None:
    assert suggestions(line, KNOWN, 10) == lines


_values = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1).filter(str.strip)


@given(st.lists(st.builds(Term, st.sampled_from([*NAMES, "args.a.b"]), _values), max_size=4))
def test_what_is_written_is_read_again(parts: list[Term]) -> None:
    line = line_of(parts)
    if len(line) <= 1_000:
        assert terms(line) == parts
