"""Whatever is said, and whatever the tools look like: a reaction or none, and no failure."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from simulator.understanding.dialogue import Reaction, react
from simulator.understanding.offered import offered
from simulator.understanding.understanding import ToolUse, understand
from simulator.understanding.values import Said
from tests.unit.simulator.understanding.tools import SESSION, TOOLS, tool

LEAP_DAY = date(2028, 2, 29)
WORDS = re.findall(
    r"\S+",
    """use order book a table flight weather number a one oh four two hundred thousand and at for in from to on the of
    is may february twenty ninth third monday half past noon 7 30 19:00 7.30 1042 A-1042 INV-1 - ² ٣ 99999 never mind
    yes no "x" Paris , . ? x@y.z https://e.x/ o minus with small gift""",
)
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join) | st.text(max_size=60), max_size=4)
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "number", "boolean", "array", "object", "null", ["string", "null"]]
        ),
        "format": st.sampled_from(["date", "time", "date-time", "email", "uri", "uuid", "odd"]),
        "pattern": st.sampled_from(["^[A-Z]-\\d+$", "(", "(a+)+$", ""]),
        "enum": st.lists(st.sampled_from(["small", "", 7, None, True]), max_size=3),
        "description": st.sampled_from(['such as "A-1042"', 'like "19:00"', "http", "", '"2026-01-01"']),
        "items": st.sampled_from([{}, {"type": "integer"}, 7]),
    },
)
ODD = st.dictionaries(st.sampled_from(["order_id", "a", "", "_", "to", "size"]), SCHEMAS, max_size=3)


@given(SENTENCES, st.booleans())
def test_any_talk_leads_somewhere(sentences: list[str], pending: bool) -> None:
    assert isinstance(react(sentences, TOOLS, LEAP_DAY, pending=pending), Reaction | None)


@given(SENTENCES, ODD)
def test_any_schema_is_read(sentences: list[str], parameters: dict[str, dict[str, Any]]) -> None:
    tools = offered([tool("order", "Order a table.", **parameters)])
    assert isinstance(react([*sentences, "use order 7"], tools, LEAP_DAY, pending=False), Reaction | None)


def test_a_number_beyond_all_bounds_is_no_failure() -> None:
    for digits in (400, 5000):
        sentence = f"use random number maximum {'9' * digits} on may {'9' * digits}"
        assert understand(Said.of(sentence, LEAP_DAY), TOOLS) is not None


def test_a_text_that_is_no_sentence_is_not_read() -> None:
    assert react(["use weather in Paris " * 100], TOOLS, LEAP_DAY, pending=False) is None


def test_a_yes_answers_the_open_question_before_any_call() -> None:
    tools = offered([*SESSION, tool("answer_approval", "Pass on a yes.", approved={"type": "boolean"})])
    found = react(["close account", "Alice", "yes"], tools, LEAP_DAY, pending=True)
    assert found == Reaction(ToolUse("closeAccount", {"name": "Alice", "sure": True}))
    assert react(["yes"], tools, LEAP_DAY, pending=True) == Reaction(ToolUse("answer_approval", {"approved": True}))
