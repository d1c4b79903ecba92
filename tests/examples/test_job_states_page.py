"""docs/job-states.md draws the moves that the code allows, explains each edge, and names statements that exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import CheckConstraint

from gateway.calls.desk import NOT_PLACED
from gateway.close_codes import ENDED, NO_AGENT, SENTENCES, STILL_LIVE
from ringback.jobs.states import DELIVERY_MOVES, JOINED_MOVES, MOVES, TERMINAL, Delivery, JobState
from ringback.statements.jobs.sweeps import NOT_RESUMED
from ringback.tables import metadata, sessions

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGE = (DOCS / "job-states.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```mermaid\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
EDGE = re.compile(r"^ +(\S+) --> (\S+): (\w+)$", re.MULTILINE)
STATEMENT = re.compile(r"`((?:identity|jobs|sessions)\.[a-z_]+|processes|retention|erasure|usage|webhooks)\.(\w+)")
BORN = "[*]"
WORK_MOVES = {**MOVES, JobState.PENDING: MOVES[JobState.PENDING] | JOINED_MOVES}
# Where a session's end gets its reason: who says so, or what failed on the way to a next conversation.
REASON = re.compile(
    r'(?:SessionEnded|Close|ClientGone|Reopen)\((?:\w+, )?"(\w+)"|end_reason=.*?"(\w+)"|why_closed = "(\w+)"'
)


class Edge(NamedTuple):
    old: str
    new: str
    letter: str


def edges(number: int) -> list[Edge]:
    """The lettered edges of the n-th diagram, as they stand there."""
    return [Edge(*found) for found in EDGE.findall(BLOCKS[number])]


def in_order(moves: Mapping[StrEnum, frozenset[StrEnum]], states: type[StrEnum]) -> list[tuple[str, str]]:
    """The moves by where they begin and then by where they lead, both in the order of the enum."""
    return [(str(old), str(new)) for old in states for new in states if new in moves[old]]


@pytest.mark.parametrize(
    ("number", "moves", "states"), [(0, WORK_MOVES, JobState), (1, DELIVERY_MOVES, Delivery)], ids=["state", "delivery"]
)
def test_the_page_draws_each_move_that_the_code_allows_and_no_other(
    number: int, moves: Mapping[StrEnum, frozenset[StrEnum]], states: type[StrEnum]
) -> None:
    drawn = [(edge.old, edge.new) for edge in edges(number) if edge.old != BORN]
    assert drawn == in_order(moves, states)


def test_a_job_is_born_waiting_or_over() -> None:
    assert [edge.new for edge in edges(0) if edge.old == BORN] == ["pending", *(s for s in JobState if s in TERMINAL)]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_edges_are_lettered_in_order(number: int) -> None:
    letters = [edge.letter for edge in edges(number)]
    assert letters == [f"{number + 1}{chr(ord('a') + place)}" for place in range(len(letters))]


def test_each_letter_is_explained_once_and_in_order() -> None:
    explained = re.findall(r"^- \*\*(\w+)\*\* ", PAGE, re.MULTILINE)
    assert explained == [edge.letter for number in range(len(BLOCKS)) for edge in edges(number)]


def test_the_page_draws_each_state_of_a_session() -> None:
    drawn = {state for edge in edges(2) for state in (edge.old, edge.new)} - {BORN}
    rules = (str(rule.sqltext) for rule in sessions.constraints if isinstance(rule, CheckConstraint))
    states = re.findall(r"state = ANY \('\{(.*?)\}'\)", " ".join(rules))
    assert [drawn] == [set(words.split(",")) for words in states]


def test_each_reason_of_an_end_is_told_and_no_other() -> None:
    sources = [*(ROOT / "gateway").rglob("*.py"), ROOT / "ringback/statements/jobs/sweeps.py"]
    found = {name for path in sources for names in REASON.findall(path.read_text(encoding="utf-8")) for name in names}
    told = re.findall(
        r"^\| `(\w+)` \|", PAGE[PAGE.index("| `client_closed_") : PAGE.index("## The tables")], re.MULTILINE
    )
    found |= set(SENTENCES) | set(ENDED) | {NO_AGENT, STILL_LIVE, NOT_PLACED, NOT_RESUMED}
    assert set(told) == {name for name in found if name and not name.startswith("client_closed_")}
    assert len(told) == len(set(told))


def test_each_table_is_told_of() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE[PAGE.index("## The tables") :], re.MULTILINE)
    assert sorted(told) == sorted(table.name for table in metadata.tables.values())


@pytest.mark.parametrize("page", sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")))
def test_the_statements_that_a_page_names_exist(page: str) -> None:
    named = set(STATEMENT.findall((DOCS / page).read_text(encoding="utf-8")))
    missing = [
        name for name in named if not hasattr(importlib.import_module(f"ringback.statements.{name[0]}"), name[1])
    ]
    assert missing == []
