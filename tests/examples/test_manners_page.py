"""docs/manners.md: the words that decide about what is heard can be written in a tool, or in an agent's file."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from ringback.agents.agent import Agent
from ringback.tools.decorator import tool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "manners.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip("| "))]
    for row in re.findall(r"^\|(?! (?:---|what happens)).+\|$", PAGE, re.MULTILINE)
]


def test_there_is_something_to_hold() -> None:
    assert len(ROWS) > 20


def test_the_words_of_a_tool_are_its_own() -> None:
    known = set(inspect.signature(tool).parameters)
    assert {word for word in _decided_by("tool") if word not in known} == set()


def test_the_words_of_an_agent_are_its_own() -> None:
    words = {word.strip("[]") for word in _decided_by("agent")}
    assert words - set(Agent.model_fields) == set()


def _decided_by(who: str) -> set[str]:
    """The words that the third column puts down to a tool, or to an agent."""
    parts = [part for row in ROWS for part in row[2].split(";") if part.strip().startswith(f"{who}:")]
    written = [word for part in parts for word in re.findall(r"`([^`]+)`", part)]
    return {re.split("[=(]", word)[0] for word in written if not word.startswith("call.")}
